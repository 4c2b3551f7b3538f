import itertools

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from collapse.errors import BadParameter
from collapse.numerics.streams import numpy_stream
from collapse.probes.references import derangement, score_continuations

REFERENCES = [
    "The dog ran to the park, and it barked at the big ball.",
    "Tom was sad. His kite was gone; he could not find it.",
    "She gave him the red ball and they played until dark.",
    "At last the cat came home. Everybody was very happy.",
    "Mia hid under the bed.",
]
CONTINUATIONS = [
    "The dog ran to the lake, and it barked at the big duck.",
    "Tom was sad",  # shorter than an n-gram of four
    "",
    "At last the cat came home. Everybody was very happy.",
    "nothing here is shared, not even a full stop",
]


def scores(continuations=CONTINUATIONS, references=REFERENCES):
    return score_continuations(continuations, references, numpy_stream(0, "references"))


def test_bleu_is_sacrebleus() -> None:
    found = scores()
    corpus = sacrebleu.corpus_bleu(CONTINUATIONS, [REFERENCES])
    assert found.model.corpus_bleu() == pytest.approx(corpus.score, abs=1e-9)
    single = [
        sacrebleu.sentence_bleu(text, [own]).score
        for text, own in zip(CONTINUATIONS, REFERENCES, strict=True)
    ]
    np.testing.assert_allclose(found.model.bleu_S, single, atol=1e-9)
    assert single[3] == pytest.approx(100)
    assert single[2] == 0.0
    part = np.array([0, 3])
    few = sacrebleu.corpus_bleu([CONTINUATIONS[i] for i in part], [[REFERENCES[i] for i in part]])
    assert found.model.corpus_bleu(part) == pytest.approx(few.score, abs=1e-9)
    # Measuring a part changes nothing of the whole.
    assert found.model.corpus_bleu() == pytest.approx(corpus.score, abs=1e-9)


def test_the_signature_says_how() -> None:
    found = scores().bleu_signature.split("|")
    assert {"nrefs:1", "case:mixed", "eff:no", "tok:13a", "smooth:exp"} <= set(found)
    assert f"version:{sacrebleu.__version__}" in found


def test_rouge_l_by_hand_and_by_its_library() -> None:
    found = scores().model
    # "The dog ran to the ... and it barked at the big ...": 11 of 13 words each way.
    assert found.rouge_l_S[0] == pytest.approx(11 / 13)
    # Three of three words, three of twelve.
    assert found.rouge_l_S[1] == pytest.approx(2 * 3 / (3 + 12))
    assert found.rouge_l_S[2:4].tolist() == [0.0, pytest.approx(1.0)]
    scorer = RougeScorer(["rougeL"])
    expected = [
        scorer.score(own, text)["rougeL"].fmeasure
        for text, own in zip(CONTINUATIONS, REFERENCES, strict=True)
    ]
    assert found.rouge_l_S.tolist() == expected
    assert found.rouge_l == pytest.approx(np.mean(expected))


def test_humans_stand_against_other_humans() -> None:
    human = scores().human
    pairs = derangement(len(REFERENCES), numpy_stream(0, "references"))
    others = [REFERENCES[other] for other in pairs]
    assert human.corpus_bleu() == pytest.approx(sacrebleu.corpus_bleu(others, [REFERENCES]).score)
    assert human.bleu_S.max() < 100
    assert scores(["a b"], ["a b"]).human is None
    # A model that writes what the humans wrote is better than the humans among themselves.
    assert scores(REFERENCES).model.corpus_bleu() > 99 > human.corpus_bleu()


def test_what_rouge_cannot_read_has_no_rouge() -> None:
    found = scores(["Том был рад.", "the end"], ["Том был грустным.", "the end"])
    assert np.isnan(found.model.rouge_l_S[0])
    assert found.model.rouge_l == 1.0
    assert scores(["Том"], ["Том"]).model.rouge_l is None
    assert found.model.bleu_S[0] > 0


@pytest.mark.parametrize("count", [2, 3, 4])
def test_every_derangement_is_drawn_about_as_often(count) -> None:
    every = [
        order
        for order in itertools.permutations(range(count))
        if all(place != one for place, one in enumerate(order))
    ]
    draw = numpy_stream(0, "derangements")
    drawn = [tuple(derangement(count, draw)) for _ in range(1000)]
    counts = np.array([drawn.count(order) for order in every])
    assert counts.sum() == 1000
    # Four standard deviations of a binomial count.
    share = 1 / len(every)
    assert (abs(counts - 1000 * share) <= 4 * (1000 * share * (1 - share)) ** 0.5).all()


def test_nothing_to_pair_is_no_derangement() -> None:
    assert derangement(0, numpy_stream(0, "x")) == derangement(1, numpy_stream(0, "x")) == []


@pytest.mark.parametrize(
    ("continuations", "references", "message"),
    [
        ([], [], "0 continuations"),
        (["a"], ["a", "b"], "1 continuations and 2 references"),
        (["a", "b"], ["a", " \n"], "reference 1 is empty"),
    ],
)
def test_what_has_no_reference_is_refused(continuations, references, message) -> None:
    with pytest.raises(BadParameter, match=message):
        scores(continuations, references)
