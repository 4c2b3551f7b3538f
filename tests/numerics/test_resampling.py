from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from collapse.errors import BadParameter
from collapse.numerics.diversity import TextSet
from collapse.numerics.resampling import mean_interval, set_intervals, share_interval
from collapse.numerics.streams import numpy_stream

TEXTS = 60
# Which way each statistic goes where texts are copies of each other.
TOWARDS_COPIES = {
    "distinct_1": -1,
    "distinct_2": -1,
    "distinct_3": -1,
    "distinct_4": -1,
    "vocabulary_diversity": -1,
    "self_bleu": 1,
}


def made_texts(*names):
    """Texts of 6 to 20 words, some common and some rare, that tend to follow each other."""
    draw = numpy_stream(0, "made texts", *names)
    documents = []
    for _ in range(TEXTS):
        steps = draw.zipf(1.6, draw.integers(6, 21))
        documents.append([str(word) for word in np.cumsum(steps) % 400])
    return documents


def measured(documents):
    return asdict(TextSet.of(documents).diversity())


@pytest.fixture(scope="module")
def fresh():
    """The statistics of many fresh sets: name to values."""
    rows = [measured(made_texts("fresh", i)) for i in range(300)]
    return {name: np.array([row[name] for row in rows]) for name in TOWARDS_COPIES}


@pytest.fixture(scope="module")
def intervals():
    """The intervals of some sets, one mapping a set."""
    found = []
    for i in range(40):
        texts = TextSet.of(made_texts("judged", i))
        found.append(
            set_intervals(
                lambda part, texts=texts: asdict(texts.diversity(part)),
                TEXTS,
                numpy_stream(0, "parts", i),
                parts=100,
            )
        )
    return found


def test_the_bootstrap_takes_its_own_copies_for_a_lack_of_variety(fresh) -> None:
    documents = made_texts("judged", 0)
    draw = numpy_stream(0, "bootstrap")
    again = [measured([documents[i] for i in draw.integers(TEXTS, size=TEXTS)]) for _ in range(100)]
    whole = measured(documents)
    for name, direction in TOWARDS_COPIES.items():
        # So much that an interval of the bootstrap sets would miss the value itself.
        bias = np.mean([one[name] for one in again]) - whole[name]
        assert direction * bias > 2 * fresh[name].std(), name


@pytest.mark.parametrize("name", TOWARDS_COPIES)
def test_errors_of_set_statistics_are_those_over_fresh_sets(name, fresh, intervals) -> None:
    errors = np.array([one[name].standard_error for one in intervals])
    assert 1 / 1.25 < np.sqrt((errors**2).mean()) / fresh[name].std(ddof=1) < 1.25


@pytest.mark.parametrize("name", TOWARDS_COPIES)
def test_intervals_of_set_statistics_hold_the_mean_over_fresh_sets(name, fresh, intervals) -> None:
    truth = fresh[name].mean()
    held = [one[name].low <= truth <= one[name].high for one in intervals]
    # Of 40 intervals that hold it with 95 % each, under 34 do with a chance of 1 in 300.
    assert sum(held) >= 34


@pytest.mark.parametrize("left_out", [1 / 50, 0.25, 0.5, 0.9])
def test_the_error_of_a_mean_is_the_closed_form(left_out) -> None:
    values = numpy_stream(0, "values").lognormal(size=50)
    (found,) = set_intervals(
        lambda part: {"mean": float(values[part].mean())},
        50,
        numpy_stream(0, "parts"),
        parts=4000,
        left_out=left_out,
    ).values()
    assert found.value == pytest.approx(values.mean())
    # A standard deviation of 4,000 draws is known to about 1.1 % (more where they have tails).
    assert found.standard_error == pytest.approx(values.std(ddof=1) / 50**0.5, rel=0.06)
    assert found.high - found.value == pytest.approx(1.959964 * found.standard_error)
    assert found.value - found.low == pytest.approx(1.959964 * found.standard_error)


def test_parts_are_drawn_without_replacement() -> None:
    seen = []
    set_intervals(
        lambda part: {"size": seen.append(part.tolist())}, 10, numpy_stream(0, "parts"), parts=30
    )
    assert seen[0] == list(range(10))
    assert all(len(set(part)) == len(part) == 9 for part in seen[1:])
    assert all(part == sorted(part) for part in seen)
    assert {text for part in seen[1:] for text in part} == set(range(10))


def test_set_statistics_that_cannot_be_measured() -> None:
    found = set_intervals(
        lambda part: {"never": None, "whole": 1.0 if len(part) == 9 else None, "ever": 2.0},
        9,
        numpy_stream(0, "parts"),
    )
    assert found["never"] is None
    assert (found["whole"].value, found["whole"].low) == (1.0, None)
    assert (found["ever"].low, found["ever"].standard_error) == (2.0, 0.0)
    for texts in (0, 1, 2):
        few = set_intervals(lambda part: {"size": 1.0}, texts, numpy_stream(0, "parts"))
        assert (few["size"].low, few["size"].standard_error) == (None, None)


def test_a_mean_has_its_interval() -> None:
    # Lopsided values: the upper end is farther away than the lower one.
    values = numpy_stream(1, "values").lognormal(size=200)
    found = mean_interval(values, numpy_stream(1, "bootstrap"))
    assert found.value == pytest.approx(values.mean())
    assert found.standard_error == pytest.approx(stats.sem(values))
    assert found.high - found.value > found.value - found.low
    narrow = mean_interval(values, numpy_stream(1, "bootstrap"), level=0.5)
    assert found.low < narrow.low < found.value < narrow.high < found.high
    assert found == mean_interval(values, numpy_stream(1, "bootstrap"))


def test_intervals_of_means_hold_the_mean() -> None:
    draw = numpy_stream(2, "values")
    held = 0
    for i in range(200):
        found = mean_interval(draw.exponential(size=80), numpy_stream(i, "boot"), resamples=500)
        held += found.low <= 1.0 <= found.high
    # 190 expected, with a standard deviation of 3.1; the BCa interval holds a little less.
    assert 178 <= held <= 199


def test_means_that_cannot_be_measured() -> None:
    draw = numpy_stream(0, "bootstrap")
    assert mean_interval([], draw) is None
    assert mean_interval([np.nan, np.nan], draw) is None
    assert asdict(mean_interval([3.0], draw)) == {
        "value": 3.0,
        "low": None,
        "high": None,
        "standard_error": None,
    }
    assert mean_interval([2.0, 2.0], draw).high == 2.0
    with_gap = mean_interval([1.0, np.nan, 2.0, 4.0], numpy_stream(0, "b"))
    assert with_gap == mean_interval([1.0, 2.0, 4.0], numpy_stream(0, "b"))


@pytest.mark.parametrize(("marked", "count"), [(0, 200), (3, 200), (100, 200), (200, 200), (1, 1)])
def test_shares_as_scipy_has_them(marked, count) -> None:
    found = share_interval(np.arange(count) < marked)
    expected = stats.binomtest(marked, count).proportion_ci(0.95, method="wilson")
    assert found.value == marked / count
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert found.high > found.low


def test_no_texts_have_no_share() -> None:
    assert share_interval([]) is None


def test_what_is_asked_for_must_be_possible() -> None:
    draw = numpy_stream(0, "x")
    with pytest.raises(BadParameter, match="level is 95"):
        mean_interval([1.0, 2.0], draw, level=95)
    with pytest.raises(BadParameter, match="resamples is 0"):
        mean_interval([1.0, 2.0], draw, resamples=0)
    with pytest.raises(BadParameter, match="parts is 1"):
        set_intervals(lambda part: {"a": 1.0}, 9, draw, parts=1)
    with pytest.raises(BadParameter, match="left_out is 1"):
        set_intervals(lambda part: {"a": 1.0}, 9, draw, left_out=1)
