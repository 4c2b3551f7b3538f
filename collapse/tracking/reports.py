"""A report as a run of its study."""

import tempfile
from pathlib import Path

from mlflow.entities import Run

from collapse.tracking.runs import RunLabel, close_run, experiment_id, open_run, upload


def log_report(experiment: str, study: str, folder: Path) -> str:
    """Log a folder as the artifacts of a new run of the stage `report`; returns its id."""
    experiment_id(experiment)
    tags = {"study": study, "stage": "report", "fingerprint": f"report of {experiment}"}
    run_id = open_run(RunLabel(experiment, "report", tags)).info.run_id
    try:
        upload(run_id, folder, sorted(path.name for path in folder.iterdir()))
    except BaseException:
        close_run(run_id, "FAILED")
        raise
    close_run(run_id, "FINISHED")
    return run_id


def log_picture(chain: Run, name: str, png: bytes) -> None:
    """Put a picture among the artifacts of a chain's run, in place of one of its name."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(png)
        upload(chain.info.run_id, Path(folder), [name])
