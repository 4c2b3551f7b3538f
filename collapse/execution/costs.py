"""What the parts of a step cost beside each other, before any of them was timed here. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from collapse.execution import work
from collapse.execution.progress import Told
from collapse.stages.plan import Step

TEXT_TOKENS = 100.0
"""Of a document, before its corpus is known."""


@dataclass(frozen=True)
class Part:
    """A part of a step.

    Attributes:
        kind: the first word of what its stage tells of it, or the stage's name for all that it
            tells nothing of.
        cost: seconds on the machine where these were measured.
        times: that the stage tells of such a part.
        of_model: whether the time goes with the model's size.
    """

    kind: str
    cost: float
    times: int = 1
    of_model: bool = True

    def of(self, told: Iterable[Told]) -> list[Told]:
        """What was told of this part."""
        return [one for one in told if one.what.split()[0] == self.kind]


def parts_of(step: Step) -> tuple[Part, ...]:
    """The parts of a step; the last is all that its stage tells nothing of."""
    p, stage = step.parameters, step.stage
    rest = Part(stage, REST[stage], of_model=False)
    kinds = (
        "documents",
        "training",
        "sampling",
        "spectrum",
        "singular",
        "losses",
        "gradients,",
        "benchmark",
    )
    return (*(Part(one, 1.0) for one in kinds), rest)


REST = dict.fromkeys(
    (
        "prepare",
        "judge",
        "baseline",
        "recurse_step",
        "quality",
        "hessian",
        "svd_probe",
        "surgery",
        "mechanism",
        "benchmark",
    ),
    1.0,
)
