import sys

import numpy as np
import pytest

from collapse.errors import BadParameter
from collapse.numerics import mauve as mauve_module
from collapse.numerics.mauve import LEAST_TEXTS, human_ceiling, lacking, mauve


def cloud(texts, *, seed, shift=0.0, width=8):
    rows_NxD = np.random.default_rng(seed).standard_normal((texts, width))
    rows_NxD[:, 0] += shift
    return rows_NxD


def test_too_few_texts_are_not_measured():
    found = mauve(cloud(LEAST_TEXTS - 1, seed=0), cloud(5000, seed=1), seed=0)
    assert found.score is None
    assert found.texts == LEAST_TEXTS - 1
    assert "999 texts a side" in found.reason
    assert human_ceiling(cloud(1998, seed=0), seed=0, texts=5000).texts == 999


def test_without_the_package_there_is_a_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "mauve", None)
    found = mauve(cloud(1000, seed=0), cloud(1000, seed=1), seed=0)
    assert found.score is None
    assert "pip install -e '.[mauve]'" in found.reason
    assert found.reason == lacking()


def test_widths_must_agree():
    with pytest.raises(BadParameter, match="both must be"):
        mauve(cloud(1000, seed=0), cloud(1000, seed=1, width=4), seed=0)


def test_halves_are_disjoint_and_no_larger_than_asked(monkeypatch):
    halves = []
    monkeypatch.setattr(mauve_module, "mauve", lambda *sides, seed: halves.extend(sides))
    human_NxD = np.arange(2600.0)[:, None]
    human_ceiling(human_NxD, seed=0, texts=1200)
    first, second = (set(side[:, 0]) for side in halves)
    assert len(first) == len(second) == 1200
    assert not first & second
    assert first != set(range(1200))


class TestWithThePackage:
    @pytest.fixture(autouse=True)
    def package(self):
        pytest.importorskip("mauve", reason="the extra 'mauve' is not installed")

    def test_the_same_texts_score_one(self):
        same_NxD = cloud(1000, seed=0)
        assert mauve(same_NxD, same_NxD, seed=0).score == pytest.approx(1, abs=1e-3)

    def test_texts_far_apart_score_next_to_nothing(self):
        # Without a cluster in common the curve is ((1 - w)^5, w^5), with an area of 5 B(6, 5).
        found = mauve(cloud(1000, seed=0, shift=-50), cloud(1000, seed=1, shift=50), seed=0)
        assert found.score == pytest.approx(1 / 252, rel=0.05)

    def test_a_shift_scores_below_the_ceiling(self):
        human_NxD = cloud(2000, seed=0)
        near, far = (
            mauve(human_NxD[:1000], cloud(1000, seed=1, shift=shift), seed=0).score
            for shift in (0.0, 1.5)
        )
        ceiling = human_ceiling(human_NxD, seed=0, texts=1000).score
        assert near == pytest.approx(ceiling, abs=0.05)
        assert far < ceiling - 0.2

    def test_the_seed_decides_and_nothing_global_moves(self):
        p_NxD, q_NxD = cloud(1000, seed=0), cloud(1200, seed=1, shift=0.5)
        before = np.random.get_state()[1].copy()
        first = mauve(p_NxD, q_NxD, seed=0)
        assert first == mauve(p_NxD, q_NxD[:1000], seed=0)
        assert first.score != mauve(p_NxD, q_NxD, seed=1).score
        assert np.array_equal(np.random.get_state()[1], before)
