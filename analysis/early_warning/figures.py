"""The figures of warnings: leads of all indicators, what false alarms buy, and trajectories."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.early_warning import words
from analysis.early_warning.findings import EventWarning, WarningFindings
from analysis.early_warning.indicators import FAMILIES, PRIMARY, RIVALS, Family
from analysis.early_warning.leads import ArmLeads
from analysis.early_warning.tables import curve_table
from analysis.early_warning.trajectories import trajectory_plate
from analysis.figures import Plate
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

_ROW_IN = 0.27
_MOST_ROWS = 30
_LINE: dict[str, Any] = {"lw": 2.0, "ms": 7, "mec": "white", "mew": 0.8}


def warning_plates(found: WarningFindings) -> tuple[Plate, ...]:
    """All figures of the section, of the event that came to most chains; none where it did not."""
    shown = [one for one in found.shown if not found.refusal and len(_drawable(one))]
    if not shown:
        return ()
    leads = tuple(
        plate for one in shown if one.n_seen for plate in (lead_plate(one), trade_plate(one))
    )
    return (*leads, trajectory_plate(shown[0]))


def lead_plate(one: EventWarning) -> Plate:
    """The median lead of every indicator with its interval, longest first."""
    rows = _drawable(one).head(_MOST_ROWS)
    figure = new_figure(words.title(one), 1.9 + _ROW_IN * len(rows))
    axes = figure.subplots()
    limits = _lead_limits(rows)
    axes.axvline(0, color=INK, lw=1.2)
    for place, (_, row) in enumerate(rows.iterrows()):
        _draw_lead(axes, place, row, limits)
    axes.set_yticks(range(len(rows)), [_named(row) for _, row in rows.iterrows()])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(*limits)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("lead over the event (generations; below 0: too late)")
    dress(axes)
    axes.grid(axis="x", color=FAINT, lw=0.7)
    _false_alarm_column(axes, rows)
    families = [family for family in FAMILIES if family in set(rows["family"])]
    handles = [
        Line2D([], [], color=_colour(family), marker=_marker(family), label=family, **_LINE)
        for family in families
    ]
    legend_below(figure, handles, columns=4)
    return Plate(f"lead_{_stem(one)}", words.title(one), _lead_caption(one, rows), figure)


def trade_plate(one: EventWarning) -> Plate:
    """What every number of false alarms buys in lead, for the primary indicator and its rivals."""
    chosen = one.pictured
    title = _trade_title(one, chosen)
    figure = new_figure(title, 5.2)
    axes = figure.subplots()
    axes.axhline(0, color=INK, lw=1.2)
    handles, shared = [], set()
    curves = [curve_table(leads) for leads in chosen]
    for index, (leads, curve) in enumerate(zip(chosen, curves, strict=True)):
        seen = curve[np.isfinite(curve["lead_least"])]
        look = _look_of(leads.indicator.metric)
        # Curves that coincide stay apart by a hair, and are told as whole generations all the same.
        offset = 0.02 * (index - (len(chosen) - 1) / 2)
        axes.plot(
            100 * seen["rate"], seen["lead_least"] + offset, drawstyle="steps-post", **look, **_LINE
        )
        metric = leads.indicator.metric
        row = one.table[one.table["indicator"] == metric].iloc[0]
        paid = "" if np.isnan(row["gradients"]) else f", {words.cost_of(row['gradients'])}"
        never = "" if len(seen) else " (no lead that is known)"
        label = f"{words.brief(metric)}{paid}{never}"
        handles.append(Line2D([], [], label=label, **look, **_LINE))
        shared |= set(100 * curve.loc[curve["is_shared"], "rate"])
    for rate in sorted(shared):
        axes.axvline(rate, color=SOFT, lw=1.2, ls=":")
    axes.set_xlabel("control seeds with a false alarm (%)")
    axes.set_ylabel("median lead (generations)")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    dress(axes)
    legend_below(figure, handles, columns=1)
    return Plate(f"trade_{_stem(one)}", title, _trade_caption(curves), figure)


def _draw_lead(axes: Axes, place: int, row: pd.Series, limits: tuple[float, float]) -> None:
    """One interval: an arrow where it has no end, a hollow mark where the median is a bound."""
    colour, marker = _colour(row["family"]), _marker(row["family"])
    low, high = (float(np.clip(row[key], *limits)) for key in ("lead_lower", "lead_upper"))
    if np.isfinite(low) and np.isfinite(high):
        axes.plot([low, high], [place, place], color=colour, lw=2.4, alpha=0.55)
        for end, value, arrow in ((low, row["lead_lower"], "<"), (high, row["lead_upper"], ">")):
            if np.isinf(value):
                axes.plot([end], [place], color=colour, marker=arrow, ms=7, clip_on=False)
    least, most = float(row["lead_least"]), float(row["lead_most"])
    known = [end for end in (least, most) if np.isfinite(end)]
    if known:
        is_exact = least == most
        face = colour if is_exact else "white"
        axes.plot([known[0]], [place], color=colour, marker=marker, ms=8, mfc=face, mew=1.4)


def _false_alarm_column(axes: Axes, rows: pd.DataFrame) -> None:
    beside = axes.get_yaxis_transform()
    for place, (_, row) in enumerate(rows.iterrows()):
        told = f"{row['false_alarms']:.0f}/{row['n_healthy']:.0f} ≤ {100 * row['rate_bound']:.0f} %"
        axes.text(
            1.02, place, told, transform=beside, va="center", fontsize=SMALL_PT - 1.5, color=SOFT
        )
    axes.text(
        *(1.02, -0.9, "false alarms"), transform=beside, va="bottom", fontsize=SMALL_PT, color=INK
    )


def _trade_title(one: EventWarning, chosen: Sequence[ArmLeads]) -> str:
    """Leads at the false alarms that all share."""
    rows = one.table.set_index("indicator").loc[[leads.indicator.metric for leads in chosen]]
    told = [f"{words.brief(str(name))} {words.lead_of(row)}" for name, row in rows.iterrows()]
    return (
        f"At equally many false alarms, generations of lead over {one.events.rule.short} under "
        f"{one.events.arm}: {'; '.join(told)}"
    )


def _drawable(one: EventWarning) -> pd.DataFrame:
    return one.table[(one.table["refusal"] == "") & (one.table["n_leads"] > 0)]


def _lead_limits(rows: pd.DataFrame) -> tuple[float, float]:
    ends = rows[["lead_lower", "lead_upper", "lead_least", "lead_most"]].to_numpy(float)
    known = ends[np.isfinite(ends)]
    return min(-1.0, known.min(initial=0)) - 1, max(1.0, known.max(initial=0)) + 1


def _look_of(metric: str) -> dict[str, Any]:
    """The primary indicator and its rivals look the same in every figure."""
    known = (PRIMARY, *RIVALS)
    place = known.index(metric) if metric in known else len(known)
    return {"color": PALETTE[place], "marker": MARKERS[place]}


def _named(row: pd.Series) -> str:
    label = words.brief(str(row["indicator"]))
    return f"{label} (oracle)" if row["is_oracle"] else label


def _colour(family: Family) -> str:
    return SOFT if family == "truth" else PALETTE[FAMILIES.index(family)]


def _marker(family: Family) -> str:
    return "*" if family == "truth" else MARKERS[FAMILIES.index(family)]


def _stem(one: EventWarning) -> str:
    return one.events.rule.metric.replace("/", "_")


def _lead_caption(one: EventWarning, rows: pd.DataFrame) -> str:
    more = len(_drawable(one)) - len(rows)
    return (
        f"Median lead over the chains of {one.events.arm} and its distribution-free interval of at "
        "least 95 %. Hollow marks are bounds where censoring hides the median, arrows ends that "
        "have none: some alarm, or the event, never came. At the right, control seeds with a false "
        "alarm at the threshold that is used, and the one-sided 95 % Clopper-Pearson bound of the "
        "true rate. Oracles take the corpus' true distribution, which nobody has elsewhere."
        + (f" {more} more are in the table." if more > 0 else "")
    )


def _trade_caption(curves: Sequence[pd.DataFrame]) -> str:
    n = max((int(curve["n_healthy"].max()) for curve in curves if len(curve)), default=0)
    return (
        "Every threshold that the scores of the control seeds allow, strictest at the left; the "
        "dotted line is the one that all indicators share. A lead is drawn as its lower bound, and "
        "only where most chains have one. With "
        f"{n} control seeds the true rate of false alarms is known only up to a bound, see the "
        "table. In the legend the price of a look, in gradients on the probe batch."
    )
