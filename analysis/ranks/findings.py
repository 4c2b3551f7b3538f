"""All that a study's ranks say: the answers, what stands beside them, and what is missing."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import pandas as pd

from analysis.comparisons.answers import Answer, answers
from analysis.families import holm
from analysis.ranks.chains import (
    COMPANIONS,
    chain_conditions,
    chain_losses,
    chain_ranks,
    schedule,
    trajectory,
)
from analysis.ranks.changes import ChangeTest, Word, change_test, change_word
from analysis.ranks.gains import GainRelation, gain_relation
from analysis.ranks.questions import (
    EQUAL_TOKENS,
    area_comparisons,
    at_last,
    fall_comparisons,
    rank_comparisons,
    surgery_comparisons,
    timing_comparison,
)
from analysis.ranks.tables import RankTables, Roles, roles_of
from analysis.statistics import ALPHA
from analysis.study import StudyRecord
from collapse.numerics.streams import numpy_stream

INDICATOR = "svd/K/participation_ratio"
"""Claims on it preset the margin of all ranks."""


@dataclass(frozen=True)
class ArmChange:
    """Sudden or gradual, for one arm.

    Attributes:
        arm: the arm.
        rank: the test on K's participation ratio, all chains together.
        rank_p: its p's (flat, gradual, sudden), corrected by Holm over the arms.
        word: the verdict on those.
        alone: the verdicts on single chains, not corrected.
        loss: the test on the loss curves.
    """

    arm: str
    rank: ChangeTest
    rank_p: tuple[float, float, float]
    word: Word
    alone: tuple[Word, ...]
    loss: ChangeTest


@dataclass(frozen=True)
class MissingChain:
    """A planned chain without K's rank at the last checkpoint.

    Attributes:
        arm: its arm.
        seed: its seed.
        last_tokens: tokens of its last checkpoint; None where nothing was measured.
    """

    arm: str
    seed: int
    last_tokens: float | None


@dataclass(frozen=True, eq=False)
class RankFindings:
    """What the ranks of a study say.

    Attributes:
        tables: of the planned arms and seeds.
        roles: which arm is which.
        arms: the planned arms, in order.
        seeds: the planned seeds.
        schedule: tokens of the checkpoints.
        is_preset: the margin of ranks comes from the study's claims, not from a share.
        answers: of R5.7, one family.
        areas: surgery over the whole curve, beside the answers.
        falls: of every arm with a schedule, trained against random weights, a family of its own.
        companions: ``answers`` and ``falls`` of ranks at equal tokens, for each of ``COMPANIONS``;
            no family, only their estimates and intervals are read.
        changes: sudden or gradual, of every arm with trajectories.
        gains: gain against what its coordinate carries, where there are gains.
        n_planned: how many chains were planned.
        missing: those of them that are incomplete.
    """

    tables: RankTables
    roles: Roles
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    schedule: tuple[float, ...]
    is_preset: bool
    answers: tuple[Answer, ...]
    areas: tuple[Answer, ...]
    falls: tuple[Answer, ...]
    companions: dict[str, tuple[Answer, ...]]
    changes: tuple[ArmChange, ...]
    gains: GainRelation | None
    n_planned: int
    missing: tuple[MissingChain, ...]

    def answer(self, question: str, at: str = EQUAL_TOKENS) -> Answer:
        """The answer to a question; of surgery and timing there is one."""
        found = [one for one in self.answers if one.asked.question == question]
        return next((one for one in found if one.asked.at == at), found[0])

    def change(self, arm: str) -> ArmChange | None:
        """Sudden or gradual in one arm."""
        return next((one for one in self.changes if one.arm == arm), None)


def rank_findings(record: StudyRecord) -> RankFindings | None:
    """Work out everything; None where a study neither compares these arms nor has trajectories.

    Args:
        record: the study; ``settings["roles"]`` may say which arm plays which role.
    """
    roles, tables = roles_of(record.settings), record.ranks.planned(record.arms, record.seeds)
    looks = schedule(tables)
    if tables.is_empty or (len(looks) < 2 and not set(astuple(roles)) & set(record.arms)):
        return None
    margin = _preset_margin(record)
    changes = _changes(tables, record)
    here = next((one for one in changes if one.arm == roles.qknorm_muon), None)
    timing = timing_comparison(
        tables, roles, roles.qknorm_muon, here is not None and _has_changed(here)
    )
    surgery = surgery_comparisons(tables, roles.qknorm_muon)
    return RankFindings(
        tables,
        roles,
        record.arms,
        record.seeds,
        looks,
        margin is not None,
        answers([*rank_comparisons(tables, roles, margin), *surgery, timing]),
        answers(area_comparisons(tables, roles.qknorm_muon)),
        answers(fall_comparisons(tables, roles, record.arms, margin)),
        {which: _companion(tables, roles, record.arms, which) for which in COMPANIONS},
        changes,
        gain_relation(tables, roles.qknorm_muon),
        sum(len(record.seeds_of(arm)) for arm in record.arms),
        _missing(tables, record),
    )


def measures_table(found: RankFindings) -> pd.DataFrame:
    """Every measure of K, Q and their companions at the last checkpoint, one row a chain.

    Returns:
        Columns arm, seed, which, participation_ratio, participation_ratio_sq, rank_90 (means over
        heads and layers) and log10_condition (median; may be infinite).
    """
    rows = []
    for which in found.tables.ranks["which"].unique():
        columns = {
            name: chain_ranks(found.tables, which, name)
            for name in ("participation_ratio", "participation_ratio_sq", "rank_90")
        } | {"log10_condition": chain_conditions(found.tables, which)}
        for arm in found.arms:
            ends = pd.DataFrame({name: at_last(one, arm) for name, one in columns.items()})
            ends = ends.rename_axis("seed").reset_index()
            ends.insert(0, "arm", arm)
            ends.insert(2, "which", which)
            rows.append(ends)
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def _preset_margin(record: StudyRecord) -> float | None:
    """The least margin that claims preset on K's participation ratio, in directions."""
    margins = [one.margin for one in record.claims if one.indicator == INDICATOR and one.margin > 0]
    return min(margins, default=None)


def _companion(
    tables: RankTables, roles: Roles, arms: Sequence[str], which: str
) -> tuple[Answer, ...]:
    at_end = rank_comparisons(tables, roles, None, which, (EQUAL_TOKENS,))
    return answers([*at_end, *fall_comparisons(tables, roles, arms, None, which)])


def _changes(tables: RankTables, record: StudyRecord) -> tuple[ArmChange, ...]:
    """All arms with trajectories; corrected for how many they are."""
    ranks, losses = chain_ranks(tables), chain_losses(tables)
    found = []
    for arm in record.arms:
        of_rank = [trajectory(ranks, arm, seed) for seed in record.seeds]
        of_loss = [trajectory(losses, arm, seed) for seed in record.seeds]
        test = change_test(of_rank, numpy_stream(0, "change of rank", arm))
        if test.n_chains:
            loss = change_test(of_loss, numpy_stream(0, "change of loss", arm))
            found.append((arm, test, _alone(of_rank, arm), loss))
    kinds = ("p_if_flat", "p_if_gradual", "p_if_sudden")
    corrected = zip(
        *(holm([getattr(one[1], kind) for one in found]) for kind in kinds), strict=True
    )
    changes = []
    for (arm, test, alone, loss), p in zip(found, corrected, strict=True):
        flat, gradual, sudden = (float(one) for one in p)
        word = change_word(flat, gradual, sudden)
        changes.append(ArmChange(arm, test, (flat, gradual, sudden), word, alone, loss))
    return tuple(changes)


def _alone(chains: Sequence[pd.Series], arm: str) -> tuple[Word, ...]:
    """The verdict on each chain by itself, those with too few checkpoints left out."""
    tests = [
        change_test([chain], numpy_stream(0, "change of rank", arm, place))
        for place, chain in enumerate(chains)
    ]
    return tuple(test.word for test in tests if test.n_chains)


def _has_changed(change: ArmChange) -> bool:
    return change.rank_p[0] <= ALPHA


def _missing(tables: RankTables, record: StudyRecord) -> tuple[MissingChain, ...]:
    """The planned chains that do not reach the last checkpoint."""
    ranks, looks = chain_ranks(tables), schedule(tables)
    found = []
    for arm in record.arms:
        for seed in record.seeds_of(arm):
            tokens = trajectory(ranks, arm, seed).index
            if not len(tokens) or tokens.max() < looks[-1]:
                last = float(tokens.max()) if len(tokens) else None
                found.append(MissingChain(arm, seed, last))
    return tuple(found)
