from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.comparisons.answers import Comparison, answers, answers_table
from analysis.comparisons.words import answer_cells, numbers
from analysis.families import holm
from analysis.statistics import sign_flip_p, t_interval


def compared(*differences: float, margin: float = 1.0, **changes: Any) -> Comparison:
    fields: dict[str, Any] = {
        **{"question": "cause", "first": "one", "second": "other", "at": "equal tokens"},
        **{"unit": "directions", "reference": 20.0, "margin": margin},
        "differences": pd.Series(differences, dtype=float),
    }
    return Comparison(**(fields | changes))


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ((3, 3.1, 2.9, 3.2, 2.8, 3), "higher"),
        ((-3, -3.1, -2.9, -3.2, -2.8, -3), "lower"),
        ((0.1, -0.1, 0.2, -0.2, 0.1, 0), "similar"),
        # A difference that is there, and too small to matter.
        ((0.5, 0.5, 0.51, 0.49, 0.5, 0.52), "similar"),
        ((1.1, 0.9, 1.2, 0.8, 1.3, 0.9), "undecided"),
        ((3, -3, 2, -2, 4, 1), "undecided"),
        ((3, 3.1, 2.9, 3.2, 2.8), "undecided"),
        ((3.0,), "undecided"),
    ],
)
def test_verdict_of_one_comparison(differences: tuple[float, ...], verdict: str) -> None:
    (found,) = answers([compared(*differences)])
    assert found.verdict == verdict
    assert bool(found.reasons) == (verdict == "undecided")


def test_reasons_name_what_is_in_the_way() -> None:
    few, wide, none = answers(
        [
            compared(3, 3.1, 2.9),
            compared(3, -3, 2, -2, 4, 1),
            compared(note="No loss is shared."),
        ]
    )
    assert few.reasons == ("3 seeds can reach p = 0.25 at best; 6 are needed.",)
    assert "reaches across the margin of 1 directions" in wide.reasons[0]
    assert (none.verdict, none.reasons, none.p) == ("not measured", ("No loss is shared.",), None)


def test_correction_can_keep_a_comparison_undecided() -> None:
    """A strong effect with one seed short of the rest, among comparisons that agree perfectly."""
    mixed = [compared(3, 3.1, 2.9, 3.2, 2.8, 1.9)]
    signs = np.array([[1, 1, 1, 1, -1, 1], [1, 1, 1, -1, 1, 1], [1, -1, 1, 1, 1, 1.0]])
    others = [compared(*row) for row in signs]
    alone, among = answers(mixed)[0], answers([*mixed, *others])[0]
    assert alone.verdict == "higher"
    assert alone.p == among.p == 2 / 64
    assert among.p_corrected is not None
    assert among.p_corrected > 0.05
    assert among.verdict == "undecided"
    assert "corrected p" in among.reasons[0]
    # The primary contrast is tested by itself, and costs the others nothing.
    first, *rest = answers([replace(mixed[0], is_primary=True), *others])
    assert (first.verdict, first.p_corrected) == ("higher", 2 / 64)
    assert [one.p_corrected for one in rest] == [one.p_corrected for one in answers(others)]


def test_a_study_of_twenty_seeds_is_corrected_by_holm() -> None:
    """Twenty seeds have too many joint patterns of signs to count."""
    values = np.random.default_rng(3).normal([[0.3], [0.8], [0.0]], 1.0, size=(3, 20))
    found = answers([compared(*row) for row in values])
    assert [one.p_corrected for one in found] == pytest.approx(holm([*map(sign_flip_p, values)]))
    assert {one.n_seeds for one in found} == {20}


@pytest.mark.slow
def test_nothing_is_found_where_nothing_is_planted() -> None:
    """Higher or lower in made-up families of eleven comparisons without a single effect."""
    drawn, wrong = np.random.default_rng(2), 0
    for _ in range(400):
        values = drawn.normal(0, 1, (11, 6)) + drawn.normal(0, 1, 6)
        family = answers([compared(*row, margin=1e-6) for row in values])
        wrong += any(one.verdict in {"higher", "lower"} for one in family)
    assert wrong / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_an_answer_in_words_and_cells() -> None:
    first, alone, none = answers(
        [
            compared(3, 3.1, 2.9, 3.2, 2.8, 3, is_primary=True),
            compared(-0.5, reference=None),
            compared(note="Nobody looked."),
        ]
    )
    low, high = t_interval(first.asked.differences) or (0.0, 0.0)
    assert numbers(first) == (
        f"+3.00 directions (+15\N{NO-BREAK SPACE}%), 95 % +{low:.2f} to +{high:.2f}, g = +17.8, "
        "p = 0.031, the primary contrast, n = 6"
    )
    assert numbers(alone) == "−0.500 directions, p = 1, corrected 1, n = 1"
    assert numbers(none) == "Nobody looked."
    cells = answer_cells(first)
    assert cells["compared"] == "one − other"
    assert (cells["mean"], cells["share"], cells["corrected"]) == (
        *("+3.00", "+15\N{NO-BREAK SPACE}%", "primary"),
    )
    assert answer_cells(none)["margin"] == answer_cells(none)["p"] == "–"
    assert list(answers_table([first, none])["verdict"]) == ["higher", "not measured"]
