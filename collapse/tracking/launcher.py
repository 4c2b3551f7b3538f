"""The run that MLflow's command line makes before Python starts, and closes afterwards."""

import os
from contextlib import suppress

LAUNCHER_VARIABLES = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID")


def take_launcher() -> str | None:
    """Take the launcher's run out of the environment, so that nothing nests under it.

    Returns:
        Its id, None where the door was not opened by ``mlflow run``.
    """
    taken = {name: os.environ.pop(name, None) for name in LAUNCHER_VARIABLES}
    return taken["MLFLOW_RUN_ID"]


def tag_launcher(launcher: str | None, run_id: str) -> None:
    """Write on the launcher which run it launched; a launcher that is gone does not matter."""
    if launcher:
        from mlflow.exceptions import MlflowException

        from collapse.errors import StoreError
        from collapse.tracking.runs import client

        with suppress(MlflowException, StoreError):
            client().set_tag(launcher, "launched", run_id)
