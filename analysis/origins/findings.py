"""The parts of the distance from the truth, arm by arm over generations, and beside the control."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.claims.effects import Effect, effect
from analysis.study import StudyRecord, metric_values

PARTS = ("sampling", "fitting", "decoding")
WHOLE = "total"
_NOTHING = 1e-6
_MOST_ARMS = 8


@dataclass(frozen=True, eq=False)
class OriginFindings:
    """Where the distance from the truth comes from.

    Attributes:
        record: the study.
        chains: index (arm, seed, generation); columns sampling, fitting, decoding, total, and
            where they are known made_up, not_learned, read_made_up, inherited, drawn, passed and
            added, in nats a story. Only chains that have all parts, so that means over seeds add
            up.
        last: the last generation that has any.
        arms: those that are measured there, in the study's order.
    """

    record: StudyRecord
    chains: pd.DataFrame
    last: int
    arms: tuple[str, ...]

    def means(self, arm: str, generation: int, seeds: pd.Index | None = None) -> pd.Series:
        """Every part of an arm, mean over the seeds that are there, or over some of them.

        A part that one of them lacks is missing.
        """
        rows = self._of(arm, generation)
        return (rows if seeds is None else rows.loc[seeds]).mean(skipna=False)

    def at(self, arm: str, column: str, generation: int) -> pd.Series:
        """One part of an arm by seed."""
        return self._of(arm, generation)[column]

    def _of(self, arm: str, generation: int) -> pd.DataFrame:
        index = self.chains.index
        is_arm = index.get_level_values("arm") == arm
        is_then = index.get_level_values("generation") == generation
        return self.chains[is_arm & is_then].droplevel(["arm", "generation"])

    def generations_of(self, arm: str) -> list[int]:
        """The generations at which an arm has all parts."""
        index = self.chains.index
        own = index[index.get_level_values("arm") == arm]
        return sorted(set(own.get_level_values("generation")))

    def has(self, column: str) -> bool:
        """Whether every chain has this part at every generation."""
        return bool(self.chains[column].notna().all())

    @property
    def decodes_plainly(self) -> bool:
        """Whether nothing was lost by decoding anywhere, as at temperature 1 without filters."""
        return bool((self.chains["decoding"].abs() < _NOTHING).all())

    @property
    def control(self) -> str | None:
        """The control, where it is measured."""
        return self.record.control if self.record.control in self.arms else None

    def control_of(self, arm: str) -> str | None:
        """An arm's own control, where that is measured, else the study's."""
        own = self.record.control_of(arm)
        return own if own in self.arms else self.control

    def beside(self, arm: str, column: str = WHOLE) -> Effect:
        """How much more of it an arm has than its control, paired by seed, at the last generation.

        Without a control, than itself at generation 0.
        """
        own = self.at(arm, column, self.last)
        if (control := self.control_of(arm)) is not None:
            other = self.at(control, column, self.last)
        else:
            other = self.at(arm, column, 0)
        return effect((own - other).dropna().to_numpy())

    @property
    def others(self) -> tuple[str, ...]:
        """The arms that are held beside the control; the control itself where it is alone."""
        return tuple(arm for arm in self.arms if arm != self.control) or self.arms

    @property
    def told(self) -> str:
        """The arm that differs most from the control."""
        return max(self.others, key=lambda arm: abs(self.beside(arm).mean or 0.0))

    @property
    def shown(self) -> tuple[str, ...]:
        """The arms to draw: of many those that differ most from the control, and it."""
        others = [arm for arm in self.arms if arm != self.control]
        most = sorted(others, key=lambda arm: -abs(self.beside(arm).mean or 0.0))
        chosen = {*most[: _MOST_ARMS - (self.control is not None)], self.control}
        return tuple(arm for arm in self.arms if arm in chosen)


def origin_findings(record: StudyRecord) -> OriginFindings | None:
    """Work out everything; None where no chain has all parts, as on other corpora."""
    chains = _chains(record)
    if chains.empty:
        return None
    generations = chains.index.get_level_values("generation")
    last = int(generations.max())
    there = set(chains.index[generations == last].get_level_values("arm"))
    return OriginFindings(record, chains, last, tuple(a for a in record.arms if a in there))


def parts_table(found: OriginFindings) -> pd.DataFrame:
    """Means over seeds by arm and generation, with the number of seeds and the whole's spread."""
    groups = found.chains.groupby(level=["arm", "generation"])
    table = groups.mean(skipna=False)
    table["total_sd"] = groups["total"].std()
    table["n_seeds"] = groups["total"].count()
    return table.reset_index()


def _chains(record: StudyRecord) -> pd.DataFrame:
    names: Sequence[str] = (*PARTS, WHOLE, "made_up")
    columns = {name: metric_values(record, f"origin/{name}_nats") for name in names}
    chains = pd.DataFrame(columns).dropna(subset=[*PARTS, WHOLE])
    if chains.empty:
        return chains
    before = record.origins.set_index(["arm", "seed", "generation"]).reindex(chains.index)
    chains = chains.join(before.rename(columns=lambda name: name.removesuffix("_nats")))
    is_plain = chains["decoding"].abs() < _NOTHING
    # Samples are drawn with the decoding, so that only without one their share is the model's own.
    made_up = chains["made_up"].where(is_plain, np.nan)
    read_valid = metric_values(record, "origin/read_valid_fraction").reindex(chains.index)
    chains = chains.assign(
        not_learned=chains["fitting"] - made_up,
        read_made_up=np.log(1 / read_valid.where(read_valid > 0)),
    )
    return chains.assign(added=chains["total"] - chains["passed"]).astype(float)
