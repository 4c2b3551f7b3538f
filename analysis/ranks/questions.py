"""The questions of R5.7 as comparisons of chains, seed by seed."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from analysis.comparisons.answers import Comparison
from analysis.ranks.chains import (
    PRIMARY,
    at_equal_loss,
    chain_losses,
    chain_ranks,
    halfway,
    trajectory,
)
from analysis.ranks.surgery import LOSS_MARGIN_NATS, PRESET_PERCENT, losses_at, mean_losses
from analysis.ranks.tables import RankTables, Roles

MARGIN_SHARE = 0.05
"""Of the reference's rank: the least difference that matters, where no claim presets another."""
TIMING_MARGIN = 1.0
"""Rank and loss change at the same place if half of either is done within one doubling."""
EQUAL_TOKENS, EQUAL_LOSS = "equal tokens", "equal loss"
DIRECTIONS = "directions"


@dataclass(frozen=True)
class Contrast:
    """Two arms that differ in one thing.

    Attributes:
        question: its name.
        asks: the question in words.
        first: role of the arm that is compared.
        second: role of what it is compared with.
    """

    question: str
    asks: str
    first: str
    second: str


CONTRASTS = (
    Contrast("cause", "Does QK-norm cost rank (Muon)?", "qknorm_muon", "plain_muon"),
    Contrast("gains", "Do learned gains cost rank?", "qknorm_muon", "frozen_muon"),
    Contrast("norm", "Does the norm alone cost rank?", "frozen_muon", "plain_muon"),
    Contrast("muon", "What does Muon do, with QK-norm?", "qknorm_muon", "qknorm_adamw"),
    Contrast("muon_plain", "What does Muon do, without?", "plain_muon", "plain_adamw"),
    Contrast("data", "Does rank follow the text?", "complex", "simple"),
)
PRIMARY_QUESTION = "cause"
SURGERY = (
    ("gain_as_svd", "Are gains as good a guide as the SVD?", "gamma", "svd"),
    ("random_to_gain", "Is random pruning worse than by gain?", "random", "gamma"),
    ("random_to_svd", "Is random pruning worse than by SVD?", "random", "svd"),
)
QUESTIONS = {
    **{one.question: one.asks for one in CONTRASTS},
    **{name: asks for name, asks, _, _ in SURGERY},
    "timing": "Does K's rank change where the loss does?",
    "fall": "Does K's rank fall in training?",
}


def rank_comparisons(
    tables: RankTables,
    roles: Roles,
    margin: float | None,
    which: str = PRIMARY,
    ats: tuple[str, ...] = (EQUAL_TOKENS, EQUAL_LOSS),
) -> list[Comparison]:
    """All contrasts of ranks.

    Args:
        tables: as planned.
        roles: which arm is which.
        margin: in directions; None takes ``MARGIN_SHARE`` of the reference.
        which: K, or a companion.
        ats: where to compare, each contrast at all of them.
    """
    ranks, losses = chain_ranks(tables, which), chain_losses(tables)
    found = []
    for contrast in CONTRASTS:
        arms = (str(getattr(roles, contrast.first)), str(getattr(roles, contrast.second)))
        for at in ats:
            note = ""
            if at == EQUAL_TOKENS:
                pairs = _at_equal_tokens(ranks, arms)
            else:
                pairs, refused = _at_equal_loss(ranks, losses, arms)
                note = _refused_in_words(roles, arms, refused)
            found.append(_compared(contrast, roles, arms, at, pairs, margin, note))
    return found


def _at_equal_tokens(ranks: pd.Series, arms: tuple[str, str]) -> pd.DataFrame:
    """Both arms' ranks at the last checkpoint by seed."""
    ends = [at_last(ranks, arm) for arm in arms]
    return pd.DataFrame({"first": ends[0], "second": ends[1]}).dropna()


def at_last(values: pd.Series, arm: str) -> pd.Series:
    """Values of an arm's chains at the study's last checkpoint, by seed."""
    if values.empty:
        return pd.Series(dtype=float)
    last = values.index.get_level_values("tokens").max()
    of_arm = values[values.index.get_level_values("arm") == arm]
    return of_arm[of_arm.index.get_level_values("tokens") == last].droplevel(["arm", "tokens"])


def _compared(
    contrast: Contrast,
    roles: Roles,
    arms: tuple[str, str],
    at: str,
    pairs: pd.DataFrame,
    margin: float | None,
    note: str,
) -> Comparison:
    reference = float(pairs["second"].mean()) if len(pairs) else None
    share = MARGIN_SHARE * (reference or 1.0)
    return Comparison(
        contrast.question,
        roles.label(arms[0]),
        roles.label(arms[1]),
        at,
        DIRECTIONS,
        (pairs["first"] - pairs["second"]).astype(float),
        reference,
        share if margin is None else margin,
        (contrast.question, at) == (PRIMARY_QUESTION, EQUAL_TOKENS),
        note,
    )


def _at_equal_loss(
    ranks: pd.Series, losses: pd.Series, arms: tuple[str, str]
) -> tuple[pd.DataFrame, list[int]]:
    """Both arms' ranks by seed, and the seeds whose chains share no loss."""
    found: dict[int, tuple[float, float]] = {}
    refused = []
    for seed in _shared_seeds(ranks, losses, arms):
        chains = [(trajectory(ranks, arm, seed), trajectory(losses, arm, seed)) for arm in arms]
        (rank_1, loss_1), (rank_2, loss_2) = chains
        equal = at_equal_loss((rank_1, rank_2), (loss_1, loss_2))
        if equal is None:
            refused.append(seed)
        else:
            found[seed] = (equal.first, equal.second)
    return pd.DataFrame.from_dict(found, orient="index", columns=["first", "second"]), refused


def _shared_seeds(ranks: pd.Series, losses: pd.Series, arms: Iterable[str]) -> list[int]:
    """The seeds of which both arms have ranks and losses."""
    common: set[int] | None = None
    for values in (ranks, losses):
        for arm in arms:
            seeds = values.index[values.index.get_level_values("arm") == arm]
            here = {int(seed) for seed in seeds.get_level_values("seed")}
            common = here if common is None else common & here
    return sorted(common or ())


def _refused_in_words(roles: Roles, arms: tuple[str, str], refused: list[int]) -> str:
    if not refused:
        return ""
    seeds = f"seed{'s' * (len(refused) != 1)} {', '.join(map(str, refused))}"
    return (
        f"{roles.label(arms[0])} and {roles.label(arms[1])} share no loss after the first "
        f"checkpoint in {seeds}: they cannot be compared where they are equally good."
    )


def surgery_comparisons(tables: RankTables, arm: str) -> list[Comparison]:
    """Strategies against each other on the same chains of one arm, at ``PRESET_PERCENT``."""
    return _strategies(losses_at(tables, arm), f"{PRESET_PERCENT:.0f} % pruned")


def area_comparisons(tables: RankTables, arm: str) -> list[Comparison]:
    """The same over the whole curve, beside the preset percentage."""
    rows = tables.surgery[tables.surgery["arm"] == arm]
    most = float(rows["percent"].max()) if len(rows) else 0.0
    return _strategies(mean_losses(tables, arm, most), f"mean of 0 to {most:.0f} % pruned")


def _strategies(losses: pd.DataFrame, at: str) -> list[Comparison]:
    words = {"svd": "SVD", "gamma": "gain", "random": "random"}
    found = []
    for question, _, first, second in SURGERY:
        pairs = losses[[first, second]].dropna()
        reference = float(pairs[second].mean()) if len(pairs) else None
        differences = pairs[first] - pairs[second]
        found.append(
            Comparison(
                *(question, words[first], words[second], at, "nats", differences),
                *(reference, LOSS_MARGIN_NATS),
            )
        )
    return found


def timing_comparison(tables: RankTables, roles: Roles, arm: str, has_changed: bool) -> Comparison:
    """How many doublings later half of K's change is done than half of the loss's.

    Args:
        tables: as planned.
        roles: for the arm's words.
        arm: the arm.
        has_changed: whether its rank changed at all; else there is no place to tell.
    """
    ranks, losses = chain_ranks(tables), chain_losses(tables)
    found: dict[int, float] = {}
    for seed in _shared_seeds(ranks, losses, (arm,)) if has_changed else ():
        places = [halfway(trajectory(values, arm, seed)) for values in (ranks, losses)]
        if places[0] is not None and places[1] is not None:
            found[seed] = places[0] - places[1]
    note = "" if has_changed else f"No change of K's rank is shown under {roles.label(arm)}."
    return Comparison(
        *("timing", "half of K's change", "half of the loss's", roles.label(arm)),
        *("doublings of tokens", pd.Series(found, dtype=float), None, TIMING_MARGIN),
        note=note,
    )


def fall_comparisons(
    tables: RankTables,
    roles: Roles,
    arms: Iterable[str],
    margin: float | None,
    which: str = PRIMARY,
) -> list[Comparison]:
    """Of every arm, the trained model against its own random weights."""
    ranks = chain_ranks(tables, which)
    found = []
    for arm in arms:
        start = ranks[ranks.index.get_level_values("arm") == arm]
        start = start[start.index.get_level_values("tokens") == 0].droplevel(["arm", "tokens"])
        pairs = pd.DataFrame({"end": at_last(ranks, arm), "start": start}).dropna()
        reference = float(pairs["start"].mean()) if len(pairs) else None
        share = MARGIN_SHARE * (reference or 1.0)
        found.append(
            Comparison(
                *("fall", "trained", "random weights", roles.label(arm), DIRECTIONS),
                *((pairs["end"] - pairs["start"]).astype(float), reference),
                share if margin is None else margin,
            )
        )
    return found
