"""See what a generation can do, on nine tasks."""

from collapse.execution.stage_door import run_stage_door

if __name__ == "__main__":
    raise SystemExit(run_stage_door("benchmark"))
