import json
from itertools import islice
from pathlib import Path

import pyarrow.parquet  # type: ignore[import-untyped]
import pytest

from collapse.errors import BadCorpus, BadParameter
from collapse.language.corpora.human_text import HumanText, prepare_corpus
from collapse.language.corpora.parts import PartedCorpus
from collapse.language.corpora.source import (
    check_training_text,
    corpus_fingerprint,
    open_source,
)
from collapse.language.corpora.splits import HELDOUT_SPLITS, split_of

SHORT = [f"A cat sat {number} times. It ran." for number in range(600)]
LONG = [
    f"Notwithstanding {number} considerable uncertainties, epistemological frameworks presuppose it"
    for number in range(200)
]


def write(path: Path, texts: list[str]) -> str:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return str(path)


@pytest.fixture
def name(tmp_path: Path) -> str:
    short = write(tmp_path / "short+a.jsonl", SHORT)
    return f"easy={short}+hard={write(tmp_path / 'long.jsonl', LONG)}"


@pytest.fixture
def human(name: str, tmp_path: Path) -> HumanText:
    prepare_corpus(name, tmp_path / "prepared", heldout_documents=20, seed=0)
    return HumanText.open(tmp_path / "prepared")


def everything(human: HumanText, **more) -> list[str]:
    """All that `fresh` has, until it says that no more is left."""
    texts: list[str] = []
    with pytest.raises(BadCorpus, match="used up"):
        texts.extend(human.fresh(3, 0, **more))
    return texts


def test_parts_come_in_turn_and_a_limit_cuts_none_short(name: str) -> None:
    source = open_source(name)
    assert isinstance(source, PartedCorpus)
    assert [part for part, _ in source.parts] == ["easy", "hard"]
    ten = list(source.named_documents(10))
    assert ten == [pair for i in range(5) for pair in (("easy", SHORT[i]), ("hard", LONG[i]))]
    assert list(source.documents(10)) == [text for _, text in ten]
    assert sorted(source.documents()) == sorted(SHORT + LONG)
    assert list(source.documents())[400:] == SHORT[200:]


def test_the_fingerprint_follows_names_contents_and_order(name: str, tmp_path: Path) -> None:
    short, long = tmp_path / "short+a.jsonl", tmp_path / "long.jsonl"
    before = corpus_fingerprint(name)
    assert before == open_source(name).fingerprint
    others = [
        f"easy={short}+other={long}",
        f"hard={short}+easy={long}",
        f"hard={long}+easy={short}",
        f"easy={short}+hard={short}",
    ]
    assert len({corpus_fingerprint(one) for one in [name, *others]}) == 5
    write(long, LONG[:-1])
    assert corpus_fingerprint(name) != before


def test_each_document_knows_its_part(human: HumanText) -> None:
    table = pyarrow.parquet.read_table(human.folder / "train.parquet").to_pydict()
    short, long = set(SHORT), set(LONG)
    assert all(
        (text in short) == (part == "easy") and (text in long) == (part == "hard")
        for text, part in zip(table["text"], table["part"], strict=True)
    )
    train = [text for text in SHORT + LONG if split_of(text) == "train"]
    assert sorted(table["text"]) == sorted(train)
    assert human.card.parts == {
        "easy": len(short & set(train)),
        "hard": len(long & set(train)),
    }
    pooled = [text for split in HELDOUT_SPLITS for text in human.heldout(split)]
    assert short & set(pooled)
    assert long & set(pooled)


def test_a_chosen_part_is_all_of_it_in_the_common_order(human: HumanText) -> None:
    whole = everything(human)
    hard = everything(human, choice="hard")
    assert hard == [text for text in whole if text in set(LONG)]
    assert len(hard) == human.card.parts["hard"]
    assert everything(human, choice="easy") == [text for text in whole if text in set(SHORT)]
    with pytest.raises(BadCorpus, match=rf"{len(hard)} of training_text=hard .* taken"):
        list(human.fresh(3, 0, choice="hard"))


def test_a_parts_name_goes_before_the_score(tmp_path: Path) -> None:
    """With the parts named the wrong way round, the names are believed."""
    short, long = (write(tmp_path / f"{i}.jsonl", t) for i, t in enumerate((SHORT[:150], LONG)))
    prepare_corpus(f"simple={long}+b={short}", tmp_path / "p", heldout_documents=9, seed=0)
    human = HumanText.open(tmp_path / "p")
    train = {text for text in LONG if split_of(text) == "train"}
    assert set(everything(human, choice="simple")) == train
    # No part is called so: the score decides, which finds the same texts.
    assert set(everything(human, choice="complex")) == train


def test_text_of_no_such_part_is_refused_and_the_parts_are_listed(
    name: str, human: HumanText
) -> None:
    for choice in ("all", "simple", "complex", "easy", "hard"):
        check_training_text(name, choice)
    for refuse in (
        lambda: check_training_text(name, "medium"),
        lambda: list(islice(human.fresh(0, 0, choice="medium"), 1)),
    ):
        with pytest.raises(BadParameter, match=r"training_text=medium: .* parts easy, hard;"):
            refuse()
    with pytest.raises(BadParameter, match=r"training_text=easy: .*'stories' has no parts"):
        check_training_text("stories", "easy")


def test_a_part_without_text_of_its_own_is_refused(tmp_path: Path) -> None:
    short = write(tmp_path / "short.jsonl", SHORT)
    again = write(tmp_path / "again.jsonl", SHORT[:50])
    with pytest.raises(BadCorpus, match=r"part 'b' has no training document of its own"):
        prepare_corpus(f"a={short}+b={again}", tmp_path / "p", heldout_documents=5, seed=0)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("a={x}", "has one part"),
        ("a={x}+a={x}", "'a', which comes twice"),
        ("a={x}+all={x}", "'all', which means all"),
        ("a={x}+b=stories", "'stories' has no end"),
        ("a={x}+b=./nowhere.txt", "'./nowhere.txt': there is no such file"),
        ("a={x}+b={empty}", "is empty"),
        ("simple:a={x}+b={x}", "has halves"),
    ],
)
def test_bad_lists_are_explained(tmp_path: Path, written: str, says: str) -> None:
    x = write(tmp_path / "x.jsonl", SHORT)
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(BadCorpus, match=says):
        corpus_fingerprint(written.format(x=x, empty=tmp_path / "empty.jsonl"))


def test_a_fault_in_a_later_part_is_found_early(tmp_path: Path) -> None:
    x = write(tmp_path / "x.jsonl", SHORT)
    (tmp_path / "y.jsonl").write_text('{"text": "fine"}\n{\n')
    with pytest.raises(BadCorpus, match=r"y\.jsonl line 2"):
        corpus_fingerprint(f"a={x}+b={tmp_path / 'y.jsonl'}")


def test_a_file_that_is_called_so_is_a_file(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("a=1+b=2.jsonl"), ["one", "two"])
    assert list(open_source("a=1+b=2.jsonl").documents()) == ["one", "two"]


def test_parts_are_not_overwritten_by_their_own_preparation(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    x = write(tmp_path / "elsewhere" / "x.jsonl", SHORT)
    y = write(tmp_path / "y.jsonl", LONG)
    with pytest.raises(BadParameter, match="holds the corpus itself"):
        prepare_corpus(f"a={x}+b={y}", tmp_path, heldout_documents=5, seed=0)
