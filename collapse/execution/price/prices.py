"""What a step takes, by lines through rehearsals of its shape or of the nearest one. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot, log
from typing import Any

from collapse.execution.price.programme import Rehearsal, Shape, Shapes
from collapse.execution.price.rehearsal import Rehearsed
from collapse.execution.price.stagehand import Performance
from collapse.execution.work import (
    TRAININGS,
    amount,
    completed_tokens,
    human_documents,
    looks_on_the_way,
    sampled_tokens,
)
from collapse.stages.plan import Step
from collapse.stages.synthesis import DRAWN_OVER_MISSING

NOISE = 0.1
"""How far one rehearsal's time may be off, as a share of it."""


@dataclass(frozen=True)
class Line:
    """A straight line through one measurement or two.

    Attributes:
        intercept: at no work.
        slope: for each unit of work.
        points: work and value of each measurement.
    """

    intercept: float
    slope: float
    points: tuple[tuple[float, float], ...]

    def at(self, work: float) -> float:
        """The value at an amount of work."""
        return self.intercept + self.slope * work

    def error(self, work: float) -> float:
        """How far that may be off where each measurement is off by `NOISE`, independently."""
        if len(self.points) == 1 or self.points[0][0] == self.points[1][0]:
            return NOISE * self.at(work)
        (x1, y1), (x2, y2) = self.points
        reach = (work - x1) / (x2 - x1)
        return NOISE * hypot((1 - reach) * y1, reach * y2)


def line_through(points: Sequence[tuple[float, float]]) -> Line:
    """The line through two measurements; through nothing and the one that there is.

    What cannot be (less for more work, or less than nothing for none) is noise: then the line is
    flat, or goes through nothing and the larger measurement.

    Args:
        points: one or two of work and value.
    """
    ordered = sorted(points)
    (x1, y1), (x2, y2) = ordered[0], ordered[-1]
    if x1 == x2:
        return Line(0.0, y2 / x2, tuple(ordered[-1:]))
    slope = max((y2 - y1) / (x2 - x1), 0.0)
    intercept = y2 - slope * x2 if slope else (y1 + y2) / 2
    if intercept < 0:
        intercept, slope = 0.0, y2 / x2
    return Line(intercept, slope, tuple(ordered))


NOTHING = Line(0.0, 0.0, ())


@dataclass(frozen=True)
class Price:
    """What a step takes.

    Attributes:
        seconds: of one worker.
        error: how far that may be off.
        disk_bytes: what it leaves.
        rehearsed: False where only another shape of its stage was rehearsed.
    """

    seconds: float
    error: float
    disk_bytes: float
    rehearsed: bool


@dataclass(frozen=True)
class _Shape:
    """What rehearsals say of a shape.

    Attributes:
        size: parameters of the model.
        work: seconds by amount of work; of generation 0 by tokens trained on, all else aside; of
            later ones nothing, since their training goes at the same rate.
        fixed: seconds of all else of a training.
        written: seconds for each token that a generation writes.
        length: tokens of a text as written in the rehearsal, 0 where none was.
        disk: bytes by amount of work, texts aside.
        text_bytes: bytes of texts for each document.
    """

    size: float
    work: Line
    fixed: float = 0.0
    written: float = 0.0
    length: float = 0.0
    disk: Line = NOTHING
    text_bytes: float = 0.0


class Prices:
    """Prices of the steps of a plan."""

    def __init__(
        self,
        shapes: Shapes,
        programme: Sequence[Rehearsal],
        rehearsed: Rehearsed,
        sizes: Mapping[str, float],
    ) -> None:
        """Draw the lines.

        Args:
            shapes: of the plan.
            programme: what was to be rehearsed.
            rehearsed: what came of it.
            sizes: parameters of each step's model, by key.
        """
        self._shapes, self._sizes = shapes, sizes
        self._known: dict[Shape, _Shape] = {}
        self._lengths: dict[Shape, float] = {}
        found: dict[Shape, list[Performance]] = {}
        for one in programme:
            if one.key in rehearsed.performances:
                found.setdefault(one.shape, []).append(rehearsed.performances[one.key])
        self._found = found
        for shape, performances in found.items():
            if shape[0] == "prepare":
                self._lengths[shape] = performances[-1].metrics["corpus/tokens_per_document"]

    def learn(self, steps: Sequence[Step]) -> None:
        """Draw the lines of the shapes of these steps, trainings first: others lean on them."""
        order = ("prepare", *TRAININGS)
        by_stage = {stage: place for place, stage in enumerate(order)}
        for step in sorted(steps, key=lambda one: by_stage.get(one.stage, len(order))):
            shape = self._shapes.of(step)
            if shape in self._found and shape not in self._known:
                self._known[shape] = self._drawn(step, self._found[shape])

    def tokens_per_document(self, step: Step) -> float:
        """Of the human text that a step reads, in its tokenizer."""
        prepared = self._shapes.of(self._shapes.prepared(step))
        return self._lengths.get(prepared) or next(iter(self._lengths.values()))

    def _drawn(self, step: Step, performances: Sequence[Performance]) -> _Shape:
        length = self.tokens_per_document(step)
        size = self._sizes.get(step.key, 1.0)
        works = [amount(one.step, length) for one in performances]
        disk = line_through(_beside(works, [one.other_bytes for one in performances]))
        if step.stage not in TRAININGS:
            seconds = line_through(_beside(works, [one.seconds for one in performances]))
            return _Shape(size, seconds, disk=disk)
        last = performances[-1]
        texts = last.text_bytes / max(_documents(last.step), 1)
        disk = Line(float(last.other_bytes), 0.0, ())
        if step.stage == "baseline":
            trained = [one.metrics.get("train/seconds", 0.0) for one in performances]
            work = line_through(_beside(works, trained))
            fixed = last.seconds - work.slope * works[-1]
            return _Shape(size, work, max(fixed, 0.0), disk=disk, text_bytes=texts)
        return self._generation(step, last, _Shape(size, NOTHING, disk=disk, text_bytes=texts))

    def _generation(self, step: Step, last: Performance, known: _Shape) -> _Shape:
        """Of a later generation's seconds, those of writing and of all that is no training."""
        length = self.tokens_per_document(step)
        trained = self._trained_token(step) * amount(last.step, length)
        writing = last.metrics.get("synthesis/seconds", 0.0)
        asked = sampled_tokens(last.step, length)
        kept = last.metrics.get("synthesis/kept", 0.0)
        return replace(
            known,
            fixed=max(last.seconds - writing - trained, 0.0),
            written=writing / asked if asked else 0.0,
            length=asked / kept if kept else 0.0,
        )

    def _trained_token(self, step: Step) -> float:
        """Seconds for each token that a training takes: those of its chain's generation 0."""
        found = self._of(self._shapes.trained_from(step))
        return found[0].work.slope * found[1] if found else 0.0

    def _of(self, step: Step) -> tuple[_Shape, float] | None:
        """What is known of a step's shape, or of the nearest of its stage.

        Returns:
            It and the factor between the two, by parameters; None where nothing of the stage was
            rehearsed.
        """
        shape = self._shapes.of(step)
        if shape in self._known:
            return self._known[shape], 1.0
        size = self._sizes.get(step.key, 1.0)
        others = [one for key, one in self._known.items() if key[0] == step.stage]
        if not others:
            return None
        nearest = min(others, key=lambda one: abs(log(size / one.size)))
        return nearest, size / nearest.size

    def price(self, step: Step) -> Price | None:
        """What a step takes; None where nothing of its stage could be rehearsed."""
        found = self._of(step)
        if found is None:
            return None
        known, factor = found
        length = self.tokens_per_document(step)
        work = amount(step, length)
        if step.stage in TRAININGS:
            trained = self._trained_token(step) * work
            seconds = known.fixed + trained + self._texts(step, known, factor)
            error = NOISE * seconds
        else:
            seconds = known.work.intercept + factor * known.work.slope * work
            error = factor * known.work.error(work)
        if step.stage == "quality":
            seconds = max(seconds + self._other_lengths(step), 0.2 * seconds)
        by_nearest = self._shapes.of(step) not in self._known
        return Price(seconds, error, self._disk(step, known, work), not by_nearest)

    def _texts(self, step: Step, known: _Shape, factor: float) -> float:
        """Seconds of a training's text: of human documents, and of what a model writes."""
        prepared = self._of(self._shapes.prepared(step))
        a_document = prepared[0].work.slope if prepared else 0.0
        written = known.written
        if step.stage == "baseline" and step.parameters.teacher:
            written = self._a_written_token(step)
        tokens = DRAWN_OVER_MISSING * sampled_tokens(step, self.tokens_per_document(step))
        return human_documents(step) * a_document + factor * written * tokens

    def _a_written_token(self, step: Step) -> float:
        """Seconds; where no generation wrote, those of training on one, which are near them."""
        writer = self._writer(step)
        return writer.written if writer else self._trained_token(step)

    def _writer(self, step: Step) -> _Shape | None:
        """A generation that wrote in the rehearsal, of the nearest size."""
        writers = [one for one in self._known.values() if one.written]
        size = self._sizes.get(step.key, 1.0)
        return min(writers, key=lambda one: abs(log(size / one.size)), default=None)

    def _other_lengths(self, step: Step) -> float:
        """Seconds by which a look at a trained model's texts differs from the rehearsal.

        A model that has hardly been trained does not know yet how long texts are: its samples are
        longer (or shorter) than those of the study, which are as long as human ones. And of every
        prompt one completion was rehearsed.
        """
        p = step.parameters
        writer = self._writer(step)
        human = min(self.tokens_per_document(step), p.max_new_tokens)
        longer = p.samples * (human - writer.length) if writer else 0.0
        further = (p.completions_per_prompt - 1) * completed_tokens(p)
        return self._a_written_token(step) * (longer + further)

    def _disk(self, step: Step, known: _Shape, work: float) -> float:
        if step.stage not in TRAININGS:
            return known.disk.at(work)
        kept = 1 + looks_on_the_way(step.parameters)
        return known.disk.intercept * kept + known.text_bytes * _documents(step)

    def memory_bytes(self, steps: Sequence[Step]) -> tuple[float, float]:
        """Most memory of a process and on its GPU; that of a spectrum grows with its batch."""
        every = [one for performances in self._found.values() for one in performances]
        most = [float(max((one.peak_bytes for one in every), default=0))]
        gpu = [float(max((one.gpu_bytes for one in every), default=0))]
        for step in steps:
            performances = self._found.get(self._shapes.of(step), [])
            if step.stage == "hessian" and performances:
                tokens = [one.step.parameters.probe_tokens for one in performances]
                for values, place in (("peak_bytes", most), ("gpu_bytes", gpu)):
                    seen = [getattr(one, values) for one in performances]
                    if len(seen) > 1 and tokens[0] != tokens[-1]:
                        line = line_through(_beside(tokens, seen))
                        place.append(line.at(step.parameters.probe_tokens))
        return max(most), max(gpu)


def _documents(step: Step) -> int:
    """Documents that a training is offered."""
    p = step.parameters
    return p.baseline_documents if step.stage == "baseline" else p.documents


def _beside(works: Sequence[float], values: Sequence[Any]) -> list[tuple[float, float]]:
    return [(float(work), float(value)) for work, value in zip(works, values, strict=True)]
