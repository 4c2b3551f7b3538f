"""What a watch is made with, checked before training begins."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from collapse.errors import BadParameter
from collapse.numerics.round_robin import runs_needed
from collapse.watch.looks import Run, Setting, read_runs, refuse_twins

AnyPath = str | PathLike[str]


def check_settings(alpha: float, every: int, burn_in: int, budget: float) -> None:
    """Refuse what no watch can be made with.

    Raises:
        BadParameter: a value is out of range.
    """
    if not 0 < alpha < 1:
        raise BadParameter(f"alpha={alpha} must lie between 0 and 1, such as 0.05")
    if every < 1:
        raise BadParameter(f"every={every} optimizer steps must be at least 1")
    if burn_in < 1:
        raise BadParameter(f"burn_in={burn_in} looks must be at least 1")
    if not budget > 0:
        raise BadParameter(f"budget={budget} must be above 0, such as 0.05 of training time")


def healthy_runs(
    calibration: AnyPath | Iterable[AnyPath] | None, setting: Setting, alpha: float
) -> tuple[Run, ...]:
    """The runs of one calibration file or several; none without any.

    Raises:
        BadParameter: a file cannot be used, see `read_runs`, a run is there twice, or there are too
            few for alpha.
    """
    if calibration is None:
        return ()
    one = isinstance(calibration, str | PathLike)
    paths = [calibration] if one else list(calibration)  # type: ignore[arg-type]
    if not paths:
        raise BadParameter("calibration is an empty list: name a file, or leave it out")
    runs = tuple(run for path in paths for run in read_runs(Path(path), setting))  # type: ignore[arg-type]
    refuse_twins(runs, "calibration " + ", ".join(map(str, paths)))
    if len(runs) < runs_needed(alpha):
        raise BadParameter(
            f"calibration has {len(runs)} healthy runs and alpha={alpha:g} takes "
            f"{runs_needed(alpha)}: save more, raise alpha, or leave it out"
        )
    return runs
