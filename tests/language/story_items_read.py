"""The items of the story tasks as who answers them sees them."""

from functools import cache
from typing import Any, NamedTuple

from collapse.language.story_tasks import story_items

COUNT = 300
CHOICES = {
    "hellaswag": 4,
    "piqa": 2,
    "siqa": 3,
    "arithmetic": 20,
    "sentence_completion": 10,
    "word_association": 10,
    "simple_qa": 10,
}
RECALLED = ("lambada", "squad")


class Read(NamedTuple):
    """An item as who answers it sees it."""

    context: str
    answers: tuple[str, ...]
    right: int

    @property
    def text(self) -> str:
        return f"{self.context} {self.answers[self.right]}"


def read(task: str, item: dict[str, Any]) -> Read:
    if task == "hellaswag":
        return Read(item["ctx"], tuple(item["endings"]), int(item["label"]))
    if task == "piqa":
        return Read(item["goal"], (item["sol1"], item["sol2"]), item["label"])
    if task == "siqa":
        answers = tuple(item[f"answer{letter}"] for letter in "ABC")
        return Read(f"{item['context']} {item['question']}", answers, int(item["label"]) - 1)
    if task == "lambada":
        context, answer = item["text"].rsplit(" ", 1)
        return Read(context, (answer,), 0)
    if task == "squad":
        return Read(f"{item['context']} {item['question']}", tuple(item["answers"]["text"]), 0)
    return Read(item["question"], tuple(item["choices"]), item["label"])


@cache
def reads(task: str, split: str = "test", count: int = COUNT) -> list[Read]:
    return [read(task, item) for item in story_items(task, split, count)]
