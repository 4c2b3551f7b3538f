"""Metrics of tasks: what a model can do, beside what chance can (R3.4, R3.5)."""

from analysis.metrics.metric import SHARE, Metric

TASKS = {
    "hellaswag": "Endings of beginnings (HellaSwag)",
    "piqa": "Ways to an aim (PIQA)",
    "siqa": "Feelings and motives (SIQA)",
    "lambada": "Last words (LAMBADA)",
    "arithmetic": "Sums from 1 to 20",
    "sentence_completion": "Ends of sentences",
    "word_association": "Words that belong together",
    "simple_qa": "Simple questions",
    "squad": "Answers out of a text (SQuAD)",
}
"""The tasks in words, in the order of R3.4."""

_OF_ITEMS = "% of items"


def _share(task: str, name: str, words: str, reading: str) -> Metric:
    label = f"{TASKS[task]}, {words}" if words else TASKS[task]
    return Metric(f"benchmark/{task}/{name}", label, _OF_ITEMS, reading=reading, **SHARE)


def _with_answers(task: str) -> tuple[Metric, ...]:
    """A task by accuracy; of last words there is nothing to choose from."""
    own = (
        _share(task, "acc", "", "The likeliest answer is the right one."),
        _share(task, "floor", "chance", "What a uniform guess gets right."),
        _share(task, "random_acc", "guessed", "One uniform guess an item."),
    )
    if task == "lambada":
        return own
    by_length = _share(task, "acc_norm", "by length", "Likelihoods a character of the answer.")
    return (*own, by_length)


def _overall(name: str, label: str, unit: str, reading: str) -> Metric:
    # Below chance it is negative, so that an axis cannot start from 0.
    return Metric(f"benchmark/{name}", label, unit, decimals=None, reading=reading)


_FROM_CHANCE = "Each task from its floor (0) to all right (1), and then their mean"

TASK_METRICS = (
    *(metric for task in TASKS if task != "squad" for metric in _with_answers(task)),
    Metric(
        "benchmark/lambada/perplexity",
        "Perplexity of the last word",
        decimals=1,
        change="ratio",
        floor=1.0,
        reading="Lower is better; it depends on the tokenizer.",
    ),
    _share("squad", "em", "", "Exact match, as SQuAD v1.1 compares answers."),
    _share("squad", "f1", "F1", "Words shared with the nearest reference."),
    _share("squad", "pm", "partial match", "At least one word shared with a reference."),
    _share("squad", "floor", "chance", "No span is right by chance."),
    *(
        _share("squad", f"random_{name}", f"guessed ({words})", "One to three words at random.")
        for name, words in (("em", "exact"), ("f1", "F1"), ("pm", "partial"))
    ),
    Metric(
        "benchmark/overall",
        "Score over all tasks, from chance",
        "% of the way",
        is_share=True,
        ceiling=1.0,
        reading=f"{_FROM_CHANCE}: 0 is chance.",
    ),
    Metric(
        "benchmark/mean",
        "Right answers over all tasks",
        _OF_ITEMS,
        reading="The plain mean of the tasks, floors and all.",
        **SHARE,
    ),
    _overall(
        "overall_per_training_hour",
        "Score an hour of training",
        "score an hour",
        f"{_FROM_CHANCE}, over the hours that all its training took.",
    ),
    _overall(
        "overall_per_million_parameters",
        "Score a million parameters",
        "score a million",
        f"{_FROM_CHANCE}, over the parameters, embeddings and all.",
    ),
)
