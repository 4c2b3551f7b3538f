"""What each arm of the code study changes, against its control (R4.5)."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """One arm with a training of its own.

    Attributes:
        arm: its name.
        asks: what is asked of it, in words.
        words: what is changed in it, as the subject of a sentence.
    """

    arm: str
    asks: str
    words: str


CHANGES = (
    Change("little_data", "What does less text do?", "Less text"),
    Change("large_vocabulary", "What does a larger vocabulary do?", "A larger vocabulary"),
    Change("large_model", "What does a larger model do?", "A larger model"),
    Change("large_both", "What do both do together?", "A larger vocabulary and model"),
    Change("huge_vocabulary", "What does a huge vocabulary do?", "A huge vocabulary"),
    Change("characters", "What do characters for tokens do?", "A model of characters"),
    Change(
        "characters_large",
        "What do characters and a larger model do?",
        "A larger model of characters",
    ),
    Change("distilled", "What does a teacher do?", "A teacher's text and distributions"),
    Change("no_mask", "What does a missing causal mask do?", "A missing causal mask"),
)
DRIVERS = {"data": "little_data", "vocabulary": "large_vocabulary", "capacity": "large_model"}
"""What the study asks after, and the arm that changes it alone."""
VOCABULARY, CAPACITY, BOTH = "large_vocabulary", "large_model", "large_both"
"""The 2 x 2 with the control."""
DISTILLED = "distilled"
DECODINGS = ("greedy", "beam", "cool", "unbiased", "hot")
"""Arms that decode the control's model in other ways."""


def change_of(arm: str) -> Change:
    """What an arm changes; one that is not the study's goes by its name."""
    known = {change.arm: change for change in CHANGES}
    return known.get(arm, Change(arm, f"What does {arm} do?", f"The arm {arm}"))


def trained(arms: Iterable[str], control: str | None) -> tuple[str, ...]:
    """The arms with a training of their own, the control left out."""
    return tuple(arm for arm in arms if arm != control and arm not in DECODINGS)
