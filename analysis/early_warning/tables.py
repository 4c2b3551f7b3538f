"""Every indicator with its lead, its false alarms and its price, and the trade between them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.early_warning.cost import Price
from analysis.early_warning.lead import AHEAD, chains_ahead
from analysis.early_warning.leads import ArmLeads
from analysis.early_warning.threshold import all_thresholds

INDICATOR_COLUMNS = (
    *("indicator", "direction", "family", "arm", "event"),
    *("chains", "threshold", "false_alarms", "n_healthy", "rate_bound"),
    *("alarms", "median_alarm", "n_leads", "lead_least", "lead_most", "lead_lower", "lead_upper"),
    *(f"ahead_{g}" for g in AHEAD),
    *(f"could_be_ahead_{g}" for g in AHEAD),
    *("gradients", "seconds", "is_oracle", "refusal"),
)
CURVE_COLUMNS = (
    *("indicator", "threshold", "false_alarms", "n_healthy", "rate", "rate_bound"),
    *("alarms", "lead_least", "lead_most", "ahead_1", "is_shared"),
)


def leads_table(leads: Sequence[ArmLeads], prices: Sequence[Price]) -> pd.DataFrame:
    """All indicators, judged on one arm before one event.

    Args:
        leads: of each indicator.
        prices: of each, in the same order.

    Returns:
        Columns ``INDICATOR_COLUMNS``, one row an indicator: in how many chains it was judged; its
        threshold, the control seeds that pass it, their number, and the upper bound of the true
        rate; chains that alarmed, median generation of the alarm (infinite where most did not);
        chains with a lead, the median lead at least and at most, and its interval; chains whose
        alarm came at least 1, 2, 3 generations ahead of the event, surely and possibly; the price
        of a look. Longest lead first, then cheapest; oracles behind all others, and those that
        cannot be judged (``refusal`` says why) at the end.
    """
    rows = [indicator_row(one, paid) for one, paid in zip(leads, prices, strict=True)]
    table = pd.DataFrame(rows, columns=list(INDICATOR_COLUMNS))
    order = pd.DataFrame(
        {
            "refused": table["refusal"] != "",
            "oracle": table["is_oracle"],
            "least": -table["lead_least"].fillna(-np.inf),
            "most": -table["lead_most"].fillna(-np.inf),
            "gradients": table["gradients"].fillna(np.inf),
        }
    )
    return table.loc[
        order.sort_values([str(key) for key in order], kind="stable").index
    ].reset_index(drop=True)


def indicator_row(leads: ArmLeads, paid: Price) -> dict[str, object]:
    """One row of `leads_table`; numbers that there are not are nan."""
    indicator, threshold = leads.indicator, leads.calibration.threshold
    row: dict[str, object] = {
        "indicator": indicator.metric,
        "direction": indicator.direction,
        "family": indicator.family,
        "arm": leads.events.arm,
        "event": leads.events.rule.metric,
        "chains": int(leads.judged.sum()),
        "gradients": paid.gradients,
        "seconds": paid.seconds,
        "is_oracle": indicator.is_oracle,
        "refusal": leads.refusal,
    }
    if leads.refusal or threshold is None:
        return row
    median = leads.median(threshold.value)
    alarms_S = leads.alarms(threshold.value)[1][leads.judged]
    shortest_S, longest_S = (ends[leads.used] for ends in leads.bounds(threshold.value))
    lower, upper = median.interval or (np.nan, np.nan)
    return row | {
        "threshold": threshold.value,
        "false_alarms": threshold.false_alarms,
        "n_healthy": threshold.n_seeds,
        "rate_bound": threshold.bound,
        "alarms": int(np.isfinite(alarms_S).sum()),
        "median_alarm": float(np.median(alarms_S)),
        "n_leads": median.n,
        "lead_least": median.least,
        "lead_most": median.most,
        "lead_lower": lower,
        "lead_upper": upper,
        **{f"ahead_{g}": chains_ahead(shortest_S, g) for g in AHEAD},
        **{f"could_be_ahead_{g}": chains_ahead(longest_S, g) for g in AHEAD},
    }


def curve_table(leads: ArmLeads) -> pd.DataFrame:
    """The whole trade of an indicator: what every number of false alarms buys.

    Args:
        leads: its leads over one event.

    Returns:
        Columns ``CURVE_COLUMNS``, strictest threshold first; ``is_shared`` marks the one that all
        indicators share. No rows where the indicator cannot be judged.
    """
    rows = []
    shared = leads.calibration.threshold
    thresholds = all_thresholds(leads.calibration.scores_S) if not leads.refusal else ()
    for threshold in thresholds:
        median = leads.median(threshold.value)
        shortest_S = leads.bounds(threshold.value)[0][leads.used]
        alarms_S = leads.alarms(threshold.value)[1][leads.judged]
        rows.append(
            (
                *(leads.indicator.metric, threshold.value),
                *(threshold.false_alarms, threshold.n_seeds),
                *(threshold.false_alarms / threshold.n_seeds, threshold.bound),
                *(int(np.isfinite(alarms_S).sum()), median.least, median.most),
                *(chains_ahead(shortest_S, 1), threshold == shared),
            )
        )
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS))
