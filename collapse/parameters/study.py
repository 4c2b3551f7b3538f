"""Study files: arms, seeds, generations, settings, claims."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from collapse.claims import Claim, claims_hash
from collapse.errors import BadParameter
from collapse.parameters.doors import DOORS, PROBES
from collapse.parameters.fields import about, default_of, is_name, parameter_fields
from collapse.parameters.groups import ARM_KINDS
from collapse.parameters.parse import build, require_known, value_of

STUDIES = Path(__file__).resolve().parents[2] / "studies"

Door = TypeVar("Door")


@dataclass(frozen=True)
class StudyFile:
    """What a study file says.

    Attributes:
        name: the study; also its MLflow experiment, unless a call names another.
        question: what it asks, in one sentence.
        arms: arm name to the settings in which it differs.
        control: the arm that the others are paired with.
        probes: stages to run on every generation.
        settings: values of settings for all doors.
        claims: what it puts to the test.
    """

    name: str
    question: str
    arms: Mapping[str, Mapping[str, Any]]
    control: str
    probes: tuple[str, ...]
    settings: Mapping[str, Any]
    claims: tuple[Claim, ...]

    @property
    def claims_hash(self) -> str:
        """A digest of the claims, written down before the first chain runs."""
        return claims_hash(self.claims)

    def arm_settings(self, arm: str) -> Mapping[str, Any]:
        """The settings of an arm; a kind of arm may be asked for though the file has it not.

        Raises:
            BadParameter: neither an arm of the study nor a kind of arm.
        """
        if arm in self.arms:
            kind = {"kind": arm} if arm in ARM_KINDS else {}
            return kind | dict(self.arms[arm])
        if arm in ARM_KINDS:
            return {"kind": arm}
        known = ", ".join(dict.fromkeys([*self.arms, *ARM_KINDS]))
        raise BadParameter(f"unknown arm {arm!r}: known are {known}")

    def door(self, door: type[Door], given: Mapping[str, object], arm: str | None = None) -> Door:
        """A door's parameters: its defaults, the study's settings, the arm's, and those given."""
        own = self.arm_settings(arm) if arm else {}
        return build(door, self.settings, own, given)


def load_study(study: str, scale: str = "full") -> StudyFile:
    """Read and check a study file.

    Args:
        study: a name in `studies/`, or the path of a YAML file.
        scale: one of the file's `scales`, which may set settings of the study and, under `arms`,
            of its arms, or arms of its own; `only` names the arms that it has (and with them the
            claims on these), and `claims` adds claims. `full` is the file as it stands.

    Raises:
        BadParameter: no such study or scale, or something in the file that is not understood.
    """
    path = Path(study) if study.endswith((".yaml", ".yml")) else STUDIES / f"{study}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in STUDIES.glob("*.yaml")))
        raise BadParameter(f"no study {study!r}: known are {known}, or the path of a .yaml file")
    if not is_name(path.stem):
        raise BadParameter(f"the study file {path.name!r} must be of letters, digits, - and _")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise BadParameter(f"{path} is not a YAML file: {reason}") from None
    try:
        return _study(content, path.stem, scale)
    except BadParameter as error:
        raise BadParameter(f"{path}: {error}") from None
    except (TypeError, ValueError, AttributeError) as error:
        # A list where a mapping belongs, a word where a number does: YAML lets all of it through.
        raise BadParameter(f"{path} is not written as a study file: {error}") from None


def _study(content: object, name: str, scale: str) -> StudyFile:
    if not isinstance(content, dict):
        raise BadParameter("a study file is a mapping with question, arms, control and settings")
    known = {"question", "arms", "control", "probes", "settings", "scales", "claims"}
    if unknown := sorted(set(content) - known):
        raise BadParameter(f"unknown key {unknown[0]!r}: known are {', '.join(sorted(known))}")
    scales = content.get("scales") or {}
    if scale != "full" and scale not in scales:
        raise BadParameter(f"no scale {scale!r}: known are {', '.join(['full', *scales])}")
    chosen = dict(scales.get(scale) or {})
    claims = [*(content.get("claims") or ()), *(chosen.pop("claims", None) or ())]
    arms, settings = _scaled(content, chosen)
    for values in (settings, *arms.values()):
        _check_settings(values)
    control = content.get("control", "")
    if not arms or control not in arms:
        raise BadParameter(f"control {control!r} is not one of the arms {', '.join(arms)}")
    probes = tuple(content.get("probes") or ())
    if unknown := [probe for probe in probes if probe not in PROBES]:
        raise BadParameter(f"unknown probe {unknown[0]!r}: known are {', '.join(PROBES)}")
    study = StudyFile(
        name=name,
        question=" ".join(str(content.get("question", "")).split()),
        arms=arms,
        control=control,
        probes=probes,
        settings=settings,
        claims=_claims(claims, {*(content.get("arms") or {}), *arms}, arms),
    )
    for arm in arms:
        if not is_name(arm):
            raise BadParameter(f"arm {arm!r} must be of letters, digits, - and _")
        if study.arm_settings(arm).get("kind") not in ARM_KINDS:
            raise BadParameter(f"arm {arm!r} needs a kind: one of {', '.join(ARM_KINDS)}")
    return study


def _scaled(
    content: Mapping[str, Any], scale: dict[str, Any]
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Arms and settings of a study file, with what a scale changes in them."""
    arms = {arm: dict(own or {}) for arm, own in (content.get("arms") or {}).items()}
    for arm, own in (scale.pop("arms", None) or {}).items():
        # With a kind it is an arm of the scale's own; without, it is one that is misspelt.
        if arm not in arms and "kind" not in (own or {}):
            raise BadParameter(f"the scale's arm {arm!r} is none of the arms {', '.join(arms)}")
        arms[arm] = arms.get(arm, {}) | dict(own or {})
    only = scale.pop("only", None) or list(arms)
    if unknown := [arm for arm in only if arm not in arms]:
        raise BadParameter(f"only: {unknown[0]!r} is none of the arms {', '.join(arms)}")
    arms = {arm: own for arm, own in arms.items() if arm in only}
    return arms, dict(content.get("settings") or {}) | scale


def _check_settings(values: Mapping[str, Any]) -> None:
    """Raise BadParameter unless every key is a setting of some door and its value is in range."""
    known = {
        name: one
        for door in DOORS.values()
        for name, one in parameter_fields(door).items()
        if about(one).setting
    }
    for key, value in values.items():
        require_known(key, known)
        value_of(known[key], value)


def _claims(
    contents: Iterable[Mapping[str, Any]], every: Iterable[str], arms: Iterable[str]
) -> tuple[Claim, ...]:
    """The claims on the arms of a scale, once all of them make sense among all arms of the file."""
    every, arms = set(every), set(arms)
    found = [_claim(one, every) for one in contents]
    names = [one.id for one in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadParameter(f"two claims have the id {twice[0]!r}: give each one of its own")
    return tuple(one for one in found if arms.issuperset(one.contrast))


def _claim(content: Mapping[str, Any], arms: Collection[str]) -> Claim:
    missing = {"id", "statement", "indicator", "direction", "margin", "contrast", "refuted_if"}
    if absent := sorted(missing - set(content)):
        raise BadParameter(f"claim {content.get('id', '?')!r} has no {absent[0]}")
    contrast = tuple(content["contrast"])
    if any(arm not in arms for arm in contrast):
        raise BadParameter(
            f"claim {content['id']!r}: contrast must be two arms of the study, or one"
        )
    return Claim(**{**content, "contrast": contrast, "margin": float(content["margin"])})


def described(door: type) -> dict[str, str]:
    """Parameter name to its help with its default, for `--help` and for MLproject alike."""
    lines = {}
    for name, one in parameter_fields(door).items():
        default = default_of(one)
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        of_study = "the study's, or " if about(one).setting else ""
        lines[name] = f"{about(one).help} [{of_study}{shown or 'none'}]"
    return lines
