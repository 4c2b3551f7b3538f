"""Made-up items in the fields of the public sets, few and plain."""

import json
from pathlib import Path
from typing import Any

from collapse.language.task_rows import PUBLIC

NAMES = ("Lily", "Tom", "Mia", "Ben", "Anna", "Max")
THINGS = ("ball", "kite", "hat", "boat", "drum", "shoe", "cup")


def made_up_rows(task: str, count: int) -> list[dict[str, Any]]:
    """So many different items of one of the five public tasks, or of simple_qa."""
    return [_MAKERS[task](number) for number in range(count)]


def write_public_sets(folder: Path, count: int) -> None:
    """Files in the hub's format, as `task_data` wants them."""
    for task, one in PUBLIC.items():
        path = folder / one.file
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = made_up_rows(task, count)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _words(number: int) -> tuple[str, str]:
    return NAMES[number % len(NAMES)], THINGS[number % len(THINGS)]


def _hellaswag(number: int) -> dict[str, Any]:
    name, thing = _words(number)
    return {
        "activity_label": "Playing",
        "ctx_a": f"{name} lost the {thing} {number}.",
        "ctx_b": f"then {name}",
        "ctx": f"{name} lost the {thing} {number}. Then {name}",
        "endings": ["looked for it.", "ate the moon.", "was [title] a stone.", f"sang {number}."],
        "label": str(number % 4),
    }


def _piqa(number: int) -> dict[str, Any]:
    name, thing = _words(number)
    return {
        "goal": f"{name} wants to reach the {thing} {number}.",
        "sol1": "Take a ladder.",
        "sol2": "Take a spoon and wait for the rain.",
        "label": number % 2,
    }


def _siqa(number: int) -> dict[str, Any]:
    name, thing = _words(number)
    return {
        "context": f"{name} found the {thing} {number}.",
        "question": f"How does {name} feel?",
        "answerA": "happy",
        "answerB": "sad",
        "answerC": "very angry",
        "label": str(1 + number % 3),
    }


def _lambada(number: int) -> dict[str, Any]:
    name, thing = _words(number)
    return {"text": f"{name} had a {thing}. {number} times {name} looked for the {thing}"}


def _squad(number: int) -> dict[str, Any]:
    name, thing = _words(number)
    context = f"{name} had a red {thing}. One day {name} lost it {number} times."
    return {
        "id": str(number),
        "title": "Stories",
        "context": context,
        "question": f"What did {name} lose?",
        "answers": {"text": [f"a red {thing}", thing], "answer_start": [9, 13]},
    }


def _choices(number: int) -> dict[str, Any]:
    name, thing = _words(number)
    choices = [f"the {one}." for one in THINGS]
    question = f"{number} times {name} had a {thing}. {name} lost"
    return {"question": question, "choices": choices, "label": number % len(choices)}


_MAKERS = {
    "simple_qa": _choices,
    "hellaswag": _hellaswag,
    "piqa": _piqa,
    "siqa": _siqa,
    "lambada": _lambada,
    "squad": _squad,
}
