"""From looks to evidence. An alarm is evidence of 1 / alpha or more, whichever judge it is from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from collapse.numerics.martingale import Wealth, combined, p_value, tie_breaks
from collapse.numerics.round_robin import RoundRobin
from collapse.numerics.streams import numpy_stream
from collapse.watch.indicators import Indicator
from collapse.watch.looks import Look, Run, as_array, common_steps

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """What the looks so far say.

    Attributes:
        value: evidence against a healthy run; an alarm is 1 / alpha.
        indicator: the one that says most.
    """

    value: float
    indicator: str


class Judge(Protocol):
    """Looks in, evidence out.

    Attributes:
        rule: ``runs`` or ``looks``.
        judged: looks that could have added to the evidence.
    """

    rule: str
    judged: int

    def judge(self, look: Look) -> Evidence:
        """The evidence after one more look; each step is judged once, in order."""


class RunsJudge:
    """Compares the run with whole healthy ones; see :mod:`collapse.numerics.round_robin`.

    Looks at steps that not every healthy run was looked at are passed over.
    """

    rule = "runs"

    def __init__(self, healthy: Sequence[Run], indicators: Sequence[Indicator]) -> None:
        self._names = [one.name for one in indicators]
        self._places = {step: place for place, step in enumerate(common_steps(healthy))}
        values_RxTxK = as_array(healthy, list(self._places), self._names)
        self._robin = RoundRobin.of(values_RxTxK, [one.sign for one in indicators])
        self._scores_R = np.full(len(healthy), -np.inf)
        self._said = Evidence(1.0, self._names[0])
        self.judged = 0

    def judge(self, look: Look) -> Evidence:
        """One over the chance at most that a healthy run leaves so few healthy ones unbeaten."""
        if look.step in self._places:
            values_K = [look.values.get(name, math.nan) for name in self._names]
            deviations_RxK = self._robin.deviations(self._places[look.step], values_K)
            self._scores_R = np.maximum(self._scores_R, deviations_RxK.max(axis=1))
            self.judged += bool((deviations_RxK > -np.inf).any())
            value = 1 / self._robin.bound(self._robin.unbeaten(self._scores_R))
            if value > self._said.value:
                strongest = int(np.median(deviations_RxK, axis=0).argmax())
                self._said = Evidence(value, self._names[strongest])
        return self._said


@dataclass
class _Stream:
    """One indicator's looks, larger where more alarming, and what was won on them."""

    values: list[float] = field(default_factory=list)
    wealth: Wealth = field(default_factory=Wealth.begin)


class LooksJudge:
    """Compares the run with itself: are its looks exchangeable; see `collapse.numerics.martingale`.

    Only steady indicators are judged, whose values healthy learning moves away from the alarm, if
    it moves them. Nothing is taken away from them: on healthy trainings of `bench/early_warning`,
    residuals from a trend gave far more false alarms, as trends bend.
    """

    rule = "looks"

    def __init__(self, indicators: Sequence[Indicator], burn_in: int, seed: int) -> None:
        self._signs = {one.name: one.sign for one in indicators if one.steady}
        self._burn_in, self.judged = burn_in, 0
        self._streams = {name: _Stream() for name in self._signs}
        self._generators = {
            name: numpy_stream(seed, "watch", "tie breaks", name) for name in self._signs
        }

    def judge(self, look: Look) -> Evidence:
        """The largest of the indicators' evidences, over their number."""
        seen = [name for name in self._signs if name in look.values]
        bets = [self._take(name, self._signs[name] * look.values[name]) for name in seen]
        self.judged += any(bets)
        won = {name: float(one.wealth.evidence) for name, one in self._streams.items()}
        return Evidence(float(combined(list(won.values()))), max(won, key=lambda name: won[name]))

    def _take(self, name: str, value: float) -> bool:
        """Add a value to its stream; whether it was bet on."""
        stream = self._streams[name]
        is_bet = len(stream.values) >= self._burn_in
        if is_bet:
            broken = tie_breaks(self._generators[name], 1)[0]
            stream.wealth = stream.wealth.bet(p_value(stream.values, value, broken))
        stream.values.append(value)
        return is_bet
