"""The figures of completions: classes of each arm, and parse rate against bits per byte."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from scipy import stats

from analysis.code.arms import DECODINGS, trained
from analysis.code.findings import CodeFindings
from analysis.code.tables import BITS, CLASSES, COLLAPSE, PARSE, PARSE_HUMAN, CodeTables
from analysis.code.words import classes_title, parse_title
from analysis.figures import Plate
from analysis.metrics import MINUS, metric_info
from analysis.statistics import LEAST_FOR_INTERVAL
from collapse.figures.style import (
    FAINT,
    INK,
    MARKERS,
    PALETTE,
    SMALL_PT,
    SOFT,
    dress,
    legend_below,
    new_figure,
)

# From bad to good, so that the edge of the first two is the collapse rate.
_BARS = (
    ("mode_collapse", "mode collapse: one character is over 80 %", PALETTE[0]),
    ("repetitive", "repetitive: fewer than 5 characters", PALETTE[5]),
    ("noise", "noise", FAINT),
    ("partial", "partial: an operator or parentheses", PALETTE[4]),
    ("good", "good: a keyword and an operator", PALETTE[1]),
)
_BAR_IN, _MARGIN_IN = 0.36, 2.1
_GAP = 0.6
"""Bars' breadths between arms of their own training and other decodings."""
_LEAST_ARMS = 4
"""For a correlation over arms."""
_NO_BAND = 0.02


def code_plates(found: CodeFindings) -> tuple[Plate, ...]:
    """All figures that there are data for."""
    drawn = (classes_plate(found), parse_plate(found.tables))
    return tuple(plate for plate in drawn if plate is not None)


def classes_plate(found: CodeFindings) -> Plate | None:
    """Shares of the classes of completions, a bar an arm; None where they were not measured."""
    tables = found.tables
    shares = {kind: tables.means(metric) for kind, metric in CLASSES.items()}
    measured = (tables.means(COLLAPSE), *shares.values())
    arms = [arm for arm in tables.arms if all(arm in means for means in measured)]
    if not arms:
        return None
    title = classes_title(found)
    figure = new_figure(title, _BAR_IN * len(arms) + _MARGIN_IN)
    axes = figure.subplots()
    places = _places(arms, tables)
    lefts = np.zeros(len(arms))
    for kind, _, colour in _BARS:
        widths = np.array([100 * shares[kind][arm] for arm in arms])
        axes.barh(places, widths, left=lefts, height=0.74, color=colour, ec="white", lw=0.6)
        lefts += widths
    for place, arm in zip(places, arms, strict=True):
        _mark_collapse(axes, tables, arm, place)
    decoded = (place for place, arm in zip(places, arms, strict=True) if _is_decoding(tables, arm))
    _head(axes, tables, places[0], next(decoded, None))
    axes.set_yticks(places, [_arm_label(tables, arm) for arm in arms])
    axes.invert_yaxis()
    axes.set_xlim(0, 113)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("completions (%)")
    dress(axes)
    axes.grid(visible=False)
    handles: list[Any] = [Patch(color=colour, label=label) for _, label, colour in _BARS]
    if len(tables.seeds) > 1:
        handles.append(_interval_handle(tables))
    legend_below(figure, handles, columns=2)
    caption = (
        "Means over seeds of the classes of completions, told by their characters alone; the "
        f"number at the end of a bar is the share of the two classes that count as collapse. "
        f"{_bars_in_words(tables)} {_groups_in_words(tables, arms)} {_alarm_in_words(tables)}"
    )
    return Plate("code_classes", title, " ".join(caption.split()), figure)


def parse_plate(tables: CodeTables) -> Plate | None:
    """How often completions parse against bits per byte, a point an arm; None without either."""
    bits, rates = tables.means(BITS), tables.means(PARSE)
    arms = [arm for arm in tables.arms if arm in bits and arm in rates]
    if not arms:
        return None
    title = parse_title(tables)
    figure = new_figure(title, 5.4)
    axes = figure.subplots()
    believed = [arm for arm in arms if arm not in tables.alarming]
    for arm in believed:
        _draw_point(axes, tables, arm)
    margin = axes.get_xlim()[0]
    for arm in (arm for arm in arms if arm in tables.alarming):
        _draw_alarming(axes, tables, arm, margin if believed else None)
    if believed:
        axes.set_xlim(left=margin)
    handles = [_point_handle(tables, arm) for arm in arms]
    handles += _draw_ceiling(axes, tables)
    # Room for whole markers at either end.
    _, top = axes.get_ylim()
    axes.set_yticks([tick for tick in MaxNLocator(5).tick_values(0, top) if 0 <= tick <= 100])
    axes.set_ylim(-3, min(top + 4, 104))
    axes.set_xlabel("bits per byte of held-out human code (lower is better)")
    axes.set_ylabel("completions that parse up to a line (%)")
    dress(axes)
    legend_below(figure, handles, columns=3)
    caption = (
        f"A point an arm, means over seeds. {_bars_in_words(tables)} "
        f"{_groups_in_words(tables, arms)} {_ceiling_note(tables)} {_alarm_in_words(tables)} "
        f"{_correlation_in_words(tables, arms)}"
    )
    return Plate("code_parse", title, " ".join(caption.split()), figure)


def _places(arms: list[str], tables: CodeTables) -> np.ndarray:
    """Where bars stand, other decodings of the control's model apart from the rest."""
    is_decoding = np.array([_is_decoding(tables, arm) for arm in arms])
    changes = np.diff(is_decoding.astype(int), prepend=int(is_decoding[0])) != 0
    return np.arange(len(arms)) + _GAP * np.cumsum(changes)


def _head(axes: Axes, tables: CodeTables, first: float, second: float | None) -> None:
    """What the numbers are, above the first bar, and what other decodings are, above theirs."""
    look: dict[str, Any] = {"fontsize": SMALL_PT, "color": SOFT, "va": "center"}
    axes.text(101.5, first - 0.75, "collapse", **look)
    if second is not None:
        words = f"the model of {tables.control}, decoded in other ways:"
        axes.text(0, second - 0.68, words, **look)


def _mark_collapse(axes: Axes, tables: CodeTables, arm: str, place: float) -> None:
    """The collapse rate in words, and how well it is known."""
    mean, errors = _mean_and_errors(tables, COLLAPSE, arm, 100.0)
    if any(map(any, errors)):
        axes.errorbar(mean, place, xerr=errors, fmt="none", ecolor=INK, elinewidth=1.4, capsize=3)
    axes.text(101.5, place, f"{mean:.0f} %", va="center", fontsize=SMALL_PT, color=INK)


def _arm_label(tables: CodeTables, arm: str) -> str:
    """An arm's name, and in words whether it is the control, alarms, or lacks seeds."""
    n = len(tables.of(COLLAPSE, arm))
    notes = [
        *(["control"] if arm == tables.control else []),
        *(["ALARM"] if arm in tables.alarming else []),
        *([f"n = {n}"] if n < len(tables.seeds) else []),
    ]
    return f"{arm} ({', '.join(notes)})" if notes else arm


def _draw_point(axes: Axes, tables: CodeTables, arm: str) -> None:
    """An arm's means with what is known of them."""
    looks = _looks(tables, arm)
    bits, bits_errors = _mean_and_errors(tables, BITS, arm, 1.0)
    rate, rate_errors = _mean_and_errors(tables, PARSE, arm, 100.0)
    axes.errorbar(
        *(bits, rate),
        xerr=bits_errors,
        yerr=rate_errors,
        ecolor=looks["color"],
        elinewidth=1.2,
        capsize=2.5,
        **looks,
    )


def _draw_alarming(axes: Axes, tables: CodeTables, arm: str, margin: float | None) -> None:
    """A hollow marker; at the margin of the others, whose axis its bits would only stretch."""
    bits, rate = (float(tables.of(name, arm).mean()) for name in (BITS, PARSE))
    place = bits if margin is None else margin
    axes.plot([place], [100 * rate], clip_on=False, **_looks(tables, arm))
    axes.annotate(
        f"{arm}: {bits:.2f} bits, not to be believed",
        (place, 100 * rate),
        xytext=(10, -4),
        textcoords="offset points",
        fontsize=SMALL_PT,
        color=INK,
    )


def _mean_and_errors(
    tables: CodeTables, metric: str, arm: str, scale: float
) -> tuple[float, list[list[float]]]:
    """An arm's mean, and how far its span reaches below and above; within what a share can be."""
    mean, ends = float(tables.of(metric, arm).mean()), tables.span(metric, arm)
    low, high = ends or (mean, mean)
    low, high = max(low, 0.0), min(high, 1.0) if metric_info(metric).is_share else high
    below, above = max(mean - low, 0.0), max(high - mean, 0.0)  # not below 0 by rounding
    return scale * mean, [[scale * below], [scale * above]]


def _looks(tables: CodeTables, arm: str) -> dict[str, Any]:
    """Colour and shape of an arm; other decodings are grey, as their model is the control's."""
    is_grey = _is_decoding(tables, arm)
    alike = [one for one in tables.arms if _is_decoding(tables, one) == is_grey]
    turn, colour = divmod(alike.index(arm), len(PALETTE))
    shade = SOFT if is_grey else PALETTE[colour]
    face = "white" if arm in tables.alarming else shade
    return {
        **{"color": shade, "marker": MARKERS[(colour + turn) % len(MARKERS)], "ls": "none"},
        **{"mfc": face, "mec": shade, "mew": 1.4, "ms": 4.5 if is_grey else 6.5},
    }


def _is_decoding(tables: CodeTables, arm: str) -> bool:
    return arm in DECODINGS and arm != tables.control


def _point_handle(tables: CodeTables, arm: str) -> Line2D:
    return Line2D([], [], label=_arm_label(tables, arm), **_looks(tables, arm))


def _draw_ceiling(axes: Axes, tables: CodeTables) -> list[Line2D]:
    """How often people's code parses, cut at as many tokens; a band where tokens differ."""
    people = tables.means(PARSE_HUMAN)
    if not people:
        return []
    line = 100 * people.get(str(tables.control), float(np.mean(list(people.values()))))
    least, most = 100 * min(people.values()), 100 * max(people.values())
    if most - least > 100 * _NO_BAND:
        axes.axhspan(least, most, color=FAINT, alpha=0.45, lw=0)
    look: dict[str, Any] = {"color": INK, "lw": 1.4, "ls": "--"}
    axes.axhline(line, **look)
    return [Line2D([], [], label="people's code", **look)]


def _ceiling_note(tables: CodeTables) -> str:
    people = tables.means(PARSE_HUMAN)
    if not people:
        return ""
    whose = f"{tables.control}'s tokens" if tables.control in people else "the arms' tokens"
    note = f"The dashed line is people's code, cut at as many of {whose}"
    if max(people.values()) - min(people.values()) > _NO_BAND:
        return f"{note}; the band spans it over the tokens of all arms."
    return f"{note}."


def _interval_handle(tables: CodeTables) -> Line2D:
    is_interval = len(tables.seeds) >= LEAST_FOR_INTERVAL
    words = "95 % interval of the collapse rate" if is_interval else "both seeds' collapse rates"
    return Line2D([], [], color=INK, lw=1.4, marker="|", ms=8, label=words)


def _bars_in_words(tables: CodeTables) -> str:
    n = len(tables.seeds)
    if n >= LEAST_FOR_INTERVAL:
        return f"Error bars are 95 % t-intervals over {n} seeds."
    return "Error bars span two seeds." if n == 2 else "There is one seed, so there is no interval."


def _groups_in_words(tables: CodeTables, arms: list[str]) -> str:
    others = [arm for arm in arms if _is_decoding(tables, arm)]
    if not others:
        return ""
    named = ", ".join(others)
    return f"The model of {named} is that of {tables.control}, decoded in other ways."


def _alarm_in_words(tables: CodeTables) -> str:
    if not tables.alarming:
        return ""
    return f"ALARM: the likelihoods of {', '.join(tables.alarming)} are not to be believed."


def _correlation_in_words(tables: CodeTables, arms: list[str]) -> str:
    """Over arms that are to be believed; a description, as arms are no sample of anything."""
    own = {*trained(tables.arms, tables.control), tables.control}
    trusted = [arm for arm in arms if arm in own and arm not in tables.alarming]
    bits, rates = ([tables.means(m)[arm] for arm in trusted] for m in (BITS, PARSE))
    if len(trusted) < _LEAST_ARMS or len(set(bits)) == 1 or len(set(rates)) == 1:
        return ""
    told = f"{stats.spearmanr(bits, rates).statistic:+.2f}".replace("-", MINUS)
    return f"Over the {len(trusted)} trainings to be believed, ranks correlate by {told}."
