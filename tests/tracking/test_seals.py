"""Seals: what a finished run held, and that a change of it is seen."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.entities import Run

from collapse.errors import StoreError
from collapse.measurement import Measurement
from collapse.tracking import metrics, runs, seals

TAGS = {"study": "s", "arm": "a", "seed": 0, "chain": "c"}


@pytest.fixture
def finished(experiment: str, tmp_path: Path) -> str:
    """A run that was sealed and closed."""
    own = TAGS | {"generation": 0, "stage": "quality", "fingerprint": "f", "git_commit": "g"}
    run_id = runs.open_run(runs.RunLabel(experiment, "quality g0", own, {"steps": 3})).info.run_id
    with metrics.MetricLog(run_id, tmp_path / "outbox.jsonl") as log:
        log.log(Measurement(0, {"human/nll_nats": 1.5, "quality/self_bleu": float("nan")}))
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "own.jsonl").write_text("{}")
    runs.upload(run_id, tmp_path, ["table.csv", "texts"])
    seals.seal_run(run_id)
    runs.close_run(run_id, "FINISHED")
    return run_id


def run_of(run_id: str) -> Run:
    return runs.client().get_run(run_id)


def experiment_of(run_id: str) -> str:
    return runs.client().get_experiment(run_of(run_id).info.experiment_id).name


def test_what_nobody_touched_passes_by_whatever_road_it_is_read(finished: str) -> None:
    seals.require_sealed(run_of(finished))
    found = runs.find_finished(experiment_of(finished), "f")
    assert found is not None
    seals.require_sealed(found)


CHANGES: dict[str, Callable[[str], object]] = {
    "a number": lambda run: runs.client().log_metric(run, "human/nll_nats", 1.4, step=0),
    "one more number": lambda run: runs.client().log_metric(run, "human/bits", 1.4, step=0),
    "one more parameter": lambda run: runs.client().log_param(run, "seed", 7),
    "the commit": lambda run: runs.client().set_tag(run, "git_commit", "another"),
    "the text it stands on": lambda run: runs.client().set_tag(run, "corpus_fingerprint", "1"),
    "a table": lambda run: runs.client().log_text(run, "a,b\n1,3\n", "table.csv"),
    "one more table": lambda run: runs.client().log_text(run, "a,b\n", "more.csv"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_named(what: str, finished: str) -> None:
    CHANGES[what](finished)
    with pytest.raises(StoreError, match=rf"the run {finished} \(c, quality g0\) was changed"):
        seals.require_sealed(run_of(finished))


def test_a_table_that_is_gone_is_named(finished: str, request: pytest.FixtureRequest) -> None:
    kept = run_of(finished).info.artifact_uri
    if kept.startswith("mlflow-artifacts:"):
        path = request.getfixturevalue("server").artifact(kept, "table.csv")
    else:
        path = runs.artifacts(finished) / "table.csv"
    path.unlink()
    with pytest.raises(StoreError, match="was changed after it finished"):
        seals.require_sealed(run_of(finished))


def test_what_is_no_result_may_come_later(finished: str) -> None:
    runs.client().log_metric(finished, "system/cpu_utilization_percentage", 50.0)
    runs.client().set_tag(finished, "mlflow.note.content", "a good one")
    seals.require_sealed(run_of(finished))


def test_a_run_of_before_there_were_seals_passes(finished: str) -> None:
    runs.client().delete_tag(finished, seals.SEAL_TAG)
    runs.client().log_metric(finished, "human/nll_nats", 1.4, step=0)
    seals.require_sealed(run_of(finished))


def chain_of(finished: str) -> Run:
    label = runs.RunLabel(experiment_of(finished), "c", TAGS | {"fingerprint": "p"})
    parent = runs.open_run(label).info.run_id
    metrics.mirror(parent, "quality", 0, finished, metrics.last_values(run_of(finished)))
    return run_of(parent)


def test_a_chain_shows_what_its_stages_measured(finished: str) -> None:
    chain = chain_of(finished)
    seals.require_records([chain, chain])
    # What a study knows once all its chains are there is no stage's.
    runs.client().log_metric(chain.info.run_id, "hessian/human/negative_mass", 0.2, step=0)
    seals.require_records([run_of(chain.info.run_id)])
    runs.client().log_metric(chain.info.run_id, "human/nll_nats", 1.4, step=0)
    with pytest.raises(StoreError, match=r"human/nll_nats of generation 0 is 1.4 .* 1.5"):
        seals.require_records([run_of(chain.info.run_id)])


def test_a_stage_that_was_changed_stops_its_chain(finished: str) -> None:
    chain = chain_of(finished)
    runs.client().log_metric(finished, "human/nll_nats", 1.4, step=0)
    with pytest.raises(StoreError, match="was changed after it finished"):
        seals.require_records([chain])
    with pytest.raises(StoreError, match="was changed after it finished"):
        seals.require_records([chain], [run_of(finished)])
