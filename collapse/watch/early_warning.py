"""The callback, and the same for a plain loop."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from torch import nn
from transformers import TrainerCallback

from collapse.errors import BadParameter
from collapse.figures.warning import WarningView, warning_figure
from collapse.watch.allowance import Budget
from collapse.watch.drawing import indicator_views
from collapse.watch.indicators import CHEAP, CURVATURE, check_batch
from collapse.watch.judges import Evidence
from collapse.watch.looks import Look, Setting, add_run
from collapse.watch.record import Alarm, Record
from collapse.watch.resuming import Kept
from collapse.watch.settings import AnyPath, check_settings, healthy_runs
from collapse.watch.taking import take_look
from collapse.watch.telling import Teller
from collapse.watch.undisturbed import bare, refuse_parts


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
    logged as ``warning/...`` with step = optimizer step. A Trainer's checkpoints keep the looks: a
    run that is resumed from one is judged as one run.

    **Two rules.** Which one judges is told by `rule`; ``alpha`` is the bound of either.

    ``runs``, with a calibration of at least ``1 / alpha - 1`` healthy runs (19 at 5 %): the run is
    compared with whole healthy ones at the same steps, by all indicators. If it is exchangeable
    with them as a run (the same recipe with another seed, healthy), it ever alarms with a chance of
    at most alpha, however its values trend or hang together, and however often one looks. That is
    a chance over the draw of the healthy runs *and* of the new one: of a file of 19 that one has it
    is about Beta(1, 19) distributed, 5 % in the mean and above 11 % for one file in ten, and all
    runs that are judged by a file share its luck. Call runs healthy before you see their
    indicators: healthy runs chosen by them are not exchangeable with a new one. Nothing is promised
    of a run of another recipe, and steps beyond the healthy runs' last are not judged.

    ``looks``, without a calibration: each look is ranked among all looks before it, the first
    ``burn_in`` of which raise no alarm. Two indicators are judged, which healthy learning does not
    move towards an alarm: the loss on the batch, and how far it exceeds the entropy. The evidence
    is a conformal test martingale. While a healthy run's looks are exchangeable, as on a plateau,
    it ever alarms with a chance of at most alpha; and so it does while each indicator is such a
    plateau less something that only grows, as where learning does nothing but lower both (proof in
    :mod:`collapse.numerics.martingale`). Where noise changes its size, or looks are so close that
    they resemble their neighbours, nothing is promised, and false alarms are more frequent. A run
    that is sick from its first look is its own measure of health, and nothing is seen within the
    burn-in.

    A loss or entropy that is not finite is an alarm by either rule, with infinite evidence.

    Args:
        batch: token ids (rows, tokens), or what a tokenizer gave, without padding. Not training
            data: what the run memorises says nothing of its health.
        calibration: a file that `save` wrote of healthy runs, or several. They must have been
            watched on the same batch, with the same seed and indicators, and at the same steps.
        alpha: bound on the chance of ever alarming falsely, in (0, 1); see the rules.
        every: optimizer steps from one look to the next.
        burn_in: looks that the rule ``looks`` begins after; after few, a change takes long to be
            evident.
        budget: seconds of looks, judging and logging included, for each second of training: what
            is aimed at. What the first look costs is not known beforehand: it is taken, and the
            second waits until it is paid for.
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
        self.alpha, self.every, self.stop, self.seed = alpha, every, stop, int(seed)
        self.indicators = (*CHEAP, CURVATURE) if curvature else CHEAP
        self._input_ids_BxT = check_batch(batch)
        names = [one.name for one in self.indicators]
        self._setting = Setting.of(self._input_ids_BxT, self.seed, names)
        self._healthy = healthy_runs(calibration, self._setting, alpha)
        self._new_record = partial(
            Record, self.indicators, self._healthy, alpha, burn_in, self.seed
        )
        self._budget = Budget([budget / 2, budget / 2] if curvature else [budget], clock)
        self._teller = Teller()
        self._looks_here, self._unseen_steps = True, 0
        self._record = self._new_record()
        # A Trainer may have several: of other batches, with other intervals, by both rules.
        self._watch = f"{self._setting.digest} every {self.every} {self._record.rule}"

    @property
    def alarm(self) -> Alarm | None:
        """None until it is raised."""
        return self._record.alarm

    @property
    def looks(self) -> list[Look]:
        """What was seen, oldest first."""
        return self._record.looks

    @property
    def evidence(self) -> list[Evidence]:
        """After each look.

        Under ``runs`` one over the smallest bound reached so far on a healthy
        run's chance of an alarm, under ``looks`` an e-value.
        """
        return self._record.evidence

    @property
    def rule(self) -> str:
        """What the run is judged by, ``runs`` or ``looks``."""
        return self._record.rule

    @property
    def judged(self) -> int:
        """Looks that could have raised an alarm: at the healthy runs' steps, or past the burn-in.

        Where it is 0, no alarm says nothing.
        """
        return self._record.judged

    @property
    def threshold(self) -> float:
        """Evidence at which the alarm is raised, 1 / alpha."""
        return 1 / self.alpha

    @property
    def share(self) -> float:
        """Seconds of looks for each second of training so far; nan before the first step."""
        return self._budget.share

    @property
    def table(self) -> pd.DataFrame:
        """One row a look: ``step``, the indicators (nan where not measured), and ``evidence``."""
        return self._record.table

    def after_step(self, model: nn.Module, step: int) -> Alarm | None:
        """Look at the model if it is time, and if the budget allows it.

        In a loop of several processes, let one of them call it.

        Args:
            model: the model in training, a causal language model of transformers.
            step: optimizer steps made, or their number from 0; it must grow.

        Returns:
            The alarm if this look raised it.

        Raises:
            BadModel: a kind of model that cannot be measured, or one spread over processes.
            BadParameter: the batch does not fit the model, or the step is not a later one.
        """
        if not self._budget.has_begun:
            refuse_parts(model)
            self._budget.begin()
        if self.looks and step <= self.looks[-1].step:
            raise BadParameter(
                f"step {step} after step {self.looks[-1].step}: steps must grow, and each run "
                "needs an EarlyWarning of its own"
            )
        if step % self.every or not self._budget.allowances[0].affords(self._budget.training_s):
            return None
        return self._look(bare(model), int(step))

    def save(self, path: AnyPath) -> None:
        """Add this run to a file of healthy runs, which is made where there is none.

        Whether it was healthy is yours to say, before you see its indicators. For the rule ``runs``
        all of them should have been looked at equally often: calibrate with a budget that skips
        nothing, such as 100. In a Trainer of several processes the first one saves, and calls in
        the others do nothing.

        Raises:
            BadParameter: nothing was seen, predictions were not finite at some look, looks before a
                resumption are not known, or the file is of another setting or has this run.
        """
        if not self._looks_here:
            return
        self._record.refuse_broken(f"nothing saved in {path}")
        if self._unseen_steps:
            raise BadParameter(
                f"nothing saved in {path}: the run was resumed at step {self._unseen_steps}, and "
                "its looks before are not known"
            )
        add_run(Path(path), self._setting, tuple(self.looks))

    def figure(self) -> Figure:
        """The indicators over the steps, the healthy runs' range, and the evidence.

        Raises:
            BadParameter: no look was taken yet, or this is not the process that looks.
        """
        if not self.looks:
            why = "no look was taken yet" if self._looks_here else "the first process looks"
            raise BadParameter(f"nothing to draw: {why}")
        alarm = (self.alarm.step, self.alarm.indicator) if self.alarm else None
        views = indicator_views(self.indicators, self.table, self._healthy)
        evidence_T = self.table["evidence"].to_numpy()
        return warning_figure(
            WarningView(views, evidence_T, self.judged, self.threshold, self.rule, alarm)
        )

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, **_: Any
    ) -> None:
        """The first look, at the weights as they are: what cannot be measured fails here.

        A run that is resumed takes up its looks from the checkpoint, and looks at the next step
        that is due.
        """
        refuse_parts(model)
        if self.stop and args.world_size > 1:
            raise BadParameter(
                f"stop=True with {args.world_size} processes: one cannot end the others; leave it "
                "out and watch the alarm"
            )
        self._looks_here = state.is_world_process_zero
        if state.global_step and self._looks_here:
            self._take_up(Kept.found(state.stateful_callbacks, self._watch), state.global_step)
        if not (self.looks and state.global_step):
            self.on_step_end(args, state, control, model)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """A look after an optimizer step, in the first process."""
        del args
        if self._looks_here:
            self.after_step(model, state.global_step)
            Kept.of(self._record, self._budget).put(state.stateful_callbacks, self._watch)
        if self.stop and self.alarm is not None:
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Say so where no look was judged: no alarm is no sign of health then."""
        del args, state, control
        if self._looks_here:
            self._teller.end(self._record)

    def _take_up(self, kept: Kept | None, step: int) -> None:
        """Go on with a run that was interrupted: its looks are judged again, in their order."""
        if kept is None:
            self._unseen_steps = step
            self._teller.resumed_unseen(step)
            return
        self._record = self._new_record()
        kept.give_back(self._record, self._budget)

    def _look(self, model: Any, step: int) -> Alarm | None:
        values = take_look(
            model,
            self._input_ids_BxT,
            self.seed,
            self._budget,
            partial(self._teller.complain, "some indicators were not measured"),
        )
        begun_s = self._budget.clock()
        raised = self._record.add(step, values)
        self._teller.last_look(self._record, self.share)
        self._budget.allowances[0].pay_more(self._budget.clock() - begun_s)
        return raised
