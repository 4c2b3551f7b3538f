import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest

from collapse.errors import BadParameter
from collapse.language.corpora.splits import split_of
from collapse.language.corpora.stories import world
from collapse.language.corpora.stories.content import story
from collapse.language.corpora.stories.grammar import Case, Choice, Node
from collapse.language.story_tasks import SPLITS, TASKS, story_items
from collapse.language.story_tasks.items import _made
from collapse.language.story_tasks.tales import tell_plainly
from tests.language.story_items_read import CHOICES, COUNT, RECALLED, read, reads

STORIES = world("stories")
STORY = story()

TOLD = tuple(task for task in CHOICES if task != "arithmetic")
KEYS = {
    "hellaswag": {"activity_label", "ctx_a", "ctx_b", "ctx", "endings", "label"},
    "piqa": {"goal", "sol1", "sol2", "label"},
    "siqa": {"context", "question", "answerA", "answerB", "answerC", "label"},
    "lambada": {"text"},
    "squad": {"id", "title", "context", "question", "answers"},
    "arithmetic": {"question", "choices", "label"},
    "sentence_completion": {"question", "choices", "label"},
    "word_association": {"question", "choices", "label"},
    "simple_qa": {"question", "choices", "label"},
}
OPENING = re.compile(
    r"(One \w+ day,|After [a-z ]+,|It was [A-Za-z ]+, and|Early one morning,|On h\w+ birthday,)"
    r" a \w+ \w+ called [A-Z]\w+ "
)


def readings(
    node: Node, text: str, at: int, known: Mapping[str, str]
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Where the node can end, told beside the text from ``at``, as far as there is text."""
    if at >= len(text):
        yield at, known
    elif isinstance(node, str):
        said = node.format_map(known)
        if text[at:].startswith(said[: len(text) - at]):
            yield at + len(said), known
    elif isinstance(node, Case):
        yield from readings(node.branches[known[node.field]], text, at, known)
    elif isinstance(node, Choice):
        for option in node.options:
            yield from readings(option.node, text, at, {**known, **option.fields})
    else:
        yield from in_order(node.parts, text, at, known)


def in_order(
    nodes: Sequence[Node], text: str, at: int, known: Mapping[str, str]
) -> Iterator[tuple[int, Mapping[str, str]]]:
    if not nodes:
        yield at, known
        return
    for middle, between in readings(nodes[0], text, at, known):
        yield from in_order(nodes[1:], text, middle, between)


def a_story_begins(text: str) -> bool:
    """Reads the grammar itself, and knows nothing of the compiled machine."""
    return any(at >= len(text) for at, _ in readings(STORY, text, 0, {}))


def plainly(text: str) -> str:
    """The text with only the hero's name in the place of the task's own beginning."""
    opening = OPENING.match(text)
    assert opening is not None
    return text[opening.end() - len(opening.group().split()[-1]) - 1 :]


@pytest.mark.parametrize("task", TASKS)
def test_three_hundred_different_items_in_the_public_form(task: str) -> None:
    items = story_items(task, "test")
    assert len(items) == COUNT
    assert all(item.keys() == KEYS[task] for item in items)
    assert len({read(task, item).text for item in items}) == COUNT
    assert len({read(task, item).context for item in items}) >= (COUNT if task in CHOICES else 290)


def test_the_nine_tasks_in_their_order() -> None:
    assert (
        *("hellaswag", "piqa", "siqa", "lambada", "arithmetic"),
        *("sentence_completion", "word_association", "simple_qa", "squad"),
    ) == TASKS


@pytest.mark.parametrize("task", CHOICES)
def test_choices_are_different_and_right_ones_stand_in_all_places_alike(task: str) -> None:
    places = Counter(item.right for item in reads(task))
    assert {len(set(item.answers)) for item in reads(task)} == {CHOICES[task]}
    assert places == dict.fromkeys(range(CHOICES[task]), COUNT // CHOICES[task])


@pytest.mark.parametrize("task", CHOICES)
def test_every_answer_is_right_as_often_as_its_share_of_the_offers(task: str) -> None:
    offered = Counter(answer for item in reads(task) for answer in item.answers)
    right = Counter(item.answers[item.right] for item in reads(task))
    assert {a: n * CHOICES[task] for a, n in right.items()} == dict(offered)


@pytest.mark.parametrize("task", TASKS)
def test_no_text_is_told_by_the_grammar_and_all_lie_in_a_heldout_split(task: str) -> None:
    for split, corpus_split in SPLITS.items():
        items = reads(task, split, COUNT if split == "test" else 20)
        assert {split_of(item.text) for item in items} == {corpus_split}
        assert not any(a_story_begins(item.text) for item in items[:20])


def test_the_beginnings_of_items_stand_nowhere_in_the_stories() -> None:
    assert all(OPENING.match(item.context) for task in TASKS for item in reads(task))
    told = STORIES.sample(20_000, np.random.default_rng(0))
    assert not [text for text in told if OPENING.search(text)]


@pytest.mark.parametrize("task", TASKS)
def test_examples_and_test_items_have_nothing_in_common(task: str) -> None:
    assert not {i.context for i in reads(task)} & {i.context for i in reads(task, "dev", 20)}


@pytest.mark.parametrize("task", TOLD)
def test_the_grammar_goes_on_with_the_right_answer_and_with_no_other(task: str) -> None:
    for item in reads(task)[:: COUNT // 30]:
        fits = [a_story_begins(plainly(f"{item.context} {answer}")) for answer in item.answers]
        assert fits == [place == item.right for place in range(len(fits))], item


@pytest.mark.parametrize("task", RECALLED)
def test_what_was_said_before_decides_the_next_word(task: str) -> None:
    words = sorted({item.answers[0] for item in reads(task)})
    for item in reads(task)[:: COUNT // 10]:
        assert a_story_begins(plainly(item.text)), item
        others = [w for w in words if not a_story_begins(plainly(f"{item.context} {w}"))]
        assert item.answers[0] not in others
        assert len(others) > len(words) / 2, item


@pytest.mark.parametrize("task", RECALLED)
def test_it_was_said_in_an_earlier_sentence_and_not_in_the_last(task: str) -> None:
    for item in reads(task):
        *_, end = re.finditer(r'[.!?]"? (?=["A-Z])', item.context)
        assert re.search(rf"\b{item.answers[0]}\b", item.context[: end.end()])
        assert not re.search(rf"\b{item.answers[0]}\b", item.context[end.end() :])


def test_spans_stand_once_and_where_they_are_said_to() -> None:
    for item in story_items("squad", "test"):
        (span,), (start,) = item["answers"]["text"], item["answers"]["answer_start"]
        assert item["context"][start : start + len(span)] == span
        assert len(re.findall(rf"\b{span}\b", item["context"])) == 1
    assert len({item["id"] for item in story_items("squad", "test")}) == COUNT


@pytest.mark.parametrize("task", RECALLED)
def test_no_answer_is_right_of_more_than_a_few_passages(task: str) -> None:
    ((_, most),) = Counter(item.answers[0] for item in reads(task)).most_common(1)
    assert most <= 0.06 * COUNT


def test_sums_are_sums() -> None:
    numbers = {word: value for value, word in enumerate(reads("arithmetic")[0].answers, 1)}
    assert list(numbers)[:3] == ["one", "two", "three"]
    assert len(numbers) == 20
    for item in reads("arithmetic"):
        found = re.search(r"had (\w+) \w+ and found (\w+) more", item.context)
        assert found is not None
        first, more = (numbers.get(word, 0) for word in found.groups())
        assert first + more == item.right + 1
        assert first > 0
        assert more or first == 1
    assert len({item.context.split(" had ", 1)[1] for item in reads("arithmetic")}) > 250


@pytest.mark.parametrize("task", TASKS)
def test_items_are_drawn_from_their_seed_and_longer_sets_begin_alike(task: str) -> None:
    short = story_items(task, "test", 3)
    assert _made.__wrapped__(task, "test", 3, 0) == short == story_items(task, "test")[:3]
    assert story_items(task, "test", 3, seed=1) != short


def test_items_of_a_plot_are_of_that_plot_and_of_no_story() -> None:
    for item in story_items("lambada", "test", 50, stories="stories:lost"):
        looked_for = ("lost", "gone", "find", "loved", "everywhere")
        assert any(word in item["text"] for word in looked_for)
        assert world("stories").recognise(item["text"]) is None
    assert story_items("squad", "test", 5, stories="stories:share")
    assert story_items("lambada", "test", 5, stories="stories") == story_items("lambada", "test", 5)


def test_items_stay_the_items_they_were() -> None:
    items = [story_items(task, "test", 20) for task in TASKS]
    digest = hashlib.sha256(json.dumps(items).encode()).hexdigest()
    assert digest[:16] == "c5ed1fdd827774eb"


def test_who_changes_an_item_changes_no_other_copy() -> None:
    story_items("siqa", "dev", 3)[0]["context"] = "gone"
    assert story_items("siqa", "dev", 3)[0]["context"] != "gone"


def test_plain_tales_begin_with_the_name() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        tale = tell_plainly(rng, {})
        assert tale.text.startswith(tale.fields["hero"] + " ")
        assert STORIES.recognise(tale.text) is not None


@pytest.mark.parametrize(
    ("task", "split", "count", "said"),
    [
        ("mmlu", "test", 1, "task 'mmlu'"),
        ("piqa", "train", 1, "split 'train'"),
        ("piqa", "test", 0, "0 items"),
    ],
)
def test_what_there_is_not_is_refused(task: str, split: str, count: int, said: str) -> None:
    with pytest.raises(BadParameter, match=said):
        story_items(task, split, count)
