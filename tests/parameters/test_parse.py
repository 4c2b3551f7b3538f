import pytest
import yaml

from collapse.errors import BadParameter
from collapse.parameters.doors import DOORS, Experiment, RecurseStep
from collapse.parameters.fields import parameter_fields
from collapse.parameters.parse import read_arguments, value_of
from collapse.parameters.study import STUDIES, load_study
from collapse.stages.plan import plan_study


def parse(door: type, *words: str, arm: str | None = None):
    return load_study("quickstart").door(door, read_arguments(door, words), arm)


def test_both_spellings_and_the_study_word() -> None:
    made = parse(RecurseStep, "--generation", "3", "--learning-rate=1.0e-4", "--steps", "study")
    assert (made.generation, made.learning_rate, made.steps) == (3, 1e-4, 60)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--genration", "3"], "did you mean generation"),
        (["--generation", "-1"], "1 or more"),
        (["--generation", "0"], "baseline"),
        (["--steps", "abc"], "not a whole number"),
        (["--steps", "1.5"], "not a whole number"),
        (["--learning_rate", "nan"], "not a number"),
        (["--learning_rate", "-1"], "above 0"),
        (["--temperature", "inf"], "not a number"),
        (["--rerun", "maybe"], "not true or false"),
        (["--optimizer", "sgd"], "one of muon, adamw"),
        (["--steps"], "has no value"),
        (["oops"], "unexpected word"),
        (["--arm", "a b"], "arm"),
        (["--synthetic_fraction", "1.2"], "from 0 to 1"),
    ],
)
def test_bad_words_are_refused_by_name(words: list[str], says: str) -> None:
    with pytest.raises(BadParameter, match=says) as caught:
        parse(RecurseStep, *words, arm="replace")
    assert "\n" not in str(caught.value)


def test_whole_numbers_may_be_written_with_a_point_and_are_kept_exact() -> None:
    fields = parameter_fields(RecurseStep)
    assert value_of(fields["steps"], "100.0") == 100
    assert value_of(fields["seed"], "9007199254740993") == 9007199254740993


def test_every_default_passes_its_own_check() -> None:
    for door in DOORS.values():
        for name, one in parameter_fields(door).items():
            assert value_of(one, one.default) == one.default, name


def test_layers_go_over_one_another(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "question: q\n"
        "arms: {replace: {}, half: {kind: mixed, synthetic_fraction: 0.25}, fresh: {}}\n"
        "control: fresh\nsettings: {steps: 7, documents: 11}\nscales: {cpu: {steps: 5}}\n"
    )
    whole, small = load_study(str(file)), load_study(str(file), "cpu")
    assert whole.door(RecurseStep, {}, "half").synthetic_fraction == 0.25
    assert whole.door(RecurseStep, {}, "half").kind == "mixed"
    assert whole.door(RecurseStep, {}, "static").kind == "static"
    assert (whole.door(Experiment, {}).steps, small.door(Experiment, {}).steps) == (7, 5)
    assert small.door(Experiment, {"steps": "9"}).steps == 9


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("arms: {fresh: {}}\ncontrol: nobody", "control"),
        ("arms: {odd: {}}\ncontrol: odd", "needs a kind|kind"),
        ("arms: {fresh: {stepz: 3}}\ncontrol: fresh", "did you mean steps"),
        ("arms: {fresh: {}}\ncontrol: fresh\nsettings: {steps: -3}", "above 0"),
        ("arms: {fresh: {}}\ncontrol: fresh\nclaims: [{id: c}]", "claim 'c' has no"),
        ("- 1", "mapping"),
        ("arms: [", "YAML"),
        ("arms: {fresh: {}}\ncontrol: fresh\nsurprise: 1", "unknown key"),
    ],
)
def test_bad_study_files_are_refused(tmp_path, text: str, says: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(BadParameter, match=says) as caught:
        load_study(str(file))
    assert "\n" not in str(caught.value)


def test_unknown_study_names_the_known_ones() -> None:
    with pytest.raises(BadParameter, match="quickstart"):
        load_study("quikstart")


def test_claims_hash_changes_with_a_claim(tmp_path) -> None:
    text = (
        "arms: {replace: {}, fresh: {}}\ncontrol: fresh\nclaims:\n"
        "  - {id: a, statement: s, indicator: train/loss_nats, direction: increase, margin: 0.05,"
        " contrast: [replace, fresh], refuted_if: r}\n"
    )
    for name, content in (("one", text), ("two", text.replace("0.05", "0.06"))):
        (tmp_path / f"{name}.yaml").write_text(content)
    one, two = (load_study(str(tmp_path / f"{n}.yaml")).claims_hash for n in ("one", "two"))
    assert one != two


def test_a_scale_may_change_arms_one_setting_at_a_time(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "arms: {fresh: {steps: 9, documents: 8}, static: {}}\ncontrol: fresh\n"
        "scales: {cpu: {steps: 5, arms: {fresh: {steps: 6}, own: {kind: static}}},"
        " bad: {arms: {frsh: {}}}}\n"
    )
    small = load_study(str(file), "cpu")
    fresh, static = (small.door(RecurseStep, {}, arm) for arm in ("fresh", "static"))
    assert (fresh.steps, fresh.documents, static.steps) == (6, 8, 5)
    assert list(small.arms) == ["fresh", "static", "own"]
    assert list(load_study(str(file)).arms) == ["fresh", "static"]
    assert load_study(str(file)).door(RecurseStep, {}, "fresh").steps == 9
    with pytest.raises(BadParameter, match="arm 'frsh' is none of the arms fresh, static"):
        load_study(str(file), "bad")


def test_a_claim_is_on_two_arms_or_on_one(tmp_path) -> None:
    text = (
        "arms: {replace: {}, fresh: {}}\ncontrol: fresh\nclaims:\n"
        "  - {id: a, statement: s, indicator: train/loss_nats, direction: increase, margin: 0.05,"
        " contrast: [fresh], refuted_if: r}\n"
    )
    file = tmp_path / "one.yaml"
    file.write_text(text)
    assert load_study(str(file)).claims[0].contrast == ("fresh",)
    for contrast in ("[]", "[fresh, replace, fresh]", "[nobody]"):
        file.write_text(text.replace("[fresh]", contrast))
        with pytest.raises(BadParameter, match=r"two (different )?arms of the study, or one"):
            load_study(str(file))


@pytest.mark.parametrize("path", STUDIES.glob("*.yaml"), ids=lambda path: path.stem)
def test_every_study_can_be_planned_at_every_scale(path) -> None:
    scales = ["full", *(yaml.safe_load(path.read_text()).get("scales") or {})]
    for scale in scales:
        study = load_study(path.stem, scale)
        plan = plan_study(study, {"seeds": 1, "scale": scale})
        trained = {step.chains[0].arm for step in plan.steps if step.stage == "baseline"}
        assert trained == set(study.arms)


def test_a_scale_may_leave_arms_out_and_add_claims(tmp_path) -> None:
    claim = (
        "{id: %s, statement: s, indicator: train/loss_nats, direction: increase, margin: 1,"
        " contrast: [%s, fresh], refuted_if: r}"
    )
    file = tmp_path / "mine.yaml"
    text = (
        "arms: {fresh: {}, static: {}, replace: {}}\ncontrol: fresh\n"
        f"claims:\n  - {claim % ('a', 'static')}\n  - {claim % ('b', 'replace')}\n"
        "scales:\n  cpu:\n    only: [fresh, replace]\n"
        f"    claims:\n      - {claim % ('c', 'replace')}\n"
    )
    file.write_text(text)
    small, full = load_study(str(file), "cpu"), load_study(str(file))
    assert list(small.arms) == ["fresh", "replace"]
    assert [one.id for one in small.claims] == ["b", "c"]
    assert [one.id for one in full.claims] == ["a", "b"]
    file.write_text(text.replace("[fresh, replace]", "[fresh, replce]"))
    with pytest.raises(BadParameter, match="only: 'replce' is none of the arms fresh, static"):
        load_study(str(file), "cpu")
    file.write_text(text.replace("id: c", "id: b"))
    with pytest.raises(BadParameter, match="two claims have the id 'b'"):
        load_study(str(file), "cpu")
