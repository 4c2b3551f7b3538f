"""What the analysis is handed: the claims of a study and everything its chains measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from analysis.ranks.tables import RankTables
from collapse.claims import Claim
from collapse.errors import BadInput

_PLACE = ("arm", "seed", "generation")
MEASUREMENT_COLUMNS = (*_PLACE, "metric", "value")
SAMPLE_COLUMNS = ("arm", "seed", "generation", "text")
COMPLETION_COLUMNS = (
    *("arm", "seed", "generation"),
    *("prompt", "completion", "class", "parses", "kept"),
)
ORIGIN_COLUMNS = ("arm", "seed", "generation", "inherited_nats", "drawn_nats", "passed_nats")
RUN_COLUMNS = ("run_id", "arm", "seed", "generation", "stage", "status", "seconds", "fingerprint")

SPECTRUM_COLUMNS = ("arm", "seed", "generation", "text", "probe", "step", "alpha", "beta")
OUTLIER_COLUMNS = (
    *("arm", "seed", "generation", "text"),
    *("rank", "value", "residual_bound", "certified"),
)

# Tracking stores write infinity as the largest double; nothing that is measured is this large.
_LARGEST_MEASURED = 1e300


@dataclass(frozen=True, eq=False)
class StudyRecord:
    """Everything a study's report is made from.

    Attributes:
        name: the study's name.
        question: the question it asks, in one sentence.
        control_arm: the arm that the others are compared with; one that is not in ``arms``
            means that there is no control.
        arms: all planned arms, in the order to show them.
        kinds: arm to its kind (DESIGN 5), such as ``replace`` or ``fresh``; where an arm goes back
            to human text it is the kind it begins with.
        seeds: all planned seeds; an arm may have been given fewer, see ``seeds_of``.
        arm_seeds: arm to its number of seeds, where it is not all of them.
        starts: arm to the weights that its generations start from, parent or fresh.
        returns: arm to the first generation that reads human text again, where one does.
        arm_settings: arm to what its generation 0 is trained with: model, steps, rates.
        changes: arm to the settings in which it differs from the control, but for what it reads;
            arms that differ in that alone are not there.
        controls: arm to the arm that is trained as it is, on human text as the control's is; the
            control itself where only what an arm reads or how it writes tells them apart.
        generations: number of the last planned generation; 0 is a baseline alone.
        settings: what the study was run with; ``settings["commands"]``, a line or a list of
            lines, says how to run it again.
        claims: the claims under test.
        claims_hash: the hash that was stored before the first chain ran.
        claims_changed: the claims are not those that were hashed then.
        spectra: columns ``SPECTRUM_COLUMNS``, the raw Lanczos runs of Hessians, one row a step:
            ``text`` is human or own, ``alpha`` and ``beta`` (nats per squared unit of a
            parameter) are the tridiagonal of the probe vector ``probe``.
        outliers: columns ``OUTLIER_COLUMNS``, their certified eigenvalues: ``rank`` counts from
            ``"1"``, the largest in magnitude; ``"lambda_max"`` and ``"lambda_min"`` are the ends.
        measurements: columns ``MEASUREMENT_COLUMNS``, one row a number. Generation 0 is shared
            by the arms of a seed, and is there for each of them.
        samples: columns ``SAMPLE_COLUMNS``, a few sample texts of each generation.
        runs: columns ``RUN_COLUMNS`` and, where known, ``url``; failed runs too.
        completions: columns ``COMPLETION_COLUMNS``, prompts of code with their completions, in the
            order in which they were asked: ``class`` is one of the code study's (R4.3), ``parses``
            whether prompt and completion are Python to the last character, ``kept`` the lines of
            the completion that are, with their prompt; empty for other studies.
        origins: columns ``ORIGIN_COLUMNS``, what the text that a generation read had lost of the
            truth before; empty where the truth is not known.
        dynamics: columns arm, seed, step, metric, value: tasks at weights kept on the way; empty
            where none were.
        ranks: how many directions heads use while generation 0 learns, and what pruning costs.

    Raises:
        BadInput: if a column is missing, a seed or generation is no whole number, or one
            measurement has two different values.
    """

    name: str
    question: str
    control_arm: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    generations: int
    settings: Mapping[str, object]
    claims: tuple[Claim, ...]
    claims_hash: str
    measurements: pd.DataFrame
    samples: pd.DataFrame
    runs: pd.DataFrame
    claims_changed: bool = False
    spectra: pd.DataFrame = field(default_factory=pd.DataFrame)
    outliers: pd.DataFrame = field(default_factory=pd.DataFrame)
    completions: pd.DataFrame = field(default_factory=pd.DataFrame)
    dynamics: pd.DataFrame = field(default_factory=pd.DataFrame)
    origins: pd.DataFrame = field(default_factory=pd.DataFrame)
    ranks: RankTables = field(default_factory=RankTables)
    kinds: Mapping[str, str] = field(default_factory=dict)
    arm_seeds: Mapping[str, int] = field(default_factory=dict)
    starts: Mapping[str, str] = field(default_factory=dict)
    returns: Mapping[str, int] = field(default_factory=dict)
    arm_settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    changes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    controls: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the frames once, so that no other function has to."""
        frames = {
            "measurements": _distinct(
                _checked(self.measurements, "measurements", MEASUREMENT_COLUMNS)
            ),
            "samples": _checked(self.samples, "samples", SAMPLE_COLUMNS),
            "runs": _checked(self.runs, "runs", RUN_COLUMNS, whole=()),
            "spectra": _checked(self.spectra, "spectra", SPECTRUM_COLUMNS),
            "outliers": _checked(self.outliers, "outliers", OUTLIER_COLUMNS),
            "completions": _checked(self.completions, "completions", COMPLETION_COLUMNS),
            "origins": _checked(self.origins, "origins", ORIGIN_COLUMNS),
        }
        for name, frame in frames.items():
            object.__setattr__(self, name, frame)

    @property
    def is_recursion(self) -> bool:
        """Whether generations follow the first, which all arms of a seed then share."""
        return self.generations > 0

    def seeds_of(self, *arms: str) -> tuple[int, ...]:
        """The seeds that were planned for all of these arms."""
        fewest = min((self.arm_seeds.get(arm, len(self.seeds)) for arm in arms), default=0)
        return self.seeds[:fewest]

    @property
    def healthy_arms(self) -> tuple[str, ...]:
        """The arms that read human text alone: no alarm of theirs is a true one."""
        return tuple(arm for arm in self.arms if self.kinds.get(arm) in {"fresh", "static"})

    def control_of(self, arm: str) -> str | None:
        """The arm's own control, else the study's, or None where the study has none."""
        own = self.controls.get(arm, self.control_arm)
        return own if own in self.arms else self.control

    @property
    def pictured_arms(self) -> tuple[str, ...]:
        """The arms to draw in one panel: all but the own controls of arms that are changed."""
        own = set(self.controls.values()) - {self.control_arm}
        return tuple(arm for arm in self.arms if arm not in own)

    @property
    def named_control(self) -> str:
        """What arms are compared with, in words that are right for all of them."""
        controls = {self.control_of(arm) for arm in self.arms}
        return self.control_arm if controls <= {self.control} else "its own control"

    @property
    def control(self) -> str | None:
        """The control arm, or None where the study has none."""
        return self.control_arm if self.control_arm in self.arms else None

    @cached_property
    def values_by_metric(self) -> Mapping[str, pd.Series]:
        """What `metric_values` gives, of every metric that has any: sorted once for them all."""
        rows = self.measurements
        planned = (
            rows["arm"].isin(self.arms)
            & rows["seed"].isin(self.seeds)
            & rows["generation"].between(0, self.generations)
            & is_measured(rows["value"])
        )
        return {
            str(metric): of_one.set_index(list(_PLACE))["value"].sort_index()
            for metric, of_one in rows[planned].groupby("metric")
        }


def metric_values(record: StudyRecord, metric: str) -> pd.Series:
    """The finite values of one metric at the planned arms, seeds and generations.

    Args:
        record: the study.
        metric: the metric's name.

    Returns:
        Values with the index (arm, seed, generation), sorted; empty where nothing was measured.
    """
    found = record.values_by_metric.get(metric)
    if found is None:
        return record.measurements[:0].set_index(list(_PLACE))["value"]
    return found.copy()


def chain_values(values: pd.Series, arm: str, seed: int) -> pd.Series:
    """One chain's values by generation, out of those of `metric_values`."""
    return values[
        (values.index.get_level_values("arm") == arm)
        & (values.index.get_level_values("seed") == seed)
    ].droplevel(["arm", "seed"])


def is_measured(values: pd.Series) -> pd.Series:
    """Which values are numbers, and neither infinite nor missing."""
    return values.abs() < _LARGEST_MEASURED


def _checked(
    frame: pd.DataFrame,
    name: str,
    columns: tuple[str, ...],
    whole: tuple[str, ...] = ("seed", "generation"),
) -> pd.DataFrame:
    """A copy that has the columns, with whole numbers where they belong."""
    if frame.empty:
        return pd.DataFrame({column: frame.get(column, []) for column in columns})
    missing = [column for column in columns if column not in frame]
    if missing:
        raise BadInput(
            f"{name} has no column {', '.join(missing)}; it must have {', '.join(columns)}"
        )
    frame = frame.reset_index(drop=True)
    for column in whole:
        try:
            frame[column] = frame[column].astype(int)
        except (TypeError, ValueError) as error:
            raise BadInput(f"{name}: {column} must be a whole number in every row") from error
    return frame


def _distinct(measurements: pd.DataFrame) -> pd.DataFrame:
    """The measurements without exact repetitions; two different values are an error."""
    rows = measurements.astype({"value": float}).drop_duplicates(ignore_index=True)
    twice = rows.duplicated(["arm", "seed", "generation", "metric"])
    if twice.any():
        arm, seed, generation, metric, _ = rows[twice].iloc[0][list(MEASUREMENT_COLUMNS)]
        raise BadInput(
            f"measurements has two different values of {metric} for arm {arm}, seed {seed}, "
            f"generation {generation}; there must be one"
        )
    return rows
