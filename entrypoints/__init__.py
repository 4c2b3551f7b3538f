"""Doors: one module an entry point of MLproject, each run as ``python -m entrypoints.NAME``."""

import os

# Before anything imports mlflow, which would tell its makers of every run. Who wants that says so.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
