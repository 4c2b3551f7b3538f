"""Train one generation on what its arm prescribes."""

from collapse.execution.stage_door import run_stage_door

if __name__ == "__main__":
    raise SystemExit(run_stage_door("recurse_step"))
