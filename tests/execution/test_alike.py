"""What is compared was asked alike, or a report says where not."""

from pathlib import Path

import pytest

from collapse.errors import BadInput
from collapse.execution.alike import displaced, require_alike
from collapse.parameters.fields import identity_of
from collapse.parameters.study import StudyFile, load_study
from collapse.stages.fingerprint import digest
from collapse.stages.plan import PROBE_DOORS
from collapse.tracking import metrics, runs, store
from tests.conftest import empty_store


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyFile:
    """Two arms, one of which is asked about 300 tokens; a store of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").write_bytes(empty_store())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    store.connect()
    path = tmp_path / "mine.yaml"
    path.write_text(
        "question: Is it so?\narms: {replace: {}, fresh: {rank_tokens: 300}}\ncontrol: fresh\n"
        "settings: {generations: 2}\n"
    )
    return load_study(str(path))


def chain(arm: str) -> str:
    tags = {
        "study": "mine",
        "arm": arm,
        "seed": 0,
        "chain": f"mine.{arm}.seed0",
        "fingerprint": arm,
    }
    return runs.open_run(runs.RunLabel("mine", f"mine.{arm}.seed0", tags, {})).info.run_id


def look(study: StudyFile, chain_run: str, generation: int, **asked: object) -> str:
    """A look of `svd_probe` with these settings, mirrored on a chain."""
    arm = runs.client().get_run(chain_run).data.tags["arm"]
    parameters = study.door(PROBE_DOORS["svd_probe"], asked, arm)
    place = {"stage": "svd_probe", "generation": generation, "fingerprint": digest([arm, asked])}
    label = runs.RunLabel("mine", "svd_probe", {"arm": arm, **place}, identity_of(parameters))
    run_id = runs.open_run(label).info.run_id
    metrics.mirror(chain_run, "svd_probe", generation, run_id, {"svd/K/participation_ratio": 1.0})
    return run_id


def require(study: StudyFile, *chains: str, generations: int = 2) -> None:
    stages = runs.find_runs("mine", {"run_kind": "stage"})
    require_alike(study, stages, [runs.client().get_run(one) for one in chains], generations)


def test_arms_may_be_asked_otherwise_and_all_may_differ_from_the_study_alike(study) -> None:
    replace, fresh = chain("replace"), chain("fresh")
    for one in (replace, fresh):
        for generation in range(3):
            look(study, one, generation, site="post_rope")
    require(study, replace, fresh)


def test_one_look_that_was_asked_otherwise_is_named(study) -> None:
    replace, fresh = chain("replace"), chain("fresh")
    for one in (replace, fresh):
        for generation in range(3):
            look(study, one, generation)
    require(study, replace, fresh)
    look(study, replace, 2, site="post_rope", rank_tokens=64)
    require(study, replace, fresh, generations=1)
    with pytest.raises(BadInput) as found:
        require(study, replace, fresh)
    line = str(found.value)
    assert "svd_probe was asked in different ways" in line
    assert "as the study file says (mine.replace.seed0 generation 0 and 4 more)" in line
    assert "rank_tokens=64, site=post_rope (mine.replace.seed0 generation 2)" in line
    assert "\n" not in line


def test_what_an_older_run_does_not_know_tells_nothing(study) -> None:
    replace = chain("replace")
    run_id = look(study, replace, 0)
    assert runs.client().get_run(run_id).data.params["site"] == "projection"
    tags = {"stage": "svd_probe", "arm": "replace", "generation": 1, "fingerprint": "old"}
    old = runs.open_run(runs.RunLabel("mine", "svd_probe", tags, {"rank_tokens": 1000}))
    metrics.mirror(replace, "svd_probe", 1, old.info.run_id, {})
    require(study, replace)
    now = runs.client().get_run(look(study, replace, 2))
    metrics.mirror(replace, "svd_probe", 2, old.info.run_id, {})
    assert displaced(replace, "svd_probe", 2, now) is None


def test_only_another_way_of_asking_is_said_to_be_displaced(study) -> None:
    replace = chain("replace")
    assert displaced(replace, "svd_probe", 0, runs.client().get_run(replace)) is None
    first = look(study, replace, 0)
    other = look(study, chain("fresh"), 0, rank_tokens=1000, site="post_rope")
    same = look(study, chain("fresh"), 0, rank_tokens=1000)
    told = displaced(replace, "svd_probe", 0, runs.client().get_run(other))
    assert told == "site=projection there, site=post_rope here"
    for run_id in (first, same):
        assert displaced(replace, "svd_probe", 0, runs.client().get_run(run_id)) is None
