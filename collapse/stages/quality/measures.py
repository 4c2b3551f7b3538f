"""Numbers with their errors."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collapse.numerics.resampling import Interval, mean_interval, set_intervals, share_interval

SetStatistics = Callable[[NDArray[np.int64]], Mapping[str, float | None]]


@dataclass
class Measures:
    """What a generation's text measured, by name of the metric; what could not be is not there.

    Attributes:
        generator: draws texts again.
        has_intervals: False leaves out what draws again: values alone.
        values: by name; errors under the name with ``_se``.
        intervals: by name.
        left_out: why something was not measured, by name.
    """

    generator: np.random.Generator
    has_intervals: bool = True
    values: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, values: Mapping[str, float | None]) -> None:
        """Numbers as they are; what is None or not finite was not measured."""
        known = {name: float(one) for name, one in values.items() if one is not None}
        self.values |= {name: value for name, value in known.items() if math.isfinite(value)}

    def mean(self, name: str, values_S: ArrayLike) -> None:
        """A mean over samples; those that are not finite are left out."""
        if self.has_intervals:
            self._keep(name, mean_interval(values_S, self.generator))
            return
        known = np.asarray(values_S, dtype=float)
        known = known[np.isfinite(known)]
        self.add({name: float(known.mean()) if len(known) else None})

    def share(self, name: str, marked_S: ArrayLike) -> None:
        """A share of the samples."""
        self._keep(name, share_interval(marked_S))

    def rate(self, name: str, shares_P: ArrayLike) -> None:
        """A rate, from each prompt's share.

        Where all are 0, or all 1, drawing prompts again would find no error: Wilson's interval over
        the prompts does.
        """
        shares = np.asarray(shares_P, dtype=float)
        known = shares[np.isfinite(shares)]
        if len(known) and known.min() == known.max() in {0.0, 1.0}:
            self.share(name, known == 1)
        else:
            self.mean(name, known)

    def rarity(self, name: str, marked_S: ArrayLike) -> None:
        """Minus the logarithm of a share of the samples, in nats; nothing where none is marked."""
        share = share_interval(marked_S)
        if share is None or share.value == 0 or share.low is None or share.high is None:
            return
        value, error = -math.log(share.value), (share.standard_error or 0.0) / share.value
        # Of a share that is one, rounding puts the upper end a hair below.
        low = min(value, -math.log(share.high))
        self._keep(name, Interval(value, low, -math.log(share.low), error))

    def of_set(self, statistics: SetStatistics, texts: int) -> None:
        """Statistics of the set of so many samples."""
        if not self.has_intervals:
            self.add(statistics(np.arange(texts)))
            return
        for name, interval in set_intervals(statistics, texts, self.generator).items():
            self._keep(name, interval)

    def _keep(self, name: str, interval: Interval | None) -> None:
        if interval is None:
            return
        self.intervals[name] = interval
        self.add({name: interval.value, f"{name}_se": interval.standard_error})

    def write(self, path: Path) -> None:
        """All values, the 95 % intervals of those that have one, and why others are missing."""
        content = {
            "values": self.values,
            "intervals_95": {name: asdict(one) for name, one in self.intervals.items()},
            "not_measured": self.left_out,
        }
        path.write_text(json.dumps(content, indent=2))
