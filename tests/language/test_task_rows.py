"""Items of tasks: found, checked before anything heavy, and drawn alike for everyone."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from collapse.errors import BadCorpus, BadParameter
from collapse.language import hub
from collapse.language.task_fields import answer_count, check_row
from collapse.language.task_rows import (
    PUBLIC,
    SHOT_POOL,
    TASK_NAMES,
    check_items,
    chosen_tasks,
    task_items,
)
from tests.conftest import SHARED_DATA, environment
from tests.probes.made_up_items import made_up_rows, write_public_sets


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("sets")
    write_public_sets(folder, 100)
    return str(folder)


def test_tasks_are_chosen_by_name_in_one_order() -> None:
    assert chosen_tasks("all") == TASK_NAMES
    assert len(TASK_NAMES) == 9
    assert chosen_tasks("squad, piqa") == ("piqa", "squad")
    with pytest.raises(BadParameter, match="no task 'squat': did you mean squad"):
        chosen_tasks("piqa,squat")
    with pytest.raises(BadParameter, match="known are hellaswag, piqa"):
        chosen_tasks("chess")


def test_a_limit_draws_other_items_for_another_study_and_the_same_for_this_one(sets: str) -> None:
    one = task_items("piqa", sets, limit=20, seed=1)
    again = task_items("piqa", sets, limit=20, seed=1)
    other = task_items("piqa", sets, limit=20, seed=2)
    assert one.rows == again.rows
    assert one.digest == again.digest
    assert one.rows != other.rows
    assert one.digest != other.digest
    assert len({row["goal"] for row in one.rows}) == 20
    everything = task_items("piqa", sets, seed=1).rows
    assert list(everything) == made_up_rows("piqa", 100)


def test_examples_before_a_question_are_never_scored(sets: str) -> None:
    found = task_items("siqa", sets, with_shots=True)
    assert len(found.shots) == SHOT_POOL
    assert len(found.rows) == 100 - SHOT_POOL
    shown = {row["context"] for row in found.shots}
    assert not shown & {row["context"] for row in found.rows}


@pytest.mark.parametrize(
    ("task", "change", "message"),
    [
        ("hellaswag", {"endings": ["a", "b", " ", "d"]}, "row 2 has an empty text"),
        ("hellaswag", {"label": "4"}, "row 2 has label 4 of 4 answers"),
        ("piqa", {"label": -1}, "row 2 has label -1 of 2 answers"),
        ("piqa", {"label": "1"}, "row 2 is malformed .label '1' is no whole number"),
        ("siqa", {"label": "0"}, "row 2 has label -1 of 3 answers"),
        ("siqa", {"answerB": None}, "row 2 has an empty text"),
        ("lambada", {"text": "word"}, "row 2 has an empty text"),
        ("squad", {"answers": {"text": [], "answer_start": []}}, "row 2 has label 0 of 0"),
        ("squad", {"answers": None}, "row 2 is malformed"),
        ("piqa", {"goal": ...}, "row 2 has no 'goal'"),
    ],
)
def test_a_malformed_item_is_refused_by_its_number(
    task: str, change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    rows = made_up_rows(task, 3)
    rows[1] = {k: v for k, v in (rows[1] | change).items() if v is not ...}
    file = tmp_path / PUBLIC[task].file
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(BadCorpus, match=message):
        task_items(task, str(tmp_path))


def test_items_with_answers_to_choose_from_are_checked_alike() -> None:
    row = {"question": "Lily had a", "choices": ["ball", "kite", "hat"], "label": 2}
    check_row("arithmetic", row, "item 1")
    assert answer_count("arithmetic", row) == 3
    for change in (
        {"label": 3},
        {"choices": ["ball", ""]},
        {"question": " "},
        {"choices": 3},
        {"label": "2"},
    ):
        with pytest.raises(BadCorpus, match="task arithmetic: item 1"):
            check_row("arithmetic", row | change, "item 1")


def test_what_is_not_there_is_named(sets: str, tmp_path: Path) -> None:
    with pytest.raises(BadCorpus, match="task_data=nowhere: there is no such folder"):
        check_items(["piqa"], "nowhere")
    with pytest.raises(BadCorpus, match=r"piqa/validation.jsonl is not there"):
        check_items(["simple_qa", "piqa"], str(tmp_path))
    assert check_items(["simple_qa"], "nowhere")  # always embedded
    assert check_items(TASK_NAMES, sets) != check_items(["piqa"], sets)
    broken = tmp_path / "piqa" / "validation.jsonl"
    broken.parent.mkdir()
    broken.write_text("{}\n{")
    with pytest.raises(BadCorpus, match=r"validation.jsonl, row 2 is no JSON"):
        task_items("piqa", str(tmp_path))


def test_without_network_the_hub_fails_soon_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    let_go, answers = threading.Event(), []
    monkeypatch.setattr(hub, "_takes_connection", lambda _: answers.append(let_go.wait()))
    with pytest.raises(BadCorpus, match=r"task_data=hub: .*use task_data=stories"):
        check_items(TASK_NAMES, "hub")
    assert not answers  # it hung, and was not waited for
    let_go.set()


def test_looking_loads_nothing_heavy() -> None:
    code = (
        "import sys; from collapse.language.task_rows import check_items, TASK_NAMES;"
        "check_items(TASK_NAMES, 'stories');"
        "print([m for m in ('torch', 'transformers', 'datasets', 'lm_eval') if m in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "[]"


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the public sets are not here")
@pytest.mark.parametrize(
    ("task", "count"),
    [("hellaswag", 10042), ("piqa", 1838), ("siqa", 1954), ("lambada", 5153), ("squad", 3766)],
)
def test_every_row_of_the_public_sets_is_sound(task: str, count: int) -> None:
    assert len(task_items(task, str(SHARED_DATA)).rows) == count


@pytest.mark.parametrize("task", ["piqa", "lambada", "arithmetic", "squad"])
def test_embedded_items_are_sound_and_the_same_in_a_study(task: str) -> None:
    found = task_items(task, "stories", limit=12, with_shots=True, seed=1)
    assert found == task_items(task, "stories", limit=12, with_shots=True, seed=1)
    assert found.digest != task_items(task, "stories", limit=12, with_shots=True, seed=2).digest
    assert found.is_embedded
    assert len(found.rows) == 12
    assert len(found.shots) == SHOT_POOL
    assert not any(row in found.shots for row in found.rows)
    if task not in PUBLIC:
        assert task_items(task, "hub", limit=12, with_shots=True, seed=1) == found


def test_the_names_are_those_of_the_embedded_tasks() -> None:
    from collapse.language.story_tasks import TASKS

    assert TASK_NAMES == TASKS


def test_tasks_that_need_all_plots_are_named():
    assert check_items(("lambada", "squad", "arithmetic"), "stories:lost")
    with pytest.raises(BadParameter, match=r"piqa needs the stories of all plots.*lambada"):
        check_items(("lambada", "piqa"), "stories:lost")
    with pytest.raises(BadCorpus, match="did you mean lost"):
        check_items(("lambada",), "stories:lots")
    with pytest.raises(BadParameter, match="stories of fear say too few different words"):
        check_items(("lambada",), "stories:fear")
    items = task_items("lambada", "stories:lost", limit=3)
    assert items.is_embedded
    assert items.source == "stories:lost"
