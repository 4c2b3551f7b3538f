import numpy as np
import pytest

from collapse.errors import BadParameter
from collapse.numerics.coherence import neighbour_cosines

NO_CENTRE = np.zeros(2)
EAST, NORTH, WEST = np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([-1.0, 0.0])


def made_up(*, switches=False, texts=60, sentences=6, width=32, seed=0):
    """Texts about one of eight topics each; one that switches goes to another topic and back."""
    rng = np.random.default_rng(seed)
    topics_KxD = rng.standard_normal((8, width))
    rows = []
    for _ in range(texts):
        own, other = rng.choice(8, 2, replace=False)
        for place in range(sentences):
            topic = other if switches and place % 2 else own
            rows.append(topics_KxD[topic] + 0.5 * rng.standard_normal(width))
    return np.array(rows)


def of_made_up(features_SxD, centre_D, *, texts=60, sentences=6):
    return neighbour_cosines(features_SxD, [sentences] * texts, range(texts), texts, centre_D)


def test_by_hand():
    features_SxD = np.array([EAST, 3 * EAST, EAST, NORTH, 2 * EAST, WEST, NORTH, EAST])
    # East west, west north make -1 and 0. One sentence has no neighbour, nor has text 4 any.
    found = neighbour_cosines(features_SxD, [2, 2, 3, 1], [0, 1, 2, 3], 5, NO_CENTRE)
    np.testing.assert_allclose(found, [1, 0, -0.5, np.nan, np.nan])


def test_pairs_of_all_passages_of_a_text_count_alike():
    features_SxD = np.array([EAST, NORTH, EAST, EAST, 2 * EAST, WEST])
    found = neighbour_cosines(features_SxD, [2, 3, 1], [1, 1, 0], 2, NO_CENTRE)
    np.testing.assert_allclose(found, [np.nan, (0 + 1 + 1) / 3])


def test_a_diagonal_and_its_length():
    found = neighbour_cosines(np.array([7 * (EAST + NORTH), EAST]), [2], [0], 1, NO_CENTRE)
    np.testing.assert_allclose(found, [0.5**0.5])


def test_alternating_topics_score_below_coherent_ones():
    coherent, alternating = made_up(), made_up(switches=True)
    centre_D = coherent.mean(axis=0)
    high, low = of_made_up(coherent, centre_D), of_made_up(alternating, centre_D)
    assert np.median(high) > 0.6
    assert low.mean() < 0.1
    shuffled = np.random.default_rng(1).permutation(coherent)
    assert abs(of_made_up(shuffled, centre_D).mean()) < 0.1


def test_a_narrow_cone_is_opened_by_its_centre():
    axis_D = np.full(32, 200.0)
    for features_SxD in (made_up(), made_up(switches=True)):
        raw = of_made_up(features_SxD + axis_D, np.zeros(32))
        assert raw.min() > 0.999
        plain = of_made_up(features_SxD, np.zeros(32))
        np.testing.assert_allclose(of_made_up(features_SxD + axis_D, axis_D), plain, atol=1e-9)


def test_a_sentence_at_the_centre_has_no_direction():
    features_SxD = np.array([EAST, NORTH, NORTH, NORTH])
    np.testing.assert_allclose(neighbour_cosines(features_SxD, [2, 2], [0, 1], 2, EAST), [0, 1])


@pytest.mark.parametrize(
    ("features", "sentences_P", "text_P", "centre", "said"),
    [
        (np.ones((3, 2)), [2], [0], NO_CENTRE, "2 sentences and there are 3"),
        (np.ones((3, 2)), [4, -1], [0, 1], NO_CENTRE, "3 sentences"),
        (np.ones((3, 2)), [3], [0, 0], NO_CENTRE, "1 passages"),
        (np.ones((3, 2)), [3], [0], np.zeros(3), r"centre of shape \(3,\)"),
        (np.array([EAST, [np.nan, 0]]), [2], [0], NO_CENTRE, "not finite"),
    ],
)
def test_what_cannot_be_is_refused(features, sentences_P, text_P, centre, said):
    with pytest.raises(BadParameter, match=said):
        neighbour_cosines(features, sentences_P, text_P, 2, centre)
