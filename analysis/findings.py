"""What a study found: its verdicts in words, the positive control, what is missing."""

from dataclasses import dataclass

import pandas as pd

from analysis.early_warning.verdict import LeadVerdict, judge_lead, lead_in_words
from analysis.effects import Verdict, judge
from analysis.metrics import metric_info
from analysis.study import StudyRecord, is_measured, metric_values
from collapse.claims import Claim

KL_METRICS = ("truth/kl_nats_per_token", "truth/kl_nats_per_story")
REPLACE_LEAST_RATIO = 1.5
FRESH_MOST_RATIO = 1.25

_NOT_MET = {
    "replace": "there is too little decline here to learn anything about signals of decline.",
    "fresh": "the control declines as well, so decline elsewhere is not recursion's alone.",
}
_DONE = frozenset({"finished", "reused"})
_BROKEN = frozenset({"failed", "killed"})


@dataclass(frozen=True)
class ControlCheck:
    """The positive control of one chain: KL at the last generation over KL at generation 0.

    Attributes:
        arm: replace or fresh.
        seed: the chain's seed.
        ratio: None where either value is missing or the first is not positive.
        wanted: what the ratio should be, in words.
        is_met: whether it is so; None where it was not measured.
    """

    arm: str
    seed: int
    ratio: float | None
    wanted: str
    is_met: bool | None


@dataclass(frozen=True)
class IncompleteChain:
    """A planned chain that does not reach the last generation.

    Attributes:
        arm: its arm.
        seed: its seed.
        last_generation: the last one with a measurement; None where there is none at all.
    """

    arm: str
    seed: int
    last_generation: int | None


def positive_control(record: StudyRecord) -> tuple[ControlCheck, ...]:
    """Whether the study can show decline where there must be some, and none where there is none.

    A study whose replace arm does not drift from the truth, or whose fresh arm does, can't say
    anything of the signals that are to be found on the way.

    Args:
        record: the study.

    Returns:
        One check for each seed of the arms replace and fresh, as far as they are planned; none
        where the distance from the truth is not known, or where nothing follows generation 0.
    """
    kl = next((v for v in (metric_values(record, m) for m in KL_METRICS) if len(v)), None)
    if kl is None or record.generations == 0:
        return ()
    checks = []
    for arm in ("replace", "fresh"):
        for seed in record.seeds_of(arm) if arm in record.arms else ():
            first, last = (kl.get((arm, seed, g)) for g in (0, record.generations))
            ratio = None
            if first is not None and last is not None and first > 0:
                ratio = float(last) / float(first)
            checks.append(_check(arm, seed, ratio))
    return tuple(checks)


def _check(arm: str, seed: int, ratio: float | None) -> ControlCheck:
    if arm == "replace":
        wanted, is_met = f"at least {REPLACE_LEAST_RATIO}", ratio and ratio >= REPLACE_LEAST_RATIO
    else:
        wanted, is_met = f"below {FRESH_MOST_RATIO}", ratio and ratio < FRESH_MOST_RATIO
    return ControlCheck(arm, seed, ratio, wanted, None if ratio is None else bool(is_met))


def positive_control_in_words(checks: tuple[ControlCheck, ...]) -> str:
    """One sentence: met, not met (and by whom), or not measured."""
    if not checks:
        return (
            "Not available: the distance from the truth was not measured after generation 0 "
            "in an arm replace or fresh."
        )
    unknown = [f"{c.arm} seed {c.seed}" for c in checks if c.is_met is None]
    absent = [arm for arm in ("replace", "fresh") if arm not in {c.arm for c in checks}]
    parts = [
        f"NOT met by {failed}: {_NOT_MET[arm]}"
        for arm in ("replace", "fresh")
        if (failed := _failed(checks, arm))
    ]
    if not parts and not unknown and not absent:
        parts.append("Met by every chain.")
    elif not parts and any(c.is_met for c in checks):
        parts.append("Met by every chain that could be checked, but it is not complete.")
    if unknown:
        parts.append(f"Not measured for {', '.join(unknown)}.")
    if absent:
        parts.append(f"The study has no arm {' and no arm '.join(absent)}.")
    return " ".join(parts)


def _failed(checks: tuple[ControlCheck, ...], arm: str) -> str:
    """The arm's chains that missed what was wanted, with their ratios."""
    missed = [c for c in checks if c.arm == arm and c.is_met is False]
    return ", ".join(f"{c.arm} seed {c.seed} ({c.ratio:.2f})" for c in missed)


def incomplete_chains(record: StudyRecord) -> tuple[IncompleteChain, ...]:
    """The planned chains without any measurement at the last generation."""
    rows = record.measurements[is_measured(record.measurements["value"])]
    last = rows.groupby(["arm", "seed"])["generation"].max()
    chains = []
    for arm in record.arms:
        for seed in record.seeds_of(arm):
            reached = last.get((arm, seed))
            if reached is None or reached < record.generations:
                chains.append(IncompleteChain(arm, seed, None if reached is None else int(reached)))
    return tuple(chains)


CONDITIONS = ("done", "broken", "open", "redone")


def run_condition(status: object) -> str:
    """``done``, ``broken`` or ``open``, from the status a tracking store gives."""
    word = str(status).lower()
    if word in _DONE:
        return "done"
    return "broken" if word in _BROKEN else "open"


def run_conditions(runs: pd.DataFrame) -> pd.Series:
    """The condition of every run; ``redone`` where another run of its fingerprint has finished."""
    conditions = runs["status"].map(run_condition).astype(object)
    finished = set(runs.loc[conditions == "done", "fingerprint"].dropna())
    return conditions.mask((conditions != "done") & runs["fingerprint"].isin(finished), "redone")


def run_counts(runs: pd.DataFrame) -> dict[str, int]:
    """How many runs are in each condition."""
    conditions = list(run_conditions(runs))
    return {name: conditions.count(name) for name in CONDITIONS}


def verdicts(record: StudyRecord) -> tuple[Verdict | LeadVerdict, ...]:
    """The verdict on every claim, in the order of the study."""
    return tuple(
        judge_lead(claim, record) if claim.is_lead else judge(claim, record)
        for claim in record.claims
    )


def contrast_in_words(claim: Claim) -> str:
    """What is taken from what; the arm alone where a claim is on one."""
    pairs = [" minus ".join(claim.contrast[i : i + 2]) for i in range(0, len(claim.contrast), 2)]
    return pairs[0] if len(pairs) == 1 else f"({pairs[0]}) less ({pairs[1]})"


def estimate_in_words(verdict: Verdict | LeadVerdict) -> str:
    """The estimate with its interval and p, or that there is none."""
    if isinstance(verdict, LeadVerdict):
        return lead_in_words(verdict)
    claim = verdict.claim
    what = contrast_in_words(claim)
    if verdict.estimate is None:
        return f"No estimate of {what}."
    info = metric_info(claim.indicator)
    sign = "" if claim.is_level else "+"
    value = info.write if claim.is_level else info.write_difference
    text = f"{info.label}, {what} at generation {verdict.generation}: {value(verdict.estimate)}"
    if verdict.interval is not None:
        lower, upper = (info.write_bare(end, sign) for end in verdict.interval)
        text += f", 95 % interval {lower} to {upper}"
    return f"{text}, {verdict.n_seeds} seed{'s' * (verdict.n_seeds != 1)}."


def headline(found: tuple[Verdict | LeadVerdict, ...]) -> str:
    """How many claims are supported, refuted and undecided."""
    if not found:
        return "No claim was put under test; what follows is a description."
    counts = [
        (sum(v.status == status for v in found), status)
        for status in ("supported", "refuted", "undecided")
    ]
    of_all = ", ".join(f"{n} {status}" for n, status in counts if n)
    return f"{len(found)} claim{'s' * (len(found) != 1)} under test: {of_all}."
