"""What a study puts to the test, written down before its first chain runs (DESIGN 4)."""

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from collapse.errors import BadParameter

DIRECTIONS = ("increase", "decrease", "similar")


@dataclass(frozen=True)
class Claim:
    """A statement that was fixed before the first chain ran, and that can fail.

    A contrast of two arms is about their difference, one of four about the difference of the first
    two less that of the last two, one of a single arm about its own value. With an event it is
    about lead time: the indicator's alarm comes so many generations before it.

    Attributes:
        id: short name, unique in its study.
        statement: the claim in words.
        indicator: the metric that decides it.
        direction: ``"increase"`` or ``"decrease"`` of the arm against its control, or
            ``"similar"``: within the margin of it, either way.
        margin: the least difference that matters, at least 0, in the metric's unit; of a claim on
            one arm, the level that its own value must pass; of a claim on an event, the
            generations by which the alarm must lead it.
        contrast: the arm and its control; or both and then another arm with its control; or the
            arm alone, whose own value is the matter.
        refuted_if: in words, what would refute the claim.
        generation: where they are compared; None is the study's last generation.
        event: the metric of an event (`analysis.events`) that the indicator's alarm is claimed to
            lead; None for a claim on the indicator itself.

    Raises:
        BadParameter: if the direction, the margin or the contrast makes no sense.
    """

    id: str
    statement: str
    indicator: str
    direction: str
    margin: float
    contrast: tuple[str, ...]
    refuted_if: str
    generation: int | None = None
    event: str | None = None

    def __post_init__(self) -> None:
        """Refuse a claim that cannot be judged."""
        if self.direction not in DIRECTIONS:
            raise BadParameter(
                f"claim {self.id!r}: direction is {self.direction!r}; it must be one of "
                f"{', '.join(DIRECTIONS)}"
            )
        if not (math.isfinite(self.margin) and self.margin >= 0):
            raise BadParameter(f"claim {self.id!r}: margin is {self.margin}; it must be 0 or more")
        if len(self.contrast) not in {1, 2, 4} or len(set(self.contrast)) != len(self.contrast):
            raise BadParameter(
                f"claim {self.id!r}: contrast is {list(self.contrast)}; it must be two different "
                "arms of the study, or one, or two with their controls"
            )
        if (self.is_lead or self.direction == "similar") and len(self.contrast) != 2:
            raise BadParameter(
                f"claim {self.id!r}: contrast is {list(self.contrast)}; a claim on an event, or "
                "that something is similar, needs an arm and its control"
            )
        if self.is_lead and self.direction == "similar":
            raise BadParameter(
                f"claim {self.id!r}: direction is 'similar'; before an event, it must be that of "
                "the alarm, increase or decrease"
            )

    @property
    def is_level(self) -> bool:
        """Whether it is about one arm's own value."""
        return len(self.contrast) == 1

    @property
    def is_lead(self) -> bool:
        """Whether it is about the time between an alarm and an event."""
        return self.event is not None


def written(claim: Claim) -> dict[str, Any]:
    """A claim as it is written down before the first chain runs, and hashed.

    Claims could not be on events at first: one that is on none says nothing of it, so that studies
    of then keep their hash.
    """
    return {k: v for k, v in asdict(claim).items() if (k, v) != ("event", None)}


def claims_hash(claims: Iterable[Claim]) -> str:
    """A digest of claims, 16 hexadecimal digits: another one as soon as a letter changes."""
    text = json.dumps([written(claim) for claim in claims], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
