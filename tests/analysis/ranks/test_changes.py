"""Sudden or gradual: false positives and power on made trajectories of both kinds."""

import numpy as np
import pandas as pd
import pytest

from analysis.ranks.changes import (
    MOST_IN_ONE,
    ChangeTest,
    change_test,
    change_word,
    shapes,
)
from tests.analysis.made_up_ranks import SCHEDULE, gradual_share, sudden_share

KINDS = {
    "gradual": np.array([gradual_share(tokens) for tokens in SCHEDULE]),
    "sudden": np.array([sudden_share(tokens) for tokens in SCHEDULE]),
    "flat": np.zeros(len(SCHEDULE)),
}
DRAWS = 99
STUDIES = 100


def chains(kind: str, noise: float, count: int, drawn: np.random.Generator) -> list[pd.Series]:
    """Trajectories that fall by one direction."""
    curves = 30 - KINDS[kind] + drawn.normal(0, noise, (count, len(SCHEDULE)))
    return [pd.Series(curve, index=SCHEDULE) for curve in curves]


def words(kind: str, noise: float, count: int, studies: int = STUDIES) -> dict[str, float]:
    """How often each word is said of so many chains of one kind."""
    drawn = np.random.default_rng([len(kind), round(1000 * noise), count])
    said = [
        change_test(chains(kind, noise, count, drawn), drawn, DRAWS).word for _ in range(studies)
    ]
    return {word: said.count(word) / studies for word in dict.fromkeys(said)}


@pytest.mark.parametrize(("kind", "other"), [("gradual", "sudden"), ("sudden", "gradual")])
@pytest.mark.parametrize(("noise", "count"), [(0.05, 1), (0.1, 1), (0.3, 1), (0.2, 6), (0.4, 6)])
def test_the_wrong_word_is_rare_at_any_noise(
    kind: str, other: str, noise: float, count: int
) -> None:
    said = words(kind, noise, count)
    # 5 % and three standard errors of 100 studies.
    assert said.get(other, 0.0) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / STUDIES)


@pytest.mark.parametrize("kind", ["gradual", "sudden"])
def test_the_right_word_is_found_where_noise_is_small(kind: str) -> None:
    assert words(kind, 0.05, 1)[kind] > 0.8
    assert words(kind, 0.1, 6)[kind] > 0.8


def test_one_noisy_chain_is_undecided() -> None:
    for kind in ("gradual", "sudden"):
        said = words(kind, 0.3, 1)
        assert said.get("undecided", 0.0) + said.get("not shown", 0.0) > 0.6


def test_no_change_is_called_by_its_name() -> None:
    for count in (1, 6):
        said = words("flat", 0.2, count)
        assert said["not shown"] > 0.95 - 3 * np.sqrt(0.05 * 0.95 / STUDIES)


def test_six_chains_say_more_than_one() -> None:
    drawn = np.random.default_rng(3)
    six = chains("sudden", 0.15, 6, drawn)
    alone = np.mean([change_test([one], drawn, 199).p_if_gradual for one in six])
    assert change_test(six, drawn, 199).p_if_gradual < alone


def test_without_noise_the_answer_is_certain() -> None:
    drawn = np.random.default_rng(4)
    for kind, sign in (("gradual", -1), ("sudden", 1)):
        found = change_test(chains(kind, 0.0, 2, drawn), drawn, 199)
        assert (found.word, found.n_chains) == (kind, 2)
        assert found.step == (123e3, 246e3)
        assert sign * (found.evidence or 0.0) > 5


def test_neither_one_step_nor_one_curve_is_said_so() -> None:
    """Down, and up again."""
    there_and_back = pd.Series([5.0, 5, 5, 0, 0, 0, 0, 5, 5, 5], index=SCHEDULE)
    drawn = np.random.default_rng(5)
    wobble = [there_and_back + drawn.normal(0, 0.05, 10) for _ in range(4)]
    # The two bad fits leave as much noise in their simulations: nothing is claimed, at least.
    assert change_test(wobble, drawn, 199).word in {"neither", "undecided", "not shown"}


def test_the_same_seed_gives_the_same_answer() -> None:
    some = chains("gradual", 0.2, 3, np.random.default_rng(6))
    first, again = (change_test(some, np.random.default_rng(7), 99) for _ in range(2))
    assert first == again


def test_too_few_checkpoints_are_not_measured() -> None:
    short = pd.Series([3.0, 2.0, 1.0, 0.0, 0.0], index=SCHEDULE[:5])
    found = change_test([short], np.random.default_rng(8))
    assert found == ChangeTest(0, None, 1.0, 1.0, 1.0, None)
    assert found.word == "not measured"
    crowded = pd.Series(range(6), index=[0, 1000, 1010, 1020, 1030, 1040], dtype=float)
    assert change_test([crowded], np.random.default_rng(8)).word == "not measured"
    constant = pd.Series(np.ones(10), index=SCHEDULE)
    assert change_test([constant], np.random.default_rng(9), 99).word == "not shown"


@pytest.mark.parametrize(
    ("p", "word"),
    [
        ((0.2, 0.01, 0.9), "not shown"),
        ((0.01, 0.01, 0.9), "sudden"),
        ((0.01, 0.9, 0.01), "gradual"),
        ((0.01, 0.01, 0.01), "neither"),
        ((0.01, 0.2, 0.2), "undecided"),
    ],
)
def test_words_follow_from_what_is_rejected(p: tuple[float, float, float], word: str) -> None:
    assert change_word(*p) == word


def test_gradual_curves_are_gradual_on_the_schedule() -> None:
    known = shapes(SCHEDULE)
    rises = np.abs(np.diff(known.smooth_GxT, axis=1))
    shares = rises.max(axis=1) / np.ptp(known.smooth_GxT, axis=1)
    assert shares.max() <= MOST_IN_ONE + 1e-12
    assert len(known.steps_SxT) == len(SCHEDULE) - 1
    steps = np.abs(np.diff(known.steps_SxT, axis=1))
    assert ((steps > 1e-12).sum(axis=1) == 1).all()
    for curves in (known.smooth_GxT, known.steps_SxT):
        assert curves.mean(axis=1) == pytest.approx(np.zeros(len(curves)))
        assert np.linalg.norm(curves, axis=1) == pytest.approx(np.ones(len(curves)))
