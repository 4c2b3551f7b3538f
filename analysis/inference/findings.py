"""Everything the tests beyond single claims found in one study."""

from dataclasses import dataclass

from analysis.inference.anova import ArmsCompared, arms_compared
from analysis.inference.family import (
    Contrast,
    Equivalence,
    contrasts,
    equivalences,
    primary_claim,
)
from analysis.inference.links import LinkTable, link_table
from analysis.inference.mixed import SlopeContrast, slope_contrast
from analysis.inference.outcomes import leading_metrics, spectral_metrics, traditional_metrics
from analysis.runs import IncompleteChain, incomplete_chains
from analysis.study import StudyRecord


@dataclass(frozen=True, eq=False)
class InferenceFindings:
    """What was found.

    Attributes:
        record: the study.
        leading: the metrics that are drawn, and whose slopes and arms are compared.
        contrasts: every arm against its control at the last generation, the primary one first.
        slopes: the same over generations, leading metrics only.
        arms: analyses of variance of the leading metrics.
        equivalences: tests of the claims that arms are similar.
        links: spectral against traditional metrics; None with too little of either.
        missing: planned chains that did not reach the last generation.
        n_planned: planned chains.
    """

    record: StudyRecord
    leading: tuple[str, ...]
    contrasts: tuple[Contrast, ...]
    slopes: tuple[SlopeContrast, ...]
    arms: tuple[ArmsCompared, ...]
    equivalences: tuple[Equivalence, ...]
    links: LinkTable | None
    missing: tuple[IncompleteChain, ...]
    n_planned: int

    @property
    def primary(self) -> Contrast | None:
        """The primary contrast, where there is one."""
        return next((one for one in self.contrasts if one.is_primary), None)

    @property
    def family(self) -> tuple[Contrast, ...]:
        """The contrasts that are corrected together, as far as they were measured."""
        return tuple(c for c in self.contrasts if not c.is_primary and c.found.n_seeds)

    @property
    def holding(self) -> tuple[Contrast, ...]:
        """Those of the family that hold after correction."""
        return tuple(c for c in self.family if c.holds)


def inference_findings(record: StudyRecord) -> InferenceFindings | None:
    """Compare arms, trajectories and metrics of a study over generations.

    Args:
        record: the study.

    Returns:
        None for a study without generations, without a control or with one seed: the studies that
        end with generation 0 have families of answers of their own.
    """
    if not record.is_recursion or record.control is None or len(record.seeds) < 2:
        return None
    traditional, spectral = traditional_metrics(record), spectral_metrics(record)
    found = contrasts(record, (*traditional, *spectral))
    if not any(one.found.n_seeds for one in found):
        return None
    primary = primary_claim(record)
    first = (primary.indicator,) if primary else ()
    leading = tuple(dict.fromkeys((*first, *leading_metrics(record))))
    controls = {arm: record.control_of(arm) or record.control for arm in record.arms}
    compared = [pair for pair in controls.items() if pair[0] != record.control]
    missing = tuple(
        one for one in incomplete_chains(record) if one.seed in record.seeds_of(one.arm)
    )
    return InferenceFindings(
        record,
        leading,
        found,
        tuple(slope_contrast(record, m, *pair) for m in leading for pair in compared),
        tuple(arms_compared(record, metric) for metric in leading),
        equivalences(record),
        link_table(record, spectral, traditional),
        missing,
        sum(len(record.seeds_of(arm)) for arm in record.arms),
    )
