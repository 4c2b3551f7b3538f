"""What a figure of a watched run shows."""

from collections.abc import Sequence

import pandas as pd

from collapse.figures.warning import IndicatorView
from collapse.watch.indicators import Indicator
from collapse.watch.looks import Run, as_array, common_steps


def indicator_views(
    indicators: Sequence[Indicator], table: pd.DataFrame, healthy: Sequence[Run]
) -> tuple[IndicatorView, ...]:
    """Each indicator of a run, beside those of the healthy runs.

    Args:
        indicators: what was watched.
        table: one row a look: ``step`` and a column an indicator.
        healthy: runs that it is compared with; none for the rule ``looks``.
    """
    steps = common_steps(healthy)
    healthy_RxSxK = as_array(healthy, steps, [one.name for one in indicators])
    return tuple(
        IndicatorView(
            name=one.name,
            label=one.label,
            steps_T=table["step"].to_numpy(),
            values_T=table[one.name].to_numpy(),
            healthy_steps_S=steps,
            healthy_RxS=healthy_RxSxK[:, :, place],
        )
        for place, one in enumerate(indicators)
    )
