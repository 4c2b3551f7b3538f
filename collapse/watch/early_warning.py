"""The callback, and the same for a plain loop."""

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from torch import nn
from transformers import TrainerCallback

from collapse.errors import BadParameter
from collapse.figures.warning import WarningView, warning_figure
from collapse.tracking.active import log_to_active_run
from collapse.watch.allowance import Allowance
from collapse.watch.drawing import indicator_views
from collapse.watch.indicators import CHEAP, CURVATURE, check_batch
from collapse.watch.judges import Evidence, Judge, LooksJudge, RunsJudge
from collapse.watch.looks import Look, Setting, add_run, as_array
from collapse.watch.settings import AnyPath, check_settings, healthy_runs
from collapse.watch.taking import first_broken, take_look
from collapse.watch.undisturbed import bare

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


class EarlyWarning(TrainerCallback):
    """Watches a training run on a fixed batch, and raises one alarm by a calibrated rule.

    As a callback, ``Trainer(..., callbacks=[watch])``; in a plain loop::

        watch = collapse.EarlyWarning(batch, calibration="healthy.json")
        for step, inputs in enumerate(loader):
            ...
            optimizer.step()
            watch.after_step(model, step)

    A look measures, in float32, the loss and the entropy of predictions on the batch, distinct
    pairs of tokens in short continuations of its rows, and the participation ratio of attention
    keys; with ``curvature=True``, the largest Hessian eigenvalue by a few Lanczos steps. The run
    goes on as if nobody had looked: the same weights to the bit. With an MLflow run active, all is
    logged as ``warning/...`` with step = optimizer step.

    **Two rules.** Which one judges is told by `rule`; ``alpha`` is the bound of either.

    ``runs``, with a calibration of at least ``1 / alpha - 1`` healthy runs (19 at 5 %): the run is
    compared with whole healthy ones at the same steps, by all indicators. If it is exchangeable
    with them as a run (the same recipe with another seed, healthy), it ever alarms with a chance of
    at most alpha, however its values trend or hang together, and however often one looks. Nothing
    is promised of a run of another recipe, and steps beyond the healthy runs' last are not judged.

    ``looks``, without a calibration: each look is ranked among all looks before it, the first
    ``burn_in`` of which raise no alarm. Two indicators are judged, which healthy learning does not
    move towards an alarm: the loss on the batch, and how far it exceeds the entropy. The evidence
    is a conformal test martingale. While a healthy run's looks are exchangeable, as on a plateau,
    it ever alarms with a chance of at most alpha. Looks of a run that is still learning are not:
    there is no promise then, only the observation that both indicators fall. Looks so close that
    they resemble their neighbours alarm falsely more often. A run that is sick from its first look
    is its own measure of health, and nothing is seen within the burn-in.

    A loss or entropy that is not finite is an alarm by either rule, with infinite evidence.

    Attributes:
        alarm: None until it is raised.
        looks: what was seen, oldest first.
        evidence: after each look.
        rule: ``runs`` or ``looks``.

    Args:
        batch: token ids (rows, tokens), or what a tokenizer gave, without padding. Not training
            data: what the run memorises says nothing of its health.
        calibration: a file that `save` wrote of healthy runs, or several. They must have been
            watched on the same batch, with the same seed and indicators, and at the same steps.
        alpha: bound on the chance of ever alarming falsely, in (0, 1); see the rules.
        every: optimizer steps from one look to the next.
        burn_in: looks that the rule ``looks`` begins after; after few, a change takes long to be
            evident.
        budget: seconds of looks for each second of training, at most. What the first look costs
            is not known beforehand: it is taken, and the second waits until it is paid for.
        curvature: watch the curvature, too, from one half of the budget.
        stop: an alarm ends training (with a Trainer of one process; a loop asks `alarm`).
        seed: of continuations, start vectors and tie-breaks.
        clock: seconds; only its differences count.

    Raises:
        BadParameter: a value out of range, a batch that is none, or a calibration that is missing,
            malformed, of another setting, or of fewer runs than alpha takes.
    """

    def __init__(
        self,
        batch: object,
        *,
        calibration: AnyPath | Iterable[AnyPath] | None = None,
        alpha: float = 0.05,
        every: int = 10,
        burn_in: int = 30,
        budget: float = 0.05,
        curvature: bool = False,
        stop: bool = False,
        seed: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        check_settings(alpha, every, burn_in, budget)
        self.alpha, self.every, self.stop, self.seed = alpha, every, stop, seed
        self.indicators = (*CHEAP, CURVATURE) if curvature else CHEAP
        self.alarm: Alarm | None = None
        self.looks: list[Look] = []
        self.evidence: list[Evidence] = []
        self._input_ids_BxT = check_batch(batch)
        names = [one.name for one in self.indicators]
        self._setting = Setting.of(self._input_ids_BxT, seed, names)
        self._healthy = healthy_runs(calibration, self._setting, alpha)
        self._judge: Judge = (
            RunsJudge(self._healthy, self.indicators)
            if self._healthy
            else LooksJudge(self.indicators, burn_in, seed)
        )
        shares = [budget / 2, budget / 2] if curvature else [budget]
        self._allowances = [Allowance(share) for share in shares]
        self._clock, self._began_s = clock, math.nan

    @property
    def rule(self) -> str:
        """What the run is judged by, ``runs`` or ``looks``."""
        return self._judge.rule

    @property
    def threshold(self) -> float:
        """Evidence at which the alarm is raised, 1 / alpha."""
        return 1 / self.alpha

    @property
    def share(self) -> float:
        """Seconds of looks for each second of training so far; nan before the first step."""
        training_s = self._training_s()
        return self._spent_s / training_s if training_s > 0 else math.nan

    @property
    def table(self) -> pd.DataFrame:
        """One row a look: ``step``, the indicators (nan where not measured), and ``evidence``."""
        steps = [look.step for look in self.looks]
        names = [one.name for one in self.indicators]
        made = pd.DataFrame(as_array([tuple(self.looks)], steps, names)[0], columns=names)
        made.insert(0, "step", steps)
        return made.assign(evidence=[one.value for one in self.evidence])

    def after_step(self, model: nn.Module, step: int) -> Alarm | None:
        """Look at the model if it is time, and if the budget allows it.

        Args:
            model: the model in training, a causal language model of transformers.
            step: optimizer steps made, or their number from 0; it must grow.

        Returns:
            The alarm if this look raised it.

        Raises:
            BadModel: a kind of model that cannot be measured.
            BadParameter: the batch does not fit the model, or the step is not a later one.
        """
        if math.isnan(self._began_s):
            self._began_s = self._clock()
        if self.looks and step <= self.looks[-1].step:
            raise BadParameter(
                f"step {step} after step {self.looks[-1].step}: steps must grow, and each run "
                "needs an EarlyWarning of its own"
            )
        if step % self.every or not self._allowances[0].affords(self._training_s()):
            return None
        return self._look(bare(model), step)

    def save(self, path: AnyPath) -> None:
        """Add this run to a file of healthy runs, which is made where there is none.

        Whether it was healthy is yours to say. For the rule ``runs`` all of them should have been
        looked at equally often: calibrate with a budget that skips nothing, such as 100.

        Raises:
            BadParameter: nothing was seen, a value is not finite, or the file is of another
                batch, seed or set of indicators.
        """
        add_run(Path(path), self._setting, tuple(self.looks))

    def figure(self) -> Figure:
        """The indicators over the steps, the healthy runs' range, and the evidence.

        Raises:
            BadParameter: no look was taken yet.
        """
        if not self.looks:
            raise BadParameter("nothing to draw: no look was taken yet")
        alarm = (self.alarm.step, self.alarm.indicator) if self.alarm else None
        views = indicator_views(self.indicators, self.table, self._healthy)
        evidence_T = self.table["evidence"].to_numpy()
        return warning_figure(WarningView(views, evidence_T, self.threshold, self.rule, alarm))

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, **_: Any
    ) -> None:
        """The first look, at the weights as they are: what cannot be measured fails here."""
        if self.stop and args.world_size > 1:
            raise BadParameter(
                f"stop=True with {args.world_size} processes: one cannot end the others; leave it "
                "out and watch the alarm"
            )
        self.on_step_end(args, state, control, model)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """A look after an optimizer step, in the first process."""
        del args
        if state.is_world_process_zero:
            self.after_step(model, state.global_step)
        if self.stop and self.alarm is not None:
            control.should_training_stop = True

    @property
    def _spent_s(self) -> float:
        return sum(one.spent_s for one in self._allowances)

    def _training_s(self) -> float:
        return self._clock() - self._began_s - self._spent_s

    def _look(self, model: Any, step: int) -> Alarm | None:
        values = take_look(
            model, self._input_ids_BxT, self.seed, self._allowances, self._training_s(), self._clock
        )
        begun_s = self._clock()
        raised = self._judged(step, values)
        self._log(step)
        self._allowances[0].spent_s += self._clock() - begun_s
        return raised

    def _judged(self, step: int, values: dict[str, float]) -> Alarm | None:
        """Keep a look with its evidence; raise the alarm if it is the first to reach it."""
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        look = Look(step, finite)
        broken = first_broken(values)
        evidence = Evidence(math.inf, broken) if broken else self._judge.judge(look)
        self.looks.append(look)
        self.evidence.append(evidence)
        if self.alarm is not None or evidence.value < self.threshold * (1 - 1e-12):
            return None
        self.alarm = Alarm(step, evidence.indicator, evidence.value, self.rule)
        _LOG.warning(
            "early warning at step %d: %s, evidence %.3g of %.3g (rule %s)",
            *(step, evidence.indicator, evidence.value, self.threshold, self.rule),
        )
        return self.alarm

    def _log(self, step: int) -> None:
        numbers = self.looks[-1].values | {
            "evidence": self.evidence[-1].value,
            "share_of_training": self.share,
            "alarm": float(self.alarm is not None),
        }
        log_to_active_run(
            {f"warning/{name}": value for name, value in numbers.items() if not math.isnan(value)},
            step,
        )
