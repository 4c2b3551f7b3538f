"""What the spectra of a study say, in sentences made from its numbers, and what they do not."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from analysis.spectra.indicators import INDICATORS, certificates, each_once, indicators_table
from analysis.study import StudyRecord, chain_values, metric_values
from analysis.titles import ArmChange, arm_changes
from collapse.figures.view import percent, written

LEVEL = 0.05
"""An end of the spectrum that moves outwards by less is said not to grow."""
LEAST_SHARE = 0.25
"""A trend with a smaller share of the steepest arm's slope does not count as shown."""


def sentences(record: StudyRecord, text: str) -> tuple[str, ...]:
    """The findings on one text: ends, indicators, certificates, cost.

    Args:
        record: the study.
        text: human or own, on which spectra were taken.
    """
    table = indicators_table(record, text)
    found = (
        *(_ends_in_words(record, text, arm) for arm in record.arms),
        *(_shown_in_words(record, table, arm) for arm in _judged(record)),
        *(_small_in_words(table, arm) for arm in record.arms),
        _certificates_in_words(record, text),
        _products_in_words(record, text),
    )
    return tuple(sentence for sentence in found if sentence)


def shown(table: pd.DataFrame, arm: str) -> tuple[dict[str, str], int]:
    """Those of the four indicators that an arm shows, with their trends, and how many it has.

    A trend counts where it is the claimed one and of size: its slope is no less than `LEAST_SHARE`
    of the steepest arm's, and its change is beyond the error of one spectrum's number.

    Args:
        table: from `indicators_table`.
        arm: the arm.

    Returns:
        Trends (``rises`` or ``falls``) by the indicator's name, and the number measured.
    """
    claimed, measured = _claimed(table, arm)
    return {n: t for n, t in claimed.items() if _is_of_size(table, n, arm)}, measured


def _claimed(table: pd.DataFrame, arm: str) -> tuple[dict[str, str], int]:
    """The trends that are the claimed ones, of whatever size, and the number measured."""
    trends = table[table["arm"] == arm].set_index("indicator")["trend"].astype(str).to_dict()
    found = {i.name: trends[i.name] for i in INDICATORS if i.is_shown_by(trends[i.name])}
    return found, sum(trends[indicator.name] != "not measured" for indicator in INDICATORS)


def _is_of_size(table: pd.DataFrame, name: str, arm: str) -> bool:
    """Whether a trend is small neither beside the steepest arm's nor beside its error."""
    rows = table[table["indicator"] == name].set_index("arm")
    moving = rows[rows["trend"].isin(["rises", "falls"])]
    own = rows.loc[arm]
    # An error that was not measured is nan, and nothing is within it.
    is_within_error = abs(own["end"] - own["start"]) <= own["error"]
    steepest = moving["slope"].astype(float).abs().max()
    return bool(abs(own["slope"]) >= LEAST_SHARE * steepest and not is_within_error)


def shown_in_title(record: StudyRecord, text: str) -> str:
    """How many of the four indicators each arm shows, without a full stop."""
    table = indicators_table(record, text)
    parts = []
    for arm in record.arms:
        names, measured = shown(table, arm)
        control = " (control)" if arm == record.control else ""
        if measured:
            parts.append(f"{arm}{control} shows {len(names)} of {measured}")
    if not parts:
        return f"The spectrum over the generations, {text} text"
    return f"Indicators of collapse on {text} text: {', '.join(parts)}"


def cautions(record: StudyRecord, text: str) -> tuple[str, ...]:
    """What the spectra do not say."""
    candidates = (
        _uncertified(record, text),
        _two_ratios(record, text),
        "A spectrum that moves is no loss of quality by itself.",
    )
    return tuple(caution for caution in candidates if caution)


def _judged(record: StudyRecord) -> tuple[str, ...]:
    """The arms to be compared with a control, or all where there is none."""
    return tuple(arm for arm in record.pictured_arms if arm != record.control)


def _ends_in_words(record: StudyRecord, text: str, arm: str) -> str:
    """Which end of the spectrum grows under an arm, on its means over seeds."""
    metrics = [f"hessian/{text}/{end}" for end in ("lambda_max", "lambda_min")]
    changes = [[c for c in arm_changes(record, metric) if c.arm == arm] for metric in metrics]
    if not all(changes):
        return ""
    (top,), (bottom,) = changes
    told = [
        f"from {written(change.start)} to {written(change.end)}{_factor(record, metric, change)}"
        for metric, change in zip(metrics, (top, bottom), strict=True)
    ]
    control = ", the control," if arm == record.control else ""
    return (
        f"Under {arm}{control} the largest eigenvalue goes {told[0]} and the smallest {told[1]}: "
        f"{_which_grows(top, bottom)}."
    )


def _growth(start: float, end: float) -> float | None:
    """End over start; None where the sign changes or one of them is zero."""
    return end / start if start * end > 0 else None


def _factor(record: StudyRecord, metric: str, change: ArmChange) -> str:
    """By what factor a mean changed, and in how many of its chains the end grew."""
    growth = _growth(change.start, change.end)
    told = [] if growth is None else [f"{growth:.{2 if growth < 10 else 0}f}×"]
    values = metric_values(record, metric)
    chains = [chain_values(values, change.arm, seed) for seed in record.seeds]
    ends = [(chain.iloc[0], chain.iloc[-1]) for chain in chains if len(chain) > 1]
    if len(ends) > 1:
        grown = sum((_growth(*pair) or 0.0) > 1 + LEVEL for pair in ends)
        told.append(f"growing in {grown} of {len(ends)} chains")
    return f" ({', '.join(told)})" if told else ""


def _which_grows(top: ArmChange, bottom: ArmChange) -> str:
    up, down = _growth(top.start, top.end), _growth(bottom.start, bottom.end)
    if up is None or down is None:
        return "an end changes its sign, so that no factor can be told"
    if bottom.start > 0:
        verb = "grows" if up > 1 + LEVEL else "does not grow"
        return f"on average the positive end {verb}, and there is no negative one"
    grown = [name for name, factor in (("positive", up), ("negative", down)) if factor > 1 + LEVEL]
    if not grown:
        return "on average neither end grows"
    if len(grown) == 1:
        return f"on average only the {grown[0]} end grows"
    return f"on average both ends grow, the {'negative' if down > up else 'positive'} one more"


def _shown_in_words(record: StudyRecord, table: pd.DataFrame, arm: str) -> str:
    """Which of the four indicators an arm shows, and whether the control shows them too."""
    names, measured = shown(table, arm)
    if not measured:
        return ""
    told = (
        f"Of the four indicators of collapse, {arm} shows "
        f"{_listed(table, names, arm, record.control_of(arm))}"
    )
    if measured < len(INDICATORS):
        told += f" ({len(INDICATORS) - measured} not measured)"
    control = record.control_of(arm)
    if control is None:
        return f"{told}. There is no control, so nothing is said of the cause."
    theirs, measured_there = shown(table, control)
    if not measured_there:
        return f"{told}; the control, {control}, was not measured."
    told += f"; the control, {control}, shows "
    both = [name for name, trend in names.items() if theirs.get(name) == trend]
    if both:
        also = "the same" if len(both) == len(names) else f"{_joined(both)} as well"
        return f"{told}{also}: not recursion's alone."
    return f"{told}{_listed(table, theirs, control)}."


def _small_in_words(table: pd.DataFrame, arm: str) -> str:
    """What is not counted of an arm's trends, and why."""
    claimed, _ = _claimed(table, arm)
    counted, _ = shown(table, arm)
    small = [name for name in claimed if name not in counted]
    if not small:
        return ""
    return (
        f"Not counted under {arm}, as less than {100 * LEAST_SHARE:.0f} % of the steepest arm's "
        f"slope or within the error of one spectrum: {_listed(table, small, arm)}."
    )


def _listed(table: pd.DataFrame, names: Iterable[str], arm: str, beside: str | None = None) -> str:
    """Indicators with the sizes of their moves under an arm, and under another one beside it."""
    rows = table.to_dict("records")
    ends = {(row["indicator"], row["arm"]): (row["start"], row["end"]) for row in rows}
    words = []
    for name in names:
        verb, size = _move(*ends[name, arm])
        told = f"it {verb} {size}"
        if beside is not None:
            other, by = _move(*ends[name, beside])
            told += f", under {beside} {by if other == verb else f'it {other} {by}'}"
        words.append(f"{name.lower()} ({told})")
    return _joined(words)


def _move(start: float, end: float) -> tuple[str, str]:
    """A verb, and by how much, between means over seeds."""
    if not np.isfinite([start, end]).all():
        return "was", "not measured"
    if end == start:
        return "stays", "level"
    verb = "falls" if end < start else "rises"
    growth = _growth(start, end)
    if growth is None or growth > 10:
        return verb, f"from {written(start)} to {written(end)}"
    return verb, f"by {percent(abs(growth - 1))}"


def _joined(words: Sequence[str]) -> str:
    """A list in a sentence."""
    words = [word[0].lower() + word[1:] for word in words]
    if not words:
        return "none"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _certificates_in_words(record: StudyRecord, text: str) -> str:
    known = certificates(record, text)
    if known.empty:
        return "Whether the eigenvalues are certified was not recorded."
    if known.all():
        return f"All {len(known)} spectra have certified outliers and ends."
    return f"{int(known.sum())} of {len(known)} spectra have certified outliers and ends."


def _products_in_words(record: StudyRecord, text: str) -> str:
    values = each_once(record, text, metric_values(record, f"hessian/{text}/products"))
    if values.empty:
        return ""
    least, most = float(values.min()), float(values.max())
    spread = "" if np.isclose(least, most) else f" ({least:.0f} to {most:.0f})"
    return f"A spectrum took {values.mean():.0f} products with the Hessian{spread}."


def _uncertified(record: StudyRecord, text: str) -> str:
    known = certificates(record, text)
    missing = int((~known).sum()) if len(known) else 0
    if not missing:
        return ""
    return (
        f"{missing} of {len(known)} spectra are not certified and have no spectral ratio; its "
        "trend is that of the generations that are left."
    )


def _two_ratios(record: StudyRecord, text: str) -> str:
    """Two things bear the name of a ratio, and do not agree."""
    ours, seeds = (
        each_once(record, text, metric_values(record, f"hessian/{text}/{name}"))
        for name in ("spectral_ratio", "legacy_ratio")
    )
    both = ours.index.intersection(seeds.index)
    if both.empty:
        return ""
    return (
        f"The seed's ratio is another quantity than the spectral ratio ({seeds[both].mean():.2f} "
        f"and {ours[both].mean():.1f} on average here): it divides by the spread of unweighted "
        "Ritz values, which follows the ends of the spectrum and not its bulk."
    )
