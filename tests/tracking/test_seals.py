"""Seals: what a finished run held, and that a change of it is seen."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.entities import Run

from collapse.errors import StoreError
from collapse.measurement import Measurement
from collapse.tracking import metrics, runs, seals, store

TAGS = {"study": "s", "arm": "a", "seed": 0, "chain": "c"}


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run that was sealed and closed."""
    monkeypatch.chdir(tmp_path)
    # MLflow keeps one store a URI in a process, wherever a relative one has led before.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/sealed.db")
    store.connect()
    own = TAGS | {"generation": 0, "stage": "quality", "fingerprint": "f", "git_commit": "g"}
    run_id = runs.open_run(runs.RunLabel("exp", "quality g0", own, {"steps": 3})).info.run_id
    log = metrics.MetricLog(run_id)
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


def test_what_nobody_touched_passes_by_whatever_road_it_is_read(finished: str) -> None:
    seals.require_sealed(run_of(finished))
    found = runs.find_finished("exp", "f")
    assert found is not None
    seals.require_sealed(found)


CHANGES: dict[str, Callable[[str], object]] = {
    "a number": lambda run: runs.client().log_metric(run, "human/nll_nats", 1.4, step=0),
    "one more number": lambda run: runs.client().log_metric(run, "human/bits", 1.4, step=0),
    "one more parameter": lambda run: runs.client().log_param(run, "seed", 7),
    "the commit": lambda run: runs.client().set_tag(run, "git_commit", "another"),
    "the text it stands on": lambda run: runs.client().set_tag(run, "corpus_fingerprint", "1"),
    "a table": lambda run: (runs.artifacts(run) / "table.csv").write_text("a,b\n1,3\n"),
    "a table that is gone": lambda run: (runs.artifacts(run) / "table.csv").unlink(),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_named(what: str, finished: str) -> None:
    CHANGES[what](finished)
    with pytest.raises(StoreError, match=rf"the run {finished} \(c, quality g0\) was changed"):
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
    label = runs.RunLabel("exp", "c", TAGS | {"fingerprint": "p"})
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
