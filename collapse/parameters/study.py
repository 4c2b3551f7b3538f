"""Study files: arms, seeds, generations, settings, claims."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from collapse.claims import Claim, claims_hash
from collapse.errors import BadParameter
from collapse.parameters.doors import DOORS, PROBES
from collapse.parameters.fields import about, default_of, is_name, parameter_fields
from collapse.parameters.groups import ARM_KINDS
from collapse.parameters.metric_names import MEASURED_BY, require_metric
from collapse.parameters.parse import build, require_known, value_of
from collapse.parameters.yaml_text import listed, mapping, nearest, read_yaml, shown

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
        known = list(dict.fromkeys([*self.arms, *ARM_KINDS]))
        raise BadParameter(f"unknown arm {arm!r}: {nearest(arm, known)}")

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
        known = sorted(one.stem for one in STUDIES.glob("*.yaml"))
        hint = nearest(study, known)
        raise BadParameter(f"no study {study!r}: {hint} (or give the path of a .yaml file)")
    if not is_name(path.stem):
        raise BadParameter(f"the study file {path.name!r} must be of letters, digits, - and _")
    content = read_yaml(path)
    try:
        return _study(content, path.stem, scale)
    except BadParameter as error:
        raise BadParameter(f"{path}: {error}") from None
    except (TypeError, ValueError, AttributeError) as error:
        # A list where a word belongs: YAML lets all of it through.
        raise BadParameter(f"{path} is not written as a study file: {error}") from None


def _study(content: object, name: str, scale: str) -> StudyFile:
    if not isinstance(content, dict):
        raise BadParameter("a study file is a mapping with question, arms, control and settings")
    known = {"question", "arms", "control", "probes", "settings", "scales", "claims"}
    content = mapping(content, "a study file")
    if unknown := [key for key in content if key not in known]:
        raise BadParameter(f"unknown key {unknown[0]!r}: {nearest(unknown[0], sorted(known))}")
    if not isinstance(content.get("question", ""), str):
        raise BadParameter(f"question is {shown(content['question'])}: write a sentence")
    scales = mapping(content.get("scales"), "scales")
    if scale != "full" and scale not in scales:
        raise BadParameter(f"no scale {scale!r}: {nearest(scale, ['full', *scales])}")
    chosen = dict(mapping(scales.get(scale), f"scale {scale}"))
    claims = [
        *listed(content.get("claims"), "claims"),
        *listed(chosen.pop("claims", None), f"claims of scale {scale}"),
    ]
    arms, settings = _scaled(content, chosen)
    for values in (settings, *arms.values()):
        _check_settings(values)
    study = StudyFile(
        name=name,
        question=" ".join(content.get("question", "").split()),
        arms=arms,
        control=_control(content.get("control", ""), arms),
        probes=_probes(content.get("probes")),
        settings=settings,
        claims=_claims(claims, {*(content.get("arms") or {}), *arms}, arms),
    )
    for arm in arms:
        if not is_name(arm):
            raise BadParameter(f"arm {arm!r} must be of letters, digits, - and _")
        if study.arm_settings(arm).get("kind") not in ARM_KINDS:
            raise BadParameter(f"arm {arm!r} needs a kind: one of {', '.join(ARM_KINDS)}")
    _check_teachers(study)
    _check_measured(study)
    return study


def _control(control: object, arms: Collection[str]) -> str:
    if not arms:
        raise BadParameter("there are no arms: write arms: {replace: {}, fresh: {}}, for example")
    if not isinstance(control, str) or control not in arms:
        raise BadParameter(
            f"control {shown(control)} is not one of the arms {', '.join(arms)}: name the arm "
            "that the others are paired with"
        )
    return control


def _probes(written: object) -> tuple[str, ...]:
    probes = tuple(listed(written, "probes"))
    for probe in probes:
        if probe not in PROBES:
            raise BadParameter(f"unknown probe {shown(probe)}: {nearest(str(probe), PROBES)}")
        if probes.count(probe) > 1:
            raise BadParameter(f"probe {probe} is listed twice: leave one out")
    return probes


def _check_teachers(study: StudyFile) -> None:
    """Raise BadParameter where arms learn from each other in a circle, or one from itself."""
    teachers = {arm: str(own.get("teacher", "")) for arm, own in study.arms.items()}
    for arm, teacher in teachers.items():
        if teacher == arm or teachers.get(teacher):
            how = (
                "itself" if teacher == arm else f"{teacher}, which learns from {teachers[teacher]}"
            )
            raise BadParameter(
                f"arm {arm!r} learns from {how}: its teacher must be another arm, one "
                "without a teacher, or a model"
            )


def _check_measured(study: StudyFile) -> None:
    """Raise BadParameter where nothing in the study measures what a claim is about."""
    last = value_of(_GENERATIONS, study.settings.get("generations", default_of(_GENERATIONS)))
    for claim in study.claims:
        if claim.generation is not None and claim.generation > last:
            raise BadParameter(
                f"claim {claim.id!r}: generation is {claim.generation}, and the study's last one "
                f"is {last}: name that or an earlier one, or raise generations"
            )
        for metric in filter(None, (claim.indicator, claim.event)):
            require_metric(metric, f"claim {claim.id!r}")
            probe = MEASURED_BY.get(metric.partition("/")[0])
            if probe and probe not in study.probes:
                raise BadParameter(
                    f"claim {claim.id!r}: {metric} is measured by {probe}, which is none of the "
                    f"study's probes: write probes: [{', '.join([*study.probes, probe])}]"
                )


def _scaled(
    content: Mapping[str, Any], scale: dict[str, Any]
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Arms and settings of a study file, with what a scale changes in them."""
    written = mapping(content.get("arms"), "arms")
    arms = {arm: mapping(own, f"arm {arm!r}") for arm, own in written.items()}
    for arm, changed in mapping(scale.pop("arms", None), "arms of the scale").items():
        own = mapping(changed, f"the scale's arm {arm!r}")
        # With a kind it is an arm of the scale's own; without, it is one that is misspelt.
        if arm not in arms and "kind" not in own:
            raise BadParameter(f"the scale's arm {arm!r} is none of the arms {', '.join(arms)}")
        arms[arm] = arms.get(arm, {}) | own
    only = listed(scale.pop("only", None), "only") or list(arms)
    if unknown := [arm for arm in only if arm not in arms]:
        raise BadParameter(f"only: {unknown[0]!r} is none of the arms {', '.join(arms)}")
    arms = {arm: own for arm, own in arms.items() if arm in only}
    return arms, mapping(content.get("settings"), "settings") | scale


_GENERATIONS = parameter_fields(DOORS["main"])["generations"]
_OPTIONS = {name for door in DOORS.values() for name, one in parameter_fields(door).items()} - {
    "kind"
}
"""What some door takes, be it a setting of studies or not."""


def _check_settings(values: Mapping[str, Any]) -> None:
    """Raise BadParameter unless every key is a setting of some door and its value is in range."""
    known = {
        name: one
        for door in DOORS.values()
        for name, one in parameter_fields(door).items()
        if about(one).setting
    }
    for key, value in values.items():
        if key not in known and key in _OPTIONS:
            raise BadParameter(
                f"{key} belongs to one call, not to a study file: give --{key} on the command line"
            )
        require_known(key, known)
        value_of(known[key], value)


def _claims(
    contents: Iterable[object], every: Iterable[str], arms: Iterable[str]
) -> tuple[Claim, ...]:
    """The claims on the arms of a scale, once all of them make sense among all arms of the file."""
    every, arms = set(every), set(arms)
    found = [_claim(one, every) for one in contents]
    names = [one.id for one in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadParameter(f"two claims have the id {twice[0]!r}: give each one of its own")
    return tuple(one for one in found if arms.issuperset(one.contrast))


def _claim(written: object, arms: Collection[str]) -> Claim:
    content = mapping(written, "a claim")
    missing = {"id", "statement", "indicator", "direction", "margin", "contrast", "refuted_if"}
    if absent := sorted(missing - set(content)):
        raise BadParameter(f"claim {content.get('id', '?')!r} has no {absent[0]}: write it")
    name = f"claim {shown(content['id'])}"
    known = [one.name for one in fields(Claim)]
    if unknown := [key for key in content if key not in known]:
        raise BadParameter(f"{name}: unknown key {unknown[0]!r}: {nearest(unknown[0], known)}")
    words = [
        "id",
        "statement",
        "indicator",
        "refuted_if",
        *(["event"] if "event" in content else []),
    ]
    for key in words:
        if not isinstance(content[key], str):
            raise BadParameter(f"{name}: {key} is {shown(content[key])}: write words")
    contrast = tuple(listed(content["contrast"], f"{name}: contrast"))
    if unknown := [arm for arm in contrast if arm not in arms]:
        raise BadParameter(
            f"{name}: contrast must be two arms of the study, or one, and {shown(unknown[0])} is "
            f"none: {nearest(str(unknown[0]), arms)}"
        )
    margin, generation = content["margin"], content.get("generation")
    if isinstance(margin, bool) or not isinstance(margin, int | float):
        raise BadParameter(f"{name}: margin is {shown(margin)}: write a number of 0 or more")
    if generation is not None and (not isinstance(generation, int) or generation < 0):
        raise BadParameter(
            f"{name}: generation is {shown(generation)}: write a whole number of 0 or more"
        )
    return Claim(**{**content, "contrast": contrast, "margin": float(margin)})


def described(door: type) -> dict[str, str]:
    """Parameter name to its help with its default, for `--help` and for MLproject alike."""
    lines = {}
    for name, one in parameter_fields(door).items():
        default = default_of(one)
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        of_study = "the study's, or " if about(one).setting else ""
        lines[name] = f"{about(one).help} [{of_study}{shown or 'none'}]"
    return lines
