"""What the analysis of scaling reads: one row a chain, and the settings of each arm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.metrics.tasks import TASKS
from analysis.study import StudyRecord, is_measured

Settings = Mapping[str, Mapping[str, object]]

OVERALL = "benchmark/overall"
LOSS, BITS = "human/nll_nats", "human/bits_per_byte"
BODY, TOTAL = "train/body_parameters", "train/parameters"
_SHAPE = ("preset", "preset_overrides")
_OF_NO_CONSEQUENCE = ("checkpoint_tokens", "checkpoint_every", "evaluate_every")
"""When a training is looked at, which changes no weight of it."""
_NEAR = 1e-9


@dataclass(frozen=True, eq=False)
class ScalingTables:
    """The chains of a study of scaling.

    Attributes:
        chains: index (arm, seed), a column a metric, of generation 0; nan where not measured.
        settings: arm to what it was trained with.
        arms: the planned arms, in order.
        planned: arm to the number of seeds that were planned for it.
        control: the arm that the others are compared with; None without one.
    """

    chains: pd.DataFrame
    settings: Settings
    arms: tuple[str, ...]
    planned: Mapping[str, int]
    control: str | None

    def by_seed(self, metric: str, arms: Sequence[str]) -> pd.DataFrame:
        """A metric with a row for each seed that has it in all of these arms, a column an arm."""
        if metric not in self.chains or not arms:
            return pd.DataFrame(columns=list(arms), dtype=float)
        wide = self.chains[metric].unstack("arm").reindex(columns=list(arms))
        return wide.dropna().sort_index()

    def of_arm(self, metric: str, arm: str) -> pd.Series:
        """A metric of one arm by seed, missing ones left out."""
        if metric not in self.chains:
            return pd.Series(dtype=float)
        of_all = self.chains[metric]
        own = of_all[of_all.index.get_level_values("arm") == arm].droplevel("arm")
        return own.dropna().sort_index()

    def with_metric(self, metric: str) -> tuple[str, ...]:
        """The arms with a value, in order."""
        return tuple(arm for arm in self.arms if len(self.of_arm(metric, arm)))

    def means(self, metric: str) -> pd.Series:
        """Mean over seeds by arm, in order, of arms that have it."""
        found = {arm: float(self.of_arm(metric, arm).mean()) for arm in self.with_metric(metric)}
        return pd.Series(found, dtype=float)

    @property
    def trained(self) -> tuple[str, ...]:
        """The arms trained for as many steps as the control, or else as most: no baselines."""
        steps = {arm: self.number(arm, "baseline_steps") for arm in self.arms}
        known = [value for value in steps.values() if value is not None]
        usual = steps.get(self.control or "") or max(known, key=known.count, default=None)
        return tuple(arm for arm in self.arms if steps[arm] in {None, usual})

    @property
    def usual_seeds(self) -> int:
        """The number of seeds that was planned for most of the trained arms."""
        numbers = sorted((self.planned[arm] for arm in self.trained), reverse=True)
        return max(numbers, key=numbers.count, default=0)

    @property
    def joint(self) -> tuple[str, ...]:
        """The trained arms that are compared all at once, on the seeds that they share.

        One that was planned with fewer seeds than most would take the seeds of all others away.
        """
        return tuple(arm for arm in self.trained if self.planned[arm] >= self.usual_seeds)

    @property
    def sizes(self) -> str:
        """The metric of size: parameters without embeddings, where they are known."""
        return BODY if BODY in self.chains else TOTAL

    @property
    def loss(self) -> str:
        """The loss that compares arms: bits per byte where their vocabularies differ."""
        if BITS in self.chains and (LOSS not in self.chains or self._vocabularies_differ()):
            return BITS
        return LOSS

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that were measured, in the order of R3.4."""
        return tuple(task for task in TASKS if score_of(task) in self.chains)

    def setting(self, arm: str, name: str) -> object:
        """What an arm was trained with; None where not known."""
        return self.settings.get(arm, {}).get(name)

    def number(self, arm: str, name: str) -> float | None:
        """A setting that is a positive number, else None."""
        value = self.setting(arm, name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(value)
        return None

    def _vocabularies_differ(self) -> bool:
        found = self.means("corpus/vocabulary_size")
        return len(found) > 1 and float(found.max() - found.min()) > _NEAR


def score_of(task: str) -> str:
    """The metric that a task is judged by: accuracy, of SQuAD exact match."""
    return f"benchmark/{task}/{'em' if task == 'squad' else 'acc'}"


def scaling_tables(record: StudyRecord, settings: Settings) -> ScalingTables | None:
    """One row a chain; None for a study of generations, or without benchmark."""
    rows = record.measurements
    known = (
        rows["arm"].isin(record.arms)
        & rows["seed"].isin(record.seeds)
        & (rows["generation"] == 0)
        & is_measured(rows["value"])
    )
    chains = rows[known].pivot(index=["arm", "seed"], columns="metric", values="value")
    if record.is_recursion or OVERALL not in chains:
        return None
    planned = {arm: len(record.seeds_of(arm)) for arm in record.arms}
    return ScalingTables(chains, settings, record.arms, planned, record.control)


def rescaled(tables: ScalingTables, task: str) -> pd.Series:
    """A task's score of every chain from its floor (0) to all right (1)."""
    floor = tables.chains.get(f"benchmark/{task}/floor", 0.0)
    return (tables.chains[score_of(task)] - floor) / (1.0 - floor)


def shape_arms(tables: ScalingTables) -> tuple[str, ...]:
    """Arms that differ in nothing but their shape, by rising size, one a size.

    Of several such groups the one with most sizes, and of equals the control's.
    """
    means = tables.means(tables.sizes)
    groups: dict[str, list[str]] = {}
    for arm in tables.trained:
        if arm in means:
            groups.setdefault(_rest(tables, arm), []).append(arm)
    found = [_one_a_size(group, means) for group in groups.values()]
    return max(found, key=lambda group: (len(group), tables.control in group), default=())


def rate_curves(tables: ScalingTables) -> tuple[tuple[str, ...], ...]:
    """Groups of arms that differ in nothing but learning rates, at least three, by rising rate."""
    groups: dict[str, dict[float, str]] = {}
    for arm in tables.trained:
        rate = tables.number(arm, "learning_rate")
        if rate is not None:
            others = _rest(tables, arm, ("learning_rate", "muon_learning_rate"))
            groups.setdefault(others, {}).setdefault(rate, arm)
    curves = [tuple(of[rate] for rate in sorted(of)) for of in groups.values()]
    return tuple(curve for curve in curves if len(curve) >= 3)


def _rest(tables: ScalingTables, arm: str, without: Sequence[str] = _SHAPE) -> str:
    """An arm's settings apart from those that may differ, in one text."""
    apart = {*without, *_OF_NO_CONSEQUENCE}
    return repr(sorted((k, v) for k, v in tables.settings.get(arm, {}).items() if k not in apart))


def _one_a_size(group: Sequence[str], means: pd.Series) -> tuple[str, ...]:
    of_size: dict[float, str] = {}
    for arm in group:
        of_size.setdefault(float(means[arm]), arm)
    return tuple(of_size[size] for size in sorted(of_size))
