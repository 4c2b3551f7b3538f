"""Answers to questions on a text, on cases worked by hand after the rules of SQuAD v1.1."""

import pytest

from collapse.probes.tasks.squad import answer_scores, answer_words, process_results

THIRD = 1 / 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Denver Broncos.", ["denver", "broncos"]),
        ("  A\n cat,\tan  owl ", ["cat", "owl"]),
        ("U.S.-led (1990)", ["usled", "1990"]),
        ("another theory", ["another", "theory"]),
        ("the a an", []),
        ("...", []),
    ],
)
def test_words_of_an_answer_by_hand(text: str, words: list[str]) -> None:
    assert answer_words(text) == words


@pytest.mark.parametrize(
    ("answer", "references", "em", "f1", "pm"),
    [
        # The same but for case, article and punctuation.
        ("the red BALL!", ["A red ball."], 1, 1, 1),
        # Two of three words right, two of two found: 2 * (2/3) * 1 / (2/3 + 1) = 0.8.
        ("big red ball", ["red ball"], 0, 0.8, 1),
        # One word of two, of three: 2 * (1/2) * (1/3) / (1/2 + 1/3) = 0.4.
        ("blue ball", ["the small red ball"], 0, 0.4, 1),
        # The best reference counts, for each measure by itself.
        ("Denver", ["Denver Broncos", "Denver", "the Broncos"], 1, 1, 1),
        ("Denver", ["Denver Broncos", "Carolina"], 0, 2 * THIRD, 1),
        # A word counts as often as both say it: 2 * 2 / (3 + 2) = 0.8.
        ("no no no", ["no no"], 0, 0.8, 1),
        # Order matters to exact match alone.
        ("ball red", ["red ball"], 0, 1, 1),
        # No word in common, though letters are.
        ("balls", ["ball"], 0, 0, 0),
    ],
)
def test_scores_by_hand(
    answer: str, references: list[str], em: float, f1: float, pm: float
) -> None:
    expected = {"em": em, "f1": f1, "pm": pm}
    assert answer_scores(answer, references) == pytest.approx(expected)


@pytest.mark.parametrize("answer", ["", "  ", "\n", ".", "the", "?! a"])
@pytest.mark.parametrize("references", [["ball"], ["the"], [""]])
def test_an_answer_that_says_nothing_is_wrong_whatever_the_reference(
    answer: str, references: list[str]
) -> None:
    assert answer_scores(answer, references) == {"em": 0, "f1": 0, "pm": 0}


def test_lm_eval_hands_over_an_item_and_one_answer() -> None:
    doc = {"answers": {"text": ["ball", "red ball"], "answer_start": [3, 1]}}
    assert process_results(doc, ["Red ball"]) == {"em": 1, "f1": 1, "pm": 1}
