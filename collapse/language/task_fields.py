"""The fields of an item, as the public sets name them, and what makes an item sound."""

from collections.abc import Callable, Mapping
from typing import Any

from collapse.errors import BadCorpus


def check_row(task: str, row: Mapping[str, Any], where: str) -> None:
    """See that an item has a question, answers that say something, and a label among them.

    Raises:
        BadCorpus: it has not.
    """
    try:
        texts, label, answers = _parts(task, row)
        if not all(isinstance(text, str) and text.strip() for text in texts):
            raise BadCorpus(f"task {task}: {where} has an empty text")
        if not 0 <= label < answers:
            raise BadCorpus(f"task {task}: {where} has label {label} of {answers} answers")
    except (KeyError, TypeError, ValueError) as error:
        reason = f"has no {error}" if isinstance(error, KeyError) else f"is malformed ({error})"
        raise BadCorpus(f"task {task}: {where} {reason}") from None


def answer_count(task: str, row: Mapping[str, Any]) -> int:
    """How many answers an item of a task with answers to choose from has."""
    return _parts(task, row)[2]


def _parts(task: str, row: Mapping[str, Any]) -> tuple[list[str], int, int]:
    """Texts that must not be empty, the label from 0, and the number of answers."""
    return _PARTS.get(task, _question)(row)


def _whole(label: object) -> int:
    """A label that lm-eval takes as it is: one in quotes would be no answer's number to it."""
    if not isinstance(label, int):
        raise ValueError(f"label {label!r} is no whole number")
    return label


def _question(row: Mapping[str, Any]) -> tuple[list[str], int, int]:
    return [row["question"], *row["choices"]], _whole(row["label"]), len(row["choices"])


def _hellaswag(row: Mapping[str, Any]) -> tuple[list[str], int, int]:
    texts = [f"{row['ctx_a']} {row['ctx_b']}", row["activity_label"], *row["endings"]]
    return texts, int(row["label"]), len(row["endings"])


def _piqa(row: Mapping[str, Any]) -> tuple[list[str], int, int]:
    return [row["goal"], row["sol1"], row["sol2"]], _whole(row["label"]), 2


def _siqa(row: Mapping[str, Any]) -> tuple[list[str], int, int]:
    answers = [row["answerA"], row["answerB"], row["answerC"]]
    return [row["context"], row["question"], *answers], int(row["label"]) - 1, 3


def _lambada(row: Mapping[str, Any]) -> tuple[list[str], int, int]:
    before, _, last = row["text"].rpartition(" ")
    return [before, last], 0, 1


def _squad(row: Mapping[str, Any]) -> tuple[list[str], int, int]:
    references = row["answers"]["text"]
    return [row["context"], row["question"], *references], 0, len(references)


_PARTS: dict[str, Callable[[Mapping[str, Any]], tuple[list[str], int, int]]] = {
    "hellaswag": _hellaswag,
    "piqa": _piqa,
    "siqa": _siqa,
    "lambada": _lambada,
    "squad": _squad,
}
