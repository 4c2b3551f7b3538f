"""What a stage yields: named numbers at a step."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """Values measured at one step.

    Attributes:
        step: optimizer step, generation or percent pruned, as the metric's name implies.
        values: metric name (units in the name, such as ``human/nll_nats``) to value. A number
            that was not measured is absent, never zero.
    """

    step: int
    values: Mapping[str, float]
