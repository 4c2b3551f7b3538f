"""The nine tasks through lm-eval: what a model is asked, and what becomes of its answers."""

import math
from pathlib import Path
from typing import Any

import pytest

from collapse.language.presets import load_preset
from collapse.language.task_rows import TASK_NAMES, TaskItems
from collapse.language.tokenizer import train_tokenizer
from collapse.numerics.streams import numpy_stream
from collapse.probes.continuations import Continuation
from collapse.probes.tasks import lm as lm_module
from collapse.probes.tasks.harness import definition_of, run_tasks
from collapse.probes.tasks.lm import CheckpointLM, before_any
from collapse.probes.tasks.scores import score_task
from tests.probes.made_up_items import made_up_rows

CHOSEN = ("hellaswag", "piqa", "siqa", "simple_qa")
ITEMS = 21


@pytest.fixture(scope="module")
def speaker() -> tuple[Any, Any]:
    texts = [str(row) for task in (*CHOSEN, "squad") for row in made_up_rows(task, 50)]
    tokenizer = train_tokenizer(texts, kind="bpe", vocabulary_size=300)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    model = load_preset("pocket", seed=5, vocab_size=len(tokenizer), initializer_range=0.5, **shape)
    return model.eval(), tokenizer


def items(task: str, source: str, count: int = ITEMS) -> TaskItems:
    return TaskItems(task, source, tuple(made_up_rows(task, count)))


def answer_by(rule: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let a rule over (context, continuation) as text stand in for a model; what was asked."""
    asked: list[Any] = []

    def scored(self: Any, requests: Any, disable_tqdm: bool = True) -> Any:
        asked.extend(request.args for request in requests)
        return [(rule(*request.args), False) for request in requests]

    monkeypatch.setattr(CheckpointLM, "loglikelihood", scored)
    return asked


def right_answer(task: str, row: dict[str, Any]) -> str:
    answers = {
        "hellaswag": lambda: row["endings"][int(row["label"])],
        "piqa": lambda: row[f"sol{row['label'] + 1}"],
        "siqa": lambda: row[f"answer{'ABC'[int(row['label']) - 1]}"],
        "simple_qa": lambda: row["choices"][row["label"]],
    }
    return answers[task]()


@pytest.mark.parametrize("source", ["stories", "files"])
@pytest.mark.parametrize("task", CHOSEN)
def test_who_knows_the_right_answer_is_right_and_who_avoids_it_is_wrong(
    task: str, source: str, speaker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = items(task, source)
    keys = {"hellaswag": "ctx_a", "piqa": "goal", "siqa": "context", "simple_qa": "question"}

    def knows(context: str, continuation: str) -> float:
        row = next(row for row in asked.rows if row[keys[task]] in context)
        right = right_answer(task, row)
        if source == "files":  # lm-eval's own task takes such marks out
            right = right.replace(" [title]", ". ")
        return -1.0 if continuation.split() == right.split() else -9.0

    for sign, expected in ((1, 1.0), (-1, 0.0)):
        answer_by(lambda c, e, sign=sign: sign * knows(c, e), monkeypatch)
        outcome = run_tasks(*speaker, [asked], tmp_path / str(sign))[0]
        assert score_task(outcome, numpy_stream(0)).values["acc"] == expected


def test_embedded_items_are_asked_in_plain_language(
    speaker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [items(task, "stories", 3) for task in CHOSEN]
    asked = answer_by(lambda _context, _answer: -1.0, monkeypatch)
    run_tasks(*speaker, tasks, tmp_path)
    assert ("Lily lost the ball 0. Then Lily", " looked for it.") in asked
    assert ("Lily wants to reach the ball 0.", " Take a ladder.") in asked
    assert ("Lily found the ball 0. How does Lily feel?", " happy") in asked
    assert not any("Answer:" in context or "Q:" in context for context, _ in asked)


def test_examples_come_from_the_items_kept_apart(
    speaker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = made_up_rows("siqa", 30)
    asked = answer_by(lambda _context, _answer: -1.0, monkeypatch)
    tasks = [TaskItems("siqa", "files", tuple(rows[:5]), tuple(rows[5:]))]
    run_tasks(*speaker, tasks, tmp_path, shots=2, seed=3)
    first = [context for context, _ in asked]
    for context in first:
        *examples, question = context.split("\n\n")
        assert len(examples) == 2
        assert question.endswith("\nA:")
        assert any(row["context"] in question for row in rows[:5])
        assert all(any(row["context"] in one for row in rows[5:]) for one in examples)
    asked.clear()
    run_tasks(*speaker, tasks, tmp_path / "again", shots=2, seed=3)
    assert [context for context, _ in asked] == first
    asked.clear()
    run_tasks(*speaker, tasks, tmp_path / "other", shots=2, seed=4)
    assert [context for context, _ in asked] != first


def test_a_story_starts_from_the_bos_token_and_a_public_item_as_its_tokenizer_says(
    speaker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = speaker
    pairs: list[Any] = []

    def noted(_model: Any, some: Any, **_more: Any) -> Any:
        pairs.extend(some)
        return [Continuation(-1.0, False)] * len(some)

    monkeypatch.setattr(lm_module, "score_continuations", noted)
    for source, expected in (("stories", True), ("files", False)):
        pairs.clear()
        run_tasks(model, tokenizer, [items("piqa", source, 2)], tmp_path / source)
        assert pairs
        for context, continuation in pairs:
            assert (context[0] == tokenizer.bos_token_id) == expected
            assert tokenizer.bos_token_id not in [*context[1:], *continuation]


def request(task: str, *args: Any) -> Any:
    from lm_eval.api.instance import Instance

    return Instance("loglikelihood", {}, args, 0, metadata=(task, 0, 1))


def test_a_continuation_without_a_token_never_wins(speaker: Any) -> None:
    scores = CheckpointLM(*speaker).loglikelihood(
        [request("piqa", "Lily had", ""), request("piqa", "Lily had", " a ball")]
    )
    assert scores[0] == (-math.inf, False)
    assert math.isfinite(scores[1][0])


def test_text_without_a_context_is_scored_from_the_bos_token(speaker: Any) -> None:
    model, tokenizer = speaker
    found = CheckpointLM(model, tokenizer).loglikelihood([request("piqa", "", "Lily")])
    own = tokenizer.decode(tokenizer.bos_token_id)
    spelt = CheckpointLM(model, tokenizer).loglikelihood([request("piqa", own, "Lily")])
    assert found == spelt


def test_what_the_model_cannot_read_whole_is_counted(speaker: Any) -> None:
    lm = CheckpointLM(*speaker)
    lm.loglikelihood([request("piqa", "Lily " * 300, "ball"), request("siqa", "Lily", "ball")])
    lm.generate_until([request("squad", "Lily " * 300, {"until": ["."], "max_gen_toks": 4})])
    assert lm.cut == {"piqa": 1, "squad": 1}


def test_generation_is_what_lm_evals_own_class_writes(speaker: Any) -> None:
    from lm_eval.models.huggingface import HFLM

    model, tokenizer = speaker
    settings = {"until": ["\n", "e"], "max_gen_toks": 12, "do_sample": False}
    asked = [request("squad", row["context"], dict(settings)) for row in made_up_rows("squad", 8)]
    ours = CheckpointLM(model, tokenizer).generate_until(asked)
    theirs = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=1).generate_until(
        asked, disable_tqdm=True
    )
    assert ours == theirs
    assert any(ours)


def test_an_answer_ends_before_the_first_stop() -> None:
    assert before_any(" a ball. She ran\n", ["\n", "."]) == " a ball"
    assert before_any(" a ball", ["\n", "."]) == " a ball"
    assert before_any("\n a ball", ["\n", "."]) == ""


@pytest.mark.parametrize(
    ("answer", "em"), [("", 0.0), (" . !", 0.0), (" the red ball", 0.5), (" ball, kite", 0.0)]
)
def test_answers_are_written_and_empty_ones_are_wrong(
    answer: str, em: float, speaker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        CheckpointLM, "generate_until", lambda _self, some, **_more: [answer] * len(some)
    )
    rows = made_up_rows("squad", 2)  # a red ball, a red kite
    outcome = run_tasks(*speaker, [TaskItems("squad", "stories", tuple(rows))], tmp_path)[0]
    assert score_task(outcome, numpy_stream(0)).values["em"] == em


def test_every_task_has_a_definition_and_ours_are_short() -> None:
    for task in TASK_NAMES:
        path = definition_of(TaskItems(task, "stories", ()))
        assert path.is_file()
        if "collapse" in path.parts:
            assert len(path.read_text().splitlines()) <= 20
