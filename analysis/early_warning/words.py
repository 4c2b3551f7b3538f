"""What is said of warnings, in sentences, and what may not be concluded from them."""

import numpy as np
import pandas as pd

from analysis.early_warning.comparison import LeadComparison
from analysis.early_warning.cost import COST_RULES
from analysis.early_warning.exceedance import FIRST_ALARM
from analysis.early_warning.findings import EventWarning, WarningFindings
from analysis.early_warning.indicators import PRIMARY, indicator_of
from analysis.early_warning.lead_words import rate_of, span
from analysis.early_warning.threshold import MOST_RATE, RATE
from analysis.metrics import MINUS, metric_info
from collapse.figures.view import written

RULE = (
    "An alarm is raised at the second of two generations in a row at which a chain's difference "
    "from the control of its seed lies outside what healthy pairs do, in a direction that was "
    "fixed beforehand and by more than the indicator's threshold, in standard deviations of a "
    "prediction interval that leaves the judged seed out. Thresholds are set so that every "
    f"indicator has equally many false alarms among control seeds, {100 * RATE:.0f} % at most. "
    "Lead is the generation of the event minus that of the alarm; where either never came it is "
    "known from one side only, and counted so."
)


def sentences(found: WarningFindings) -> tuple[str, ...]:
    """The answers of the section: of each event what warned of it, and what it would cost."""
    if found.refusal:
        return (f"No alarm can be judged. {found.refusal}",)
    told: list[str] = []
    for one in found.shown:
        told.append(_of_event(found, one))
        if one.n_seen:
            told += [_of_indicators(one), *(_of_pair(pair) for pair in one.comparisons)]
            told.append(guideline(one))
    return tuple(told)


def cautions(found: WarningFindings) -> tuple[str, ...]:
    """What these leads do not say."""
    thresholds = [
        lead.calibration.threshold
        for one in found.shown
        for lead in one.leads.values()
        if lead.calibration.threshold
    ]
    worst = max(thresholds, key=lambda one: one.bound, default=None)
    loose = worst is not None and not worst.is_sure
    judged = [len(one.leading) for one in found.shown]
    unresolved = sum(int(one.events.unresolved_S.sum()) for one in found.shown)
    changed = [arm for arm in found.record.arms if found.record.changes.get(arm)]
    candidates = (
        f"False alarms are not known well enough for any claim: {rate_of(worst)}, and "
        f"{100 * MOST_RATE:.0f} % is the most."
        if loose and worst
        else "",
        f"The best of {max(judged)} indicators is the best by chance, too: only claims that were "
        "fixed beforehand are tested, the table is a description."
        if max(judged, default=0) > 1
        else "",
        f"{unresolved} time{'s' * (unresolved != 1)} an event came before anything could have been "
        "seen to lead it, as at generation 1; these chains are in no estimate."
        if unresolved
        else "",
        f"No alarm can be seen before generation {FIRST_ALARM}, so an event at generation "
        f"{FIRST_ALARM + 1} can be led by one generation at most."
        if found.record.generations > FIRST_ALARM
        else "",
        f"{len(changed)} arms differ from the control in more than what they read and are not "
        "judged here: what was changed would pass for a sign of collapse."
        if changed
        else "",
        "Thresholds were calibrated on this study's own healthy chains: another model, corpus or "
        "schedule needs its own, and healthy chains to take them from.",
    )
    return tuple(caution for caution in candidates if caution)


def title(one: EventWarning) -> str:
    """The finding of one event that some chain had, for its figure."""
    arm, event = one.events.arm, one.events.rule.short
    best = _best(one)
    primary = one.table[one.table["indicator"] == PRIMARY].iloc[0]
    parts = []
    if best is not None:
        parts.append(
            f"{_label(best['indicator'])} warns earliest of {event}: {lead_of(best)} generations"
        )
    else:
        parts.append(f"No indicator surely warns of {event}")
    if not primary["refusal"] and (best is None or best["indicator"] != PRIMARY):
        parts.append(f"the spectral ratio's lead is {lead_of(primary)}")
    return f"{'; '.join(parts)} (under {arm})"


def guideline(one: EventWarning) -> str:
    """Which indicator to watch for, at what threshold and price (R2.10); or that there is none."""
    best = _best(one)
    event = one.events.rule.short
    if best is None:
        return (
            f"No indicator can be recommended before {event}: none has an interval of "
            f"the lead that lies wholly above 0 at a false-alarm rate of at most "
            f"{100 * MOST_RATE:.0f} %."
        )
    indicator = indicator_of(str(best["indicator"]))
    way = "below" if best["direction"] == "decrease" else "above"
    rule = COST_RULES[indicator.cost] if indicator else ""
    return (
        f"To be warned of {event} here: watch {_label(best['indicator'])}; alarm when it lies "
        f"{best['threshold']:.2f} standard deviations {way} the healthy chains twice in a row; "
        f"lead {lead_of(best)} generations (95 % "
        f"{span((best['lead_lower'], best['lead_upper']))}), at {_price(best)} a look: {rule}."
    )


def _of_event(found: WarningFindings, one: EventWarning) -> str:
    events, last = one.events, found.record.generations
    compared_S = events.planned_S & ~np.isnan(events.earliest_S)
    planned, compared = int(events.planned_S.sum()), int(compared_S.sum())
    if not compared:
        return (
            f"Under {events.arm}, nothing is known of {events.rule.short}: none of {planned} "
            "chains could be compared."
        )
    came = events.earliest_S[events.seen]
    unresolved = int((events.planned_S & events.unresolved_S).sum())
    text = f"Under {events.arm}, {events.rule.short} came to {one.n_seen} of {compared} chains"
    if compared < planned:
        text += " that could be compared"
    if len(came):
        text += f", at generation {span_of(came)}"
    if unresolved:
        text += f", and to {unresolved} at generation 1 or after a gap, too soon to be led"
    without = events.earliest_S[compared_S & np.isinf(events.latest_S)] - 1
    return f"{text} (of {last} generations){_unwatched(planned - compared, without, last)}."


def _unwatched(uncompared: int, without: np.ndarray, last: int) -> str:
    """Chains of which nobody knows, or not to the end, whether the event came; mostly nothing.

    Args:
        uncompared: chains that could not be compared at all.
        without: until which generation the others are known to be without the event.
        last: the study's last generation.
    """
    short = without[without < last]
    if not len(short):
        return f"; {uncompared} could not" if uncompared else ""
    until = f"only until generation {span_of(short)}"
    if not uncompared:
        return f"; {len(short)} could be compared {until}"
    return f"; {uncompared} could not, and {len(short)} {until}"


def _of_indicators(one: EventWarning) -> str:
    table = one.leading
    ahead = table[table["lead_lower"] > 0]
    if table.empty:
        return "No indicator of it could be judged."
    names = "; ".join(
        f"{_label(row['indicator'])} ({lead_of(row)})" for _, row in ahead.head(5).iterrows()
    )
    more = f"; and {len(ahead) - 5} more" if len(ahead) > 5 else ""
    told = f"surely lead it, the earliest first: {names}{more}" if len(ahead) else "surely lead it"
    return f"{len(ahead) or 'None'} of {len(table)} indicators {told}."


def _of_pair(pair: LeadComparison) -> str:
    names = f"{_label(pair.first)} beside {_label(pair.second)}"
    if pair.answer == "not compared":
        return f"{names}: not compared. {pair.reason}"
    order = f"earlier in {pair.earlier}, later in {pair.later}, as early in {pair.same}"
    hidden = f", hidden in {pair.unknown}" if pair.unknown else ""
    text = f"{names}: {pair.answer} ({order}{hidden} of {pair.n} chains"
    if pair.mean is not None and pair.interval is not None:
        mean, low, high = (f"{end:+.1f}".replace("-", MINUS) for end in (pair.mean, *pair.interval))
        text += f"; {mean} generations, 95 % {low} to {high}"
    if pair.p_corrected is not None:
        text += f"; corrected p = {pair.p_corrected:.2g}"
    return f"{text}). {pair.reason}".rstrip()


def _label(metric: object) -> str:
    return metric_info(str(metric)).label


def brief(metric: str) -> str:
    """A metric's label for a title or a panel, without how it was averaged."""
    return metric_info(metric).label.removesuffix(", mean over heads")


def _best(one: EventWarning) -> pd.Series | None:
    """The earliest indicator whose lead is surely above 0 at a false-alarm rate that is known."""
    table = one.leading
    sure = table[(table["lead_lower"] > 0) & (table["rate_bound"] <= MOST_RATE)]
    return None if sure.empty else sure.iloc[0]


def lead_of(row: pd.Series) -> str:
    """A row's median lead in words."""
    return span((float(row["lead_least"]), float(row["lead_most"])))


def _price(row: pd.Series) -> str:
    gradients = float(row["gradients"])
    return "a price that was not measured" if np.isnan(gradients) else f"{cost_of(gradients)}"


def cost_of(gradients: float) -> str:
    """A price in gradients, as one says it."""
    number = f"{gradients:.2g}" if gradients < 10 else written(round(gradients))
    return f"{number} gradients"


def span_of(generations: np.ndarray) -> str:
    """Generations from first to last."""
    low, high = int(generations.min()), int(generations.max())
    return str(low) if low == high else f"{low} to {high}"
