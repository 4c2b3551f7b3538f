"""Prune directions of a generation's keys, and see what the loss says."""

from collapse.execution.stage_door import run_stage_door

if __name__ == "__main__":
    raise SystemExit(run_stage_door("surgery"))
