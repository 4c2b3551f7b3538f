from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean, median

import pytest

from collapse.errors import BadCorpus
from collapse.language.corpora.complexity import HalfCorpus, complexity_scores
from collapse.language.corpora.source import open_source

DATA = Path(__file__).parents[4] / "shared" / "data"


@dataclass(frozen=True)
class Listed:
    texts: tuple[str, ...]
    fingerprint: str = "f"

    def documents(self, limit: int | None = None) -> Iterator[str]:
        return islice(self.texts, limit)


SIMPLE = "The cat sat. The dog ran. It was fun."
COMPLEX = (
    "Notwithstanding considerable uncertainty, epistemological frameworks presuppose coherence."
)


def test_each_feature_raises_the_score() -> None:
    # Every word occurs in every text, so that the shares of rare words are alike.
    # Two texts that differ in one feature have z-scores of -1 and 1 there, and a third as mean.
    assert complexity_scores(["a b. a b.", "a b a b."]) == pytest.approx([-1 / 3, 1 / 3])
    assert complexity_scores(["aa bb.", "aaaa bbbb."]) == pytest.approx([-1 / 3, 1 / 3])


def test_rare_words_raise_the_score() -> None:
    common = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(26 * 26)]
    common += [f"v{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(324)]
    texts = [" ".join(common)] * 2 + [" ".join("x" + word[1:] for word in common)]
    scores = complexity_scores(texts)
    assert scores[0] == scores[1] < scores[2]


def test_scores_do_not_depend_on_order_or_on_emptiness() -> None:
    texts = [SIMPLE, COMPLEX, "123 !", SIMPLE + " And then it rained."]
    scores = complexity_scores(texts)
    assert complexity_scores(texts[::-1]) == scores[::-1]
    assert scores.index(max(scores)) == 1
    assert fmean(scores) == pytest.approx(0, abs=1e-12)


def test_halves_are_disjoint_and_complete() -> None:
    texts = tuple(f"{'long' * (number % 7)} word{'s' * number}." for number in range(41))
    simple = list(HalfCorpus("s", Listed(texts), "simple").documents())
    complex_ = list(HalfCorpus("c", Listed(texts), "complex").documents())
    assert sorted(simple + complex_) == sorted(texts)
    assert abs(len(simple) - len(complex_)) <= 1
    scores = dict(zip(texts, complexity_scores(texts), strict=True))
    assert max(scores[text] for text in simple) < median(scores.values())
    assert min(scores[text] for text in complex_) == median(scores.values())


def test_halves_have_their_own_fingerprints() -> None:
    halves = [HalfCorpus("n", Listed((), whole), half).fingerprint
              for whole in "ab" for half in ("simple", "complex")]  # fmt: skip
    assert len(set(halves)) == 4


def test_texts_that_do_not_differ_cannot_be_cut() -> None:
    with pytest.raises(BadCorpus, match="do not differ"):
        list(HalfCorpus("simple:x", Listed(("same words", "same words.")), "simple").documents())


def test_names(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(f"{SIMPLE}\n\n{COMPLEX}\n")
    assert list(open_source(f"simple:{path}").documents()) == [SIMPLE]  # type: ignore[union-attr]
    assert list(open_source(f"complex:{path}").documents()) == [COMPLEX]  # type: ignore[union-attr]
    for name in ("simple:stories", f"simple:complex:{path}"):
        with pytest.raises(BadCorpus, match="has halves"):
            open_source(name)


@pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is not beside the repository")
def test_textbooks_are_more_complex_than_child_stories() -> None:
    """Foreign labels: the two folders are one generator's text in two registers."""
    labelled = [
        (text, folder)
        for folder in ("synthetic_child_stories", "synthetic_textbooks")
        for text in open_source(str(DATA / folder / "validation.jsonl")).documents()  # type: ignore[union-attr]
    ]
    scores = complexity_scores([text for text, _ in labelled])
    middle = sorted(scores)[len(scores) // 2]
    right = sum(
        (score >= middle) == (folder == "synthetic_textbooks")
        for score, (_, folder) in zip(scores, labelled, strict=True)
    )
    # 0.857 when this was written (by letters a word alone 0.906, by words a sentence alone 0.512,
    # as the textbooks have many headings and lists); chance is 0.5.
    assert right / len(labelled) > 0.8
