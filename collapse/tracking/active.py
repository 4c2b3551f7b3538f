"""Numbers into whatever run is active in this process, ours or somebody else's."""

import sys
from collections.abc import Mapping


def log_to_active_run(values: Mapping[str, float], step: int) -> None:
    """Log metrics to MLflow's active run; nothing happens where there is none.

    A process that never imported MLflow has no run that is active, and does not import it now.
    """
    if "mlflow" not in sys.modules:
        return
    import mlflow

    if mlflow.active_run() is not None:
        mlflow.log_metrics(dict(values), step=step)
