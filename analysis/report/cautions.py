"""What may not be concluded from a study."""

from analysis.claims.effects import Verdict
from analysis.early_warning.verdict import LeadVerdict
from analysis.runs import incomplete_chains
from analysis.statistics import ALPHA, least_pairs, least_sign_flip_p
from analysis.study import StudyRecord, is_measured, metric_values

MUCH_CUT = 0.05
"""Share of cut texts from which the report says so."""


def cautions(record: StudyRecord, found: tuple[Verdict | LeadVerdict, ...]) -> tuple[str, ...]:
    """What may NOT be concluded from this study, one sentence or two each."""
    candidates = (
        _too_few_seeds(record),
        "Undecided is not refuted: the claim may be true or false, these chains cannot tell."
        if any(verdict.status == "undecided" for verdict in found)
        else "",
        _several_claims(found),
        "The claims were changed after the first chain ran: every verdict here is exploratory."
        if record.claims_changed
        else "",
        _unequal_budgets(record),
        _cut_samples(record),
        _recursion_alone(record),
        _incomplete(record),
        _not_finite(record),
        "All of this holds for the corpus, the model and the schedule under Settings; nothing "
        "here says how far it carries to others.",
    )
    return tuple(caution for caution in candidates if caution)


def _too_few_seeds(record: StudyRecord) -> str:
    n, enough = len(record.seeds), least_pairs()
    if n >= enough:
        return ""
    return (
        f"With {n} seed{'s' * (n != 1)} no difference can be told from chance at the "
        f"{100 * ALPHA:.0f} % level, however large: the smallest p a sign-flip test can reach is "
        f"{least_sign_flip_p(n):.3g}. {enough} seeds would reach {least_sign_flip_p(enough):.3g}."
    )


def _several_claims(found: tuple[Verdict | LeadVerdict, ...]) -> str:
    decided = sum(verdict.status != "undecided" for verdict in found)
    if len(found) < 2 or not decided:
        return ""
    return (
        f"{len(found)} claims were each judged at the {100 * ALPHA:.0f} % level, without a "
        f"correction for their number: the chance of a wrong verdict somewhere may be as high as "
        f"{100 * min(1.0, ALPHA * len(found)):.0f} %."
    )


def _unequal_budgets(record: StudyRecord) -> str:
    """Arms may be compared only where they read equally much; `accumulate` never does."""
    budgets = ("text/tokens_offered", "train/tokens_seen")
    unequal = [metric for metric in budgets if _differs_from_controls(record, metric)]
    if not unequal:
        return ""
    other = record.named_control if record.control else record.arms[0]
    return (
        f"Not every arm read as much as {other} ({' and '.join(unequal)} differ): "
        "a difference between them may be one of budget."
    )


def _differs_from_controls(record: StudyRecord, metric: str) -> bool:
    """Whether an arm and its own control, at one seed and generation, have different values.

    The controls of changed arms are beside no other arm, and in a study without control every arm
    is held beside the first.
    """
    values = metric_values(record, metric).unstack("arm")
    values = values[values.index.get_level_values("generation") >= int(record.is_recursion)]
    beside = {arm: record.control_of(arm) or record.arms[0] for arm in record.pictured_arms}
    return any(
        ((values[arm] - values[control]).abs() > 0).any()
        for arm, control in beside.items()
        if {arm, control} <= set(values)
    )


def _cut_samples(record: StudyRecord) -> str:
    """Text that was cut at the length limit teaches the next generation to stop anywhere."""
    names = ("cut", "kept", "dropped", "sifted")
    cut, kept, dropped, sifted = (metric_values(record, f"synthesis/{name}") for name in names)
    # Too short texts and sifted ones were drawn, and cut or not, like those that were kept.
    drawn = kept.add(dropped, fill_value=0).add(sifted, fill_value=0)
    share = float((cut / drawn).max()) if len(cut) and len(drawn) else 0.0
    if share <= MUCH_CUT:
        return ""
    return (
        f"Up to {100 * share:.0f} % of the texts that a generation wrote were cut at "
        "max_new_tokens: part of the decline is the cutting, not the recursion."
    )


def _recursion_alone(record: StudyRecord) -> str:
    """A fresh control receives new information and a static one does not."""
    kinds = {record.kinds.get(arm, arm) for arm in record.arms}
    missing = [kind for kind in ("fresh", "static") if kind not in kinds]
    if not missing or len(record.arms) < 2 or not record.is_recursion:
        return ""
    return (
        "That recursion itself is the cause is claimed only beyond both controls, fresh and "
        f"static; this study has no arm of kind {' and none of kind '.join(missing)}."
    )


def _incomplete(record: StudyRecord) -> str:
    broken = incomplete_chains(record)
    if not broken:
        return ""
    n = sum(len(record.seeds_of(arm)) for arm in record.arms)
    return (
        f"{len(broken)} of {n} chains did not reach generation {record.generations}; they are "
        "listed in the report and count as missing, not as zero."
    )


def _not_finite(record: StudyRecord) -> str:
    lost = int((~is_measured(record.measurements["value"])).sum())
    if not lost:
        return ""
    return (
        f"{lost} value{'s were' if lost != 1 else ' was'} infinite or not a number, or not "
        "measured again by a later look, and left out of means and tests."
    )
