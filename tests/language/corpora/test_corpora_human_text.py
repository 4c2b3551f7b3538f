import hashlib
import itertools
import json
import random
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest

import collapse.language.corpora
from collapse.errors import BadCorpus, BadParameter, StoreError
from collapse.language.corpora.human_text import HumanText, prepare_corpus
from collapse.language.corpora.splits import HELDOUT_SPLITS, split_of, text_hash

TINYSTORIES = Path(__file__).parents[4] / "shared" / "data" / "tinystories"


@pytest.fixture
def grammar(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in for the grammar of stories, with 3,000 texts, some of them common."""

    def sample(count: int, rng: np.random.Generator) -> list[str]:
        return [f"story {int(3000 * rng.random() ** 2)}" for _ in range(count)]

    module = ModuleType("collapse.language.corpora.stories")
    module.sample = sample  # type: ignore[attr-defined]
    module.fingerprint = lambda: "grammar-1"  # type: ignore[attr-defined]
    module.entropy_nats = lambda: 7.5  # type: ignore[attr-defined]
    module.world = lambda _name: module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(collapse.language.corpora, "stories", module, raising=False)
    return module


def write_corpus(path: Path, texts: list[str]) -> str:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return str(path)


TEXTS = [f"Document number {number}, é." for number in range(1500)]


@pytest.fixture
def finite(tmp_path: Path) -> HumanText:
    name = write_corpus(tmp_path / "corpus.jsonl", TEXTS + TEXTS[:100])
    prepare_corpus(name, tmp_path / "prepared", heldout_documents=30, seed=0)
    return HumanText.open(tmp_path / "prepared")


def read_train(text: HumanText) -> list[str]:
    return pyarrow.parquet.read_table(text.folder / "train.parquet")["text"].to_pylist()


def file_hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_finite_corpus_is_split_by_hash(finite: HumanText) -> None:
    train = read_train(finite)
    assert train == [text for text in TEXTS if split_of(text) == "train"]
    for split in HELDOUT_SPLITS:
        texts = finite.heldout(split)
        assert len(texts) == len(set(texts)) == 30
        assert {split_of(text) for text in texts} == {split}


def test_card_counts_what_is_in_the_files(finite: HumanText) -> None:
    card = finite.card
    assert card.documents == {"train": len(read_train(finite)), **dict.fromkeys(HELDOUT_SPLITS, 30)}
    assert card.size_bytes["train"] == len("".join(read_train(finite)).encode())
    assert card.repeated_documents == 100
    assert card.entropy_nats_per_document is None
    assert not card.is_generative
    total = sum(card.documents.values())
    assert card.mean_bytes_per_document == sum(card.size_bytes.values()) / total
    assert (finite.folder / "corpus.json").read_text().endswith("}\n")


def test_preparing_is_reproducible_to_the_byte(finite: HumanText, tmp_path: Path) -> None:
    again = tmp_path / "again"
    prepare_corpus(finite.card.name, again, heldout_documents=30, seed=0)
    assert file_hashes(again) == file_hashes(finite.folder)


def test_heldout_texts_depend_on_the_seed_and_not_on_the_order(
    finite: HumanText, tmp_path: Path
) -> None:
    shuffled = list(TEXTS)
    random.Random(1).shuffle(shuffled)
    name = write_corpus(tmp_path / "shuffled.jsonl", shuffled)
    prepare_corpus(name, tmp_path / "same", heldout_documents=30, seed=0)
    prepare_corpus(name, tmp_path / "other", heldout_documents=30, seed=1)
    same, other = HumanText.open(tmp_path / "same"), HumanText.open(tmp_path / "other")
    for split in HELDOUT_SPLITS:
        assert same.heldout(split) == finite.heldout(split)
        assert set(other.heldout(split)) != set(finite.heldout(split))
    assert set(read_train(same)) == set(read_train(finite)) == set(read_train(other))


def test_fewer_heldout_texts_are_the_first_of_more(finite: HumanText, tmp_path: Path) -> None:
    """So any prefix is a random sample, and the order is not one of the text or the file."""
    prepare_corpus(finite.card.name, tmp_path / "fewer", heldout_documents=8, seed=0)
    fewer = HumanText.open(tmp_path / "fewer")
    for split in HELDOUT_SPLITS:
        assert fewer.heldout(split) == finite.heldout(split)[:8]
        assert fewer.heldout(split) != sorted(fewer.heldout(split))


def test_heldout_sample_is_uniform(tmp_path: Path) -> None:
    """Over seeds, early and late documents are kept equally often."""
    name = write_corpus(tmp_path / "corpus.jsonl", TEXTS)
    early: list[float] = []
    for seed in range(20):
        prepare_corpus(name, tmp_path / "p", heldout_documents=10, seed=seed)
        kept = [
            t for split in HELDOUT_SPLITS for t in HumanText.open(tmp_path / "p").heldout(split)
        ]
        early.append(np.mean([TEXTS.index(text) < 750 for text in kept]).item())
    # 1,000 draws at p = 0.5: a standard deviation of 0.016.
    assert abs(np.mean(early) - 0.5) < 0.064


def test_generations_of_a_finite_corpus_are_disjoint(finite: HumanText) -> None:
    train = read_train(finite)
    used: set[int] = set()
    taken: list[str] = []
    for generation in range(4):
        texts = list(islice(finite.fresh(7, generation, exclude=used), 200))
        taken += texts
        used |= {text_hash(text) for text in texts}
    assert len(set(taken)) == 800
    assert set(taken) <= set(train)
    # Together they are one random order of the corpus: the same as taken at once.
    assert taken == list(islice(finite.fresh(7, 0), 800))
    assert taken != list(islice(finite.fresh(8, 0), 800))
    assert taken != train[:800]


def test_used_up_corpus_says_what_to_lower(finite: HumanText) -> None:
    total = finite.card.documents["train"]
    used = {text_hash(text) for text in islice(finite.fresh(7, 0), 1000)}
    texts = finite.fresh(7, 1, exclude=used)
    assert len(list(islice(texts, total - 1000))) == total - 1000
    with pytest.raises(BadCorpus, match=rf"generation 1: of its {total} .*{total - 1000}.* lower"):
        next(texts)


def test_max_documents_limits_reading(tmp_path: Path) -> None:
    name = write_corpus(tmp_path / "corpus.jsonl", TEXTS)
    progress: list[int] = []
    card = prepare_corpus(
        name,
        tmp_path / "p",
        heldout_documents=500,
        max_documents=1200,
        seed=0,
        progress=progress.append,
    )
    assert sum(card.documents.values()) == 1200
    assert progress == [1000, 200]


def test_small_corpus_is_refused_with_counts(tmp_path: Path) -> None:
    name = write_corpus(tmp_path / "corpus.jsonl", ["a", "b", "b", "c"])
    with pytest.raises(BadCorpus, match=r"its 3 distinct documents .* about 125 are needed"):
        prepare_corpus(name, tmp_path / "p", heldout_documents=5, seed=0)
    with pytest.raises(BadCorpus, match="no prepared corpus"):
        HumanText.open(tmp_path / "p")


def test_failed_preparation_leaves_no_card_behind(finite: HumanText, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "a"}\n{')
    with pytest.raises(BadCorpus, match="line 2"):
        prepare_corpus(str(bad), finite.folder, heldout_documents=5, seed=0)
    with pytest.raises(BadCorpus, match="no prepared corpus"):
        HumanText.open(finite.folder)


@pytest.mark.parametrize("bad", [{"heldout_documents": 0}, {"max_documents": -1}])
def test_counts_must_be_positive(tmp_path: Path, bad: dict[str, int]) -> None:
    with pytest.raises(BadParameter, match=next(iter(bad))):
        prepare_corpus("stories", tmp_path, **{"heldout_documents": 5, "seed": 0, **bad})  # type: ignore[arg-type]


def test_unwritable_folder_is_a_store_error(tmp_path: Path) -> None:
    name = write_corpus(tmp_path / "corpus.jsonl", TEXTS)
    with pytest.raises(StoreError, match=r"corpus\.jsonl/p"):
        prepare_corpus(name, Path(name) / "p", heldout_documents=5, seed=0)


@pytest.mark.parametrize("prefix", ["", "simple:"])
def test_corpus_is_not_overwritten_by_its_own_preparation(tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "train.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": TEXTS}), path)
    for name in (path, tmp_path):
        with pytest.raises(BadParameter, match="holds the corpus itself"):
            prepare_corpus(f"{prefix}{name}", tmp_path, heldout_documents=5, seed=0)
    assert path.exists()


def test_damaged_preparation_is_named(finite: HumanText) -> None:
    (finite.folder / "test.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadCorpus, match=r"test\.parquet .*prepare the corpus again"):
        finite.heldout("test")
    with pytest.raises(BadParameter, match="'training'"):
        finite.heldout("training")
    (finite.folder / "complexity.json").unlink()
    with pytest.raises(BadCorpus, match=r"complexity\.json cannot be read .*prepare"):
        HumanText.open(finite.folder).fresh(0, 0, choice="simple").__next__()
    (finite.folder / "corpus.json").write_text('{"name": 1}')
    with pytest.raises(BadCorpus, match="damaged"):
        HumanText.open(finite.folder)


def prepare_stories(folder: Path, heldout_documents: int = 40, seed: int = 0) -> HumanText:
    prepare_corpus("stories", folder, heldout_documents=heldout_documents, seed=seed)
    return HumanText.open(folder)


def test_stories_have_heldout_splits_and_no_training_file(
    grammar: ModuleType, tmp_path: Path
) -> None:
    text = prepare_stories(tmp_path / "p")
    assert not (tmp_path / "p" / "train.parquet").exists()
    assert text.card.is_generative
    assert text.card.entropy_nats_per_document == 7.5
    assert text.card.fingerprint == "grammar-1"
    assert text.card.documents == dict.fromkeys(HELDOUT_SPLITS, 40)
    for split in HELDOUT_SPLITS:
        assert {split_of(story) for story in text.heldout(split)} == {split}


def test_heldout_stories_are_a_sample_with_its_repeats(grammar: ModuleType, tmp_path: Path) -> None:
    """The common story must be as common as in the grammar, given its split."""
    text = prepare_stories(tmp_path / "p", heldout_documents=400)
    rng = np.random.default_rng(3)
    for split in ("validation", "test"):
        everything = [t for t in grammar.sample(100_000, rng) if split_of(t) == split]
        common = max(set(everything), key=everything.count)
        expected = everything.count(common) / len(everything)
        seen = text.heldout(split).count(common) / 400
        assert len(set(text.heldout(split))) < 400
        assert abs(seen - expected) < 4 * (expected / 400) ** 0.5


def test_generations_of_stories_are_their_own_reproducible_draws(
    grammar: ModuleType, tmp_path: Path
) -> None:
    text = prepare_stories(tmp_path / "p")
    heldout = {story for split in HELDOUT_SPLITS for story in text.heldout(split)}
    generations = []
    for generation in range(3):
        stories = list(islice(text.fresh(0, generation), 300))
        assert stories == list(islice(text.fresh(0, generation), 300))
        assert {split_of(story) for story in stories} == {"train"}
        assert not heldout & set(stories)
        generations.append(stories)
    generations.append(list(islice(text.fresh(1, 0), 300)))
    # As draws they are independent: at any place two of them seldom agree.
    for first, second in itertools.combinations(generations, 2):
        assert sum(a == b for a, b in zip(first, second, strict=True)) < 15


def test_fresh_stories_keep_the_head_of_their_distribution(
    grammar: ModuleType, tmp_path: Path
) -> None:
    """However much was drawn before, the common stories come as often as the grammar has them."""
    text = prepare_stories(tmp_path / "p")
    everything = grammar.sample(100_000, np.random.default_rng(3))
    everything = [story for story in everything if split_of(story) == "train"]
    common = {story for story, _ in Counter(everything).most_common(50)}
    expected = sum(story in common for story in everything) / len(everything)
    used = {text_hash(story) for story in everything}
    drawn = list(islice(text.fresh(0, 1, exclude=used), 4000))
    assert len(set(drawn)) < 3000
    seen = sum(story in common for story in drawn) / len(drawn)
    assert abs(seen - expected) < 4 * (expected / len(drawn)) ** 0.5


def test_too_small_grammar_is_refused(grammar: ModuleType, tmp_path: Path) -> None:
    grammar.sample = lambda count, rng: ["one"] * count  # type: ignore[attr-defined]
    with pytest.raises(BadCorpus, match="too few different texts"):
        prepare_stories(tmp_path / "q")


def test_preparing_again_leaves_nothing_of_before(finite: HumanText, grammar: ModuleType) -> None:
    prepare_stories(finite.folder)
    files = {path.name for path in finite.folder.iterdir()}
    splits = {f"{split}.parquet" for split in HELDOUT_SPLITS}
    assert files == {"corpus.json", "complexity.json", *splits}


def test_changed_grammar_is_noticed(grammar: ModuleType, tmp_path: Path) -> None:
    prepare_stories(tmp_path / "p")
    grammar.fingerprint = lambda: "grammar-2"  # type: ignore[attr-defined]
    with pytest.raises(BadCorpus, match="another version of 'stories'"):
        HumanText.open(tmp_path / "p")


@pytest.mark.skipif(not TINYSTORIES.is_dir(), reason="shared/data is not beside the repository")
@pytest.mark.parametrize("heldout_documents", [50, 1000])
def test_tinystories(tmp_path: Path, heldout_documents: int) -> None:
    card = prepare_corpus(str(TINYSTORIES), tmp_path, heldout_documents=heldout_documents, seed=0)
    text = HumanText.open(tmp_path)
    splits: dict[str, set[str]] = {split: set(text.heldout(split)) for split in HELDOUT_SPLITS}
    splits["train"] = set(text_fresh_all(text))
    assert {split: len(texts) for split, texts in splits.items()} == card.documents
    everything = set().union(*splits.values())
    assert len(everything) == sum(card.documents.values())
    if heldout_documents == 1000:
        assert len(everything) == 7705
    assert 0.74 < card.documents["train"] / 7705 < 0.78


def text_fresh_all(text: HumanText) -> list[str]:
    return list(islice(text.fresh(0, 0), text.card.documents["train"]))


def test_the_real_stories(tmp_path: Path) -> None:
    from collapse.language.corpora.stories import world

    text = prepare_stories(tmp_path / "p", heldout_documents=200)
    assert text.card.fingerprint == world("stories").fingerprint()
    heldout = [story for split in HELDOUT_SPLITS for story in text.heldout(split)]
    recognised = [world("stories").recognise(story) for story in heldout]
    surprise = [-told.log_probability_nats for told in recognised if told is not None]
    assert len(surprise) == len(heldout) == 1200
    # Being held out by hash makes them no other sample: mean surprise is the known entropy.
    error = np.std(surprise) / len(surprise) ** 0.5
    assert abs(np.mean(surprise) - world("stories").entropy_nats()) < 4 * error
    first, later = (list(islice(text.fresh(0, generation), 500)) for generation in (0, 1))
    assert sum(a == b for a, b in zip(first, later, strict=True)) < 25
    assert not set(first + later) & set(heldout)


SENTENCES = [
    f"{'Incomprehensible' if number % 3 else 'An'} {'word ' * (number % 11 + 1)}{number}."
    for number in range(900)
]


@pytest.fixture
def varied(tmp_path: Path) -> HumanText:
    """A finite corpus whose documents differ in complexity."""
    name = write_corpus(tmp_path / "varied.jsonl", SENTENCES)
    prepare_corpus(name, tmp_path / "prepared", heldout_documents=20, seed=0)
    return HumanText.open(tmp_path / "prepared")


def chosen(text: HumanText, choice: str) -> list[str]:
    """All that a finite corpus has of a choice, in the order of seed 7."""
    taken: list[str] = []
    with pytest.raises(BadCorpus, match="used up"):
        taken.extend(text.fresh(7, 0, choice=choice))
    return taken


def test_simple_and_complex_text_are_the_two_sides_of_the_median(varied: HumanText) -> None:
    train = read_train(varied)
    scores = [varied.scale.score(text) for text in train]
    assert varied.scale.median == pytest.approx(np.median(scores))
    simple, complex_ = chosen(varied, "simple"), chosen(varied, "complex")
    assert sorted(simple + complex_) == sorted(train)
    assert 0.4 < len(simple) / len(train) <= 0.5
    assert max(map(varied.scale.score, simple)) < varied.scale.median
    assert min(map(varied.scale.score, complex_)) >= varied.scale.median
    # The same order as without a choice, so that arms of one seed differ in nothing else.
    whole = chosen(varied, "all")
    assert [text for text in whole if text in set(simple)] == simple
    assert [text for text in whole if text in set(complex_)] == complex_


def test_generations_of_simple_text_are_disjoint(varied: HumanText) -> None:
    first = list(islice(varied.fresh(7, 0, choice="simple"), 100))
    used = {text_hash(text) for text in first}
    second = list(islice(varied.fresh(7, 1, exclude=used, choice="simple"), 100))
    assert first + second == chosen(varied, "simple")[:200]
    with pytest.raises(BadCorpus, match=r"used up in generation 1: .* of training_text=simple"):
        list(varied.fresh(7, 1, exclude=used, choice="simple"))


def test_the_scale_is_of_a_random_sample_of_the_training_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sorted by difficulty, the first texts of the file would give another median."""
    name = write_corpus(tmp_path / "sorted.jsonl", sorted(SENTENCES, key=len))
    medians = []
    for most, seed in ((10_000, 0), (200, 0), (200, 0), (200, 1)):
        monkeypatch.setattr("collapse.language.corpora.preparation.SCALE_TEXTS", most)
        prepare_corpus(name, tmp_path / "p", heldout_documents=20, seed=seed)
        scale = HumanText.open(tmp_path / "p").scale
        train = read_train(HumanText.open(tmp_path / "p"))
        medians.append(scale.median)
        below = np.mean([scale.is_simple(text) for text in train])
        assert 0.35 < below < 0.65
    assert medians[1] == medians[2]
    assert len(set(medians)) == 3


def test_the_scale_of_long_documents_stops_at_its_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write_corpus(tmp_path / "corpus.jsonl", [f"w{'x' * i}" for i in range(500)])
    monkeypatch.setattr("collapse.language.corpora.preparation.SCALE_CHARACTERS", 2000)
    prepare_corpus(name, tmp_path / "p", heldout_documents=20, seed=0)
    words = HumanText.open(tmp_path / "p").scale.common_words
    # Of 250 letters on average: 8 of them, give or take.
    assert 4 <= len(words) <= 20


def test_texts_that_do_not_differ_have_no_simple_half(finite: HumanText) -> None:
    assert finite.scale.simple_share == 0
    for choice in ("simple", "complex"):
        with pytest.raises(BadCorpus, match=rf"training_text={choice}: .* do not differ"):
            next(finite.fresh(0, 0, choice=choice))


def test_simple_stories_are_the_simple_ones_of_the_same_draws(tmp_path: Path) -> None:
    text = prepare_stories(tmp_path / "p", heldout_documents=20)
    drawn = list(islice(text.fresh(0, 0), 400))
    simple = [story for story in drawn if text.scale.score(story) < text.scale.median]
    complex_ = [story for story in drawn if text.scale.score(story) >= text.scale.median]
    assert list(islice(text.fresh(0, 0, choice="simple"), len(simple))) == simple
    assert list(islice(text.fresh(0, 0, choice="complex"), len(complex_))) == complex_
    # Half of 400 fresh ones, with a standard deviation of 0.025.
    assert abs(len(simple) / 400 - 0.5) < 0.1
