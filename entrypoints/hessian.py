"""Take the spectrum of the loss's Hessian at a generation."""

from collapse.execution.stage_door import run_stage_door

if __name__ == "__main__":
    raise SystemExit(run_stage_door("hessian"))
