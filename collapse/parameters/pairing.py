"""In which settings arms differ, and which arm is whose control.

A control goes through what its arm goes through, but for reading human text. How an arm writes and
sifts its own text is nothing that such a control would feel.
"""

from collections.abc import Mapping

from collapse.parameters.doors import RecurseStep
from collapse.parameters.fields import about, parameter_fields
from collapse.parameters.groups import Sampling

READING = frozenset({"kind", "synthetic_fraction", "human_half", "human_from"})
"""What a generation reads: in this, arms of a study differ by design."""
WRITING = frozenset({*parameter_fields(Sampling), "keep_texts", "decodings"})
"""How a generation writes for the next."""


def changes(recipe: RecurseStep, other: RecurseStep) -> dict[str, object]:
    """The settings in which a recipe differs from another, but for what it reads."""
    return {
        name: getattr(recipe, name)
        for name, one in parameter_fields(RecurseStep).items()
        if about(one).setting
        and name not in READING
        and getattr(recipe, name) != getattr(other, name)
    }


def changed_arms(recipes: Mapping[str, RecurseStep], control: str) -> dict[str, dict[str, object]]:
    """The arms that differ from the control in more than what they read, with how they do.

    Args:
        recipes: arm to the parameters of its generation 1.
        control: the study's control; without it among the arms nothing is compared.
    """
    if control not in recipes:
        return {}
    every = {arm: changes(recipe, recipes[control]) for arm, recipe in recipes.items()}
    return {arm: changed for arm, changed in every.items() if changed}


def own_controls(recipes: Mapping[str, RecurseStep], control: str) -> dict[str, str]:
    """The control of each arm that has one: trained as the arm is, on what the control reads.

    Args:
        recipes: arm to the parameters of its generation 1.
        control: the study's control, which goes before others that would do.

    Returns:
        Arm to control. Arms that read what the control reads are controls themselves, and have
        none.
    """
    if control not in recipes:
        return {}
    reads = _reading(recipes[control])
    controls = [arm for arm, recipe in recipes.items() if _reading(recipe) == reads]
    controls.sort(key=lambda arm: arm != control)
    found = {}
    for arm, recipe in recipes.items():
        like = (one for one in controls if changes(recipe, recipes[one]).keys() <= WRITING)
        if arm not in controls and (own := next(like, None)) is not None:
            found[arm] = own
    return found


def _reading(recipe: RecurseStep) -> tuple[object, ...]:
    return tuple(getattr(recipe, name) for name in sorted(READING))
