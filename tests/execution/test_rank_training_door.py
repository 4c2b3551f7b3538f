"""Bad settings of the rank study's trainings: refused in one line, before a run is opened."""

import json
from pathlib import Path

import pytest

from collapse.errors import BadInput
from collapse.execution.prepared import prepare_plan
from collapse.parameters.study import load_study
from collapse.stages.plan import plan_chain
from tests.conftest import MICRO, open_door
from tests.execution.test_bad_input import one_line

BAD = {
    "counts on one step": ({"checkpoint_tokens": "0,100"}, "0 and 100 fall on the same step 0"),
    "count beyond the end": ({"checkpoint_tokens": "1e9"}, "1000000000 is beyond the end"),
    "no weight of such a name": ({"freeze": "q_norm"}, "'q_norm' in its name"),
    "nothing left to train": ({"freeze": "model"}, "leaves no weight to train"),
    "no such part": ({"training_text": "hard"}, "'stories:lost' has no parts"),
    "no such half": ({"training_text": "half"}, "besides, there are all, simple and complex"),
}


def refused(**given: str) -> str:
    """The line with which a chain of these settings is refused."""
    plan = plan_chain(
        load_study("quickstart"), given, arm="replace", seed=0, generation=1, probes=()
    )
    with pytest.raises(BadInput) as caught:
        prepare_plan(load_study("quickstart"), plan)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    return line


@pytest.mark.parametrize("name", BAD)
def test_refused_before_anything_runs(name: str) -> None:
    given, says = BAD[name]
    assert says in refused(**given)


def test_parts_of_a_corpus_are_listed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        rows = [json.dumps({"text": f"{name} {i}"}) for i in range(10)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows))
    corpus = f"easy={tmp_path}/a.jsonl+hard={tmp_path}/b.jsonl"
    line = refused(corpus=corpus, training_text="medium")
    assert "training_text=medium" in line
    assert "parts easy, hard" in line
    # The same corpus without a fault in what is asked of it.
    given = {"corpus": corpus, "training_text": "hard"}
    plan = plan_chain(load_study("quickstart"), given, arm="replace", seed=0, generation=1)
    assert corpus in prepare_plan(load_study("quickstart"), plan).contents


@pytest.mark.parametrize("name", ["count beyond the end", "no weight of such a name"])
def test_a_door_says_it_in_one_line_and_leaves_no_store(name: str, tmp_path: Path) -> None:
    given, says = BAD[name]
    words = [word for key, value in given.items() for word in (f"--{key}", value)]
    made = open_door(tmp_path, "recurse_step", *MICRO, *words)
    assert made.returncode == 2
    assert says in one_line(made.stderr)
    assert not (tmp_path / "mlflow.db").exists()


def test_generation_0_is_shared_unless_its_own_training_differs() -> None:
    """What only later generations read does not enter generation 0; what it is trained on does."""
    study = load_study("quickstart")

    def baseline_of(**given: str) -> str:
        plan = plan_chain(study, given, arm="replace", seed=0, generation=1)
        return prepare_plan(study, plan).fingerprints["baseline/replace/seed0/gen0"]

    plain = baseline_of()
    assert baseline_of(steps="7") == plain
    others = [
        baseline_of(freeze="q_proj"),
        baseline_of(training_text="simple"),
        baseline_of(checkpoint_tokens="0"),
    ]
    assert len({plain, *others}) == 4
