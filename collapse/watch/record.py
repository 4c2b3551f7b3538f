"""What was seen of one run, what it says, and the alarm."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from collapse.errors import BadParameter
from collapse.watch.indicators import Indicator
from collapse.watch.judges import Evidence, Judge, LooksJudge, RunsJudge
from collapse.watch.looks import Look, Run, as_array
from collapse.watch.taking import first_broken

_LOG = logging.getLogger("collapse.watch")


@dataclass(frozen=True)
class Alarm:
    """What was seen when the alarm was raised.

    Attributes:
        step: optimizer steps made.
        indicator: the one that says most, or the one that is not finite any more.
        evidence: 1 / alpha or more; infinite where predictions are not finite.
        rule: ``runs`` or ``looks``, what it was judged by; see `EarlyWarning`.
    """

    step: int
    indicator: str
    evidence: float
    rule: str


class Record:
    """The looks at one run in their order; the same values are always judged alike.

    Attributes:
        looks: what was seen, oldest first.
        seen: step and values of each look as measured, those that are not finite included.
        evidence: after each look.
        alarm: None until it is raised.

    Args:
        indicators: what is watched.
        healthy: runs that it is compared with; none for the rule ``looks``.
        alpha: one over the evidence at which the alarm is raised.
        burn_in: looks that the rule ``looks`` begins after.
        seed: of tie-breaks.
    """

    def __init__(
        self,
        indicators: Sequence[Indicator],
        healthy: Sequence[Run],
        alpha: float,
        burn_in: int,
        seed: int,
    ) -> None:
        self.looks: list[Look] = []
        self.seen: list[tuple[int, dict[str, float]]] = []
        self.evidence: list[Evidence] = []
        self.alarm: Alarm | None = None
        self._indicators, self._threshold = indicators, 1 / alpha
        self._judge: Judge = (
            RunsJudge(healthy, indicators) if healthy else LooksJudge(indicators, burn_in, seed)
        )

    @property
    def rule(self) -> str:
        """What the run is judged by, ``runs`` or ``looks``."""
        return self._judge.rule

    @property
    def judged(self) -> int:
        """Looks that could have raised an alarm."""
        return self._judge.judged

    @property
    def table(self) -> pd.DataFrame:
        """One row a look: ``step``, the indicators (nan where not measured), and ``evidence``."""
        steps = [look.step for look in self.looks]
        names = [one.name for one in self._indicators]
        made = pd.DataFrame(as_array([tuple(self.looks)], steps, names)[0], columns=names)
        made.insert(0, "step", steps)
        return made.assign(evidence=[one.value for one in self.evidence])

    def add(self, step: int, values: dict[str, float]) -> Alarm | None:
        """Keep a look with its evidence; raise the alarm if it is the first to reach it."""
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        look = Look(step, finite)
        broken = first_broken(values)
        evidence = Evidence(math.inf, broken) if broken else self._judge.judge(look)
        self.seen.append((step, values))
        self.looks.append(look)
        self.evidence.append(evidence)
        if self.alarm is not None or evidence.value < self._threshold * (1 - 1e-12):
            return None
        self.alarm = Alarm(step, evidence.indicator, evidence.value, self.rule)
        _LOG.warning(
            "early warning at step %d: %s, evidence %.3g of %.3g (rule %s)",
            *(step, evidence.indicator, evidence.value, self._threshold, self.rule),
        )
        return self.alarm

    def refuse_broken(self, wanted: str) -> None:
        """Refuse to take the run for a healthy one if predictions were not finite at some look.

        Args:
            wanted: what cannot be done then, for the message.

        Raises:
            BadParameter: they were not.
        """
        for look, said in zip(self.looks, self.evidence, strict=True):
            if math.isinf(said.value):
                raise BadParameter(
                    f"{wanted}: predictions were not finite at step {look.step}, so that the run "
                    "is not healthy"
                )
