"""Hold a generation beside its parent and generation 0: gradients, weights, activations."""

from collapse.execution.stage_door import run_stage_door

if __name__ == "__main__":
    raise SystemExit(run_stage_door("mechanism"))
