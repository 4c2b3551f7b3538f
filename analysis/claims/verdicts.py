"""The verdict on every claim, and what each came to in words."""

from collections.abc import Sequence

from analysis.claims.effects import Verdict, judge
from analysis.early_warning.verdict import LeadVerdict, judge_lead, lead_in_words
from analysis.metrics import metric_info
from analysis.statistics import ALPHA
from analysis.study import StudyRecord
from collapse.claims import Claim


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


def rules_in_words(found: Sequence[Verdict | LeadVerdict]) -> str:
    """What supports and what refutes claims of the kinds that are there."""
    similar = [one for one in found if one.claim.direction == "similar"]
    leads = [one for one in found if one.claim.is_lead]
    told = []
    if len(found) > len(similar) + len(leads):
        told.append(
            "Supported: the whole 95 % interval lies beyond the margin. Refuted: all of it lies "
            "short of the margin. Both need an exact two-sided sign-flip p of at most "
            f"{ALPHA}, over seeds, against the margin."
        )
    if similar:
        told.append(
            "That arms are similar is supported where the whole interval lies within the margin on "
            f"either side and the exact equivalence p is at most {ALPHA}, and refuted where all of "
            "it lies beyond the margin on one side, with such a sign-flip p."
        )
    if leads:
        told.append(
            "A lead is supported where the interval of the median over chains lies at the margin "
            "or above, at a threshold whose false alarms are bounded, and refuted where it lies "
            "below even at a threshold that is surely not too strict."
        )
    return " ".join(told)


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
