"""Weights kept on the way through a training, at given counts of tokens."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from collapse.errors import BadParameter, StoreError
from collapse.language.checkpoint import save_checkpoint
from collapse.parameters.doors import Baseline
from collapse.parameters.fields import numbers

SCHEDULE = "schedule"


@dataclass(frozen=True)
class SchedulePoint:
    """Weights kept on the way.

    Attributes:
        tokens: tokens trained on by then.
        checkpoint_folder: as `save_checkpoint` leaves it; `load_model` reads it.
    """

    tokens: int
    checkpoint_folder: Path


@dataclass(frozen=True)
class PlannedPoint:
    """Weights to be kept on the way.

    Attributes:
        tokens_asked: as the parameter says.
        tokens: trained on after the optimizer step that is nearest to that.
        step: that step, 0 being before training.
    """

    tokens_asked: int
    tokens: int
    step: int

    @property
    def folder(self) -> str:
        """Name of the point's folder."""
        return f"tokens-{self.tokens:015d}"


def schedule_points(folder: Path) -> tuple[SchedulePoint, ...]:
    """The weights that a run kept on the way, fewest tokens first; none where it was to keep none.

    Args:
        folder: artifacts of a training.

    Raises:
        StoreError: weights that the run lists are gone.
    """
    listed = folder / f"{SCHEDULE}.json"
    if not listed.is_file():
        return ()
    planned = [PlannedPoint(**point) for point in json.loads(listed.read_text())]
    points = [SchedulePoint(one.tokens, folder / SCHEDULE / one.folder) for one in planned]
    for point in points:
        if not point.checkpoint_folder.is_dir():
            raise StoreError(f"weights kept on the way are gone: {point.checkpoint_folder}")
    return tuple(points)


def points_on_the_way(folder: Path) -> tuple[SchedulePoint, ...]:
    """Those of :func:`schedule_points` but for the end of training, where the model itself is."""
    return tuple(one for one in schedule_points(folder) if one.tokens < tokens_trained(folder))


def tokens_trained(folder: Path) -> int:
    """Tokens that a training predicted in all its steps."""
    summary = json.loads((folder / "training_summary.json").read_text())
    return int(summary["ledger"]["tokens_seen"])


def planned_points(parameters: Baseline) -> tuple[PlannedPoint, ...]:
    """The optimizer steps after which `checkpoint_tokens` asks for the weights.

    Raises:
        BadParameter: a count lies beyond the end of training, or two fall on one step.
    """
    points: list[PlannedPoint] = []
    size, steps = parameters.tokens_per_step, parameters.baseline_steps
    for asked in map(round, numbers(parameters.checkpoint_tokens)):
        step = round(asked / size)
        if step > steps:
            raise BadParameter(
                f"checkpoint_tokens: {asked} is beyond the end of training, which is "
                f"{steps * size} tokens ({steps} steps of {size})"
            )
        if points and points[-1].step == step:
            raise BadParameter(
                f"checkpoint_tokens: {points[-1].tokens_asked} and {asked} fall on the same step "
                f"{step} of {size} tokens: leave one out"
            )
        points.append(PlannedPoint(asked, step * size, step))
    return tuple(points)


def keeper(
    points: Sequence[PlannedPoint], tokenizer: Any, state: Path
) -> Callable[[int, Any], None]:
    """What keeps the weights of a training that has come to one of the points.

    They are kept in scratch, which survives a kill: what a killed training had passed is there when
    it goes on. Points after its newest state it comes to once more, and writes the same bits.
    """
    folders = {point.step: state / SCHEDULE / point.folder for point in points}

    def keep(step: int, model: Any) -> None:
        shutil.rmtree(folders[step], ignore_errors=True)
        save_checkpoint(model, tokenizer, folders[step])

    return keep


def hand_over(points: Sequence[PlannedPoint], state: Path, folder: Path) -> None:
    """Copy the weights from scratch to a run's folder, and list them in `schedule.json`.

    A copy, because a kill between this and the end of the run must find them in scratch again.

    Raises:
        StoreError: weights that a killed training had kept are gone.
    """
    for point in points:
        kept = state / SCHEDULE / point.folder
        if not kept.is_dir():
            raise StoreError(
                f"weights kept on the way are gone: {kept}; remove {state} to train from the start"
            )
        shutil.copytree(kept, folder / SCHEDULE / point.folder)
    content = json.dumps([asdict(point) for point in points], indent=1)
    (folder / f"{SCHEDULE}.json").write_text(content)
