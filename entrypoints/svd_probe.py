"""Take the singular values of every head's keys and queries at a generation."""

from collapse.execution.stage_door import run_stage_door

if __name__ == "__main__":
    raise SystemExit(run_stage_door("svd_probe"))
