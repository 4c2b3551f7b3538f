"""Worlds of some plots: what is known of them is as exact as of the whole."""

import numpy as np
import pytest

from collapse.errors import BadCorpus
from collapse.language.corpora.human_text import HumanText
from collapse.language.corpora.preparation import prepare_corpus
from collapse.language.corpora.source import corpus_fingerprint, open_source
from collapse.language.corpora.stories import World, world
from collapse.language.corpora.stories.content import PLOTS

NAMES = ["stories", *(f"stories:{plot}" for plot in PLOTS), "stories:lost,share"]


@pytest.fixture(scope="module", params=NAMES)
def stories(request: pytest.FixtureRequest) -> World:
    return world(request.param)


def test_entropy_is_the_mean_surprise(stories: World) -> None:
    drawn = stories.sample_derivations(4000, np.random.default_rng(0))
    surprise = np.array([-one.log_probability_nats for one in drawn])
    error = surprise.std() / len(surprise) ** 0.5
    assert abs(surprise.mean() - stories.entropy_nats()) < 4 * error


def test_what_is_drawn_is_recognised_by_its_own_choices(stories: World) -> None:
    for one in stories.sample_derivations(300, np.random.default_rng(1)):
        assert stories.recognise(one.text) == one


def test_it_has_a_tail_that_its_own_stories_keep(stories: World) -> None:
    assert len(stories.tail()) > 3
    assert all(one.probability < stories.rare_below for one in stories.tail())
    kept = [
        stories.tail_coverage(stories.sample_derivations(1000, np.random.default_rng(k)), 1000)
        for k in range(8)
    ]
    assert abs(np.mean(kept) - 1) < 4 * np.std(kept, ddof=1) / len(kept) ** 0.5 + 0.02


def test_a_story_of_a_plot_has_in_the_whole_the_plots_share_of_its_probability() -> None:
    whole, share = world("stories"), world("stories:share")
    shares = {
        whole.recognise(one.text).log_probability_nats - one.log_probability_nats  # type: ignore[union-attr]
        for one in share.sample_derivations(50, np.random.default_rng(2))
    }
    weights = [rank**-0.7 for rank in range(1, len(PLOTS) + 1)]
    expected = np.log(weights[list(PLOTS).index("share")] / sum(weights))
    assert list(shares) == pytest.approx([expected] * len(shares))
    assert all(share.recognise(text) is None for text in lost_stories())


def lost_stories() -> list[str]:
    return world("stories:lost").sample(20, np.random.default_rng(3))


def test_the_world_of_the_default_study_is_large() -> None:
    assert world("stories:lost").story_count() > 10**12
    assert len(world("stories:lost").vocabulary()) > 150


def test_rare_in_the_whole_is_rare_in_its_part() -> None:
    whole, part = world("stories"), world("stories:grow")
    own = {(one.name, one.option) for one in whole.tail() if one.name.startswith("grow.")}
    assert own <= {(one.name, one.option) for one in part.tail()}
    assert whole.rare_below == pytest.approx(0.002)


def test_worlds_are_told_apart() -> None:
    assert len({world(name).fingerprint() for name in NAMES}) == len(NAMES)
    assert corpus_fingerprint("stories:lost") == world("stories:lost").fingerprint()
    assert open_source("stories:lost").is_generative


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stories:lots", "no story has the plot 'lots': did you mean lost?"),
        ("stories:lost,", "no story has the plot '': there are fear, lost, pet"),
        ("stories:lost,lost", "names a plot twice"),
    ],
)
def test_a_plot_that_there_is_not_is_named(name: str, said: str) -> None:
    with pytest.raises(BadCorpus, match=said):
        corpus_fingerprint(name)


def test_a_prepared_world_draws_and_recognises_its_own(tmp_path) -> None:
    prepare_corpus("stories:lost", tmp_path, heldout_documents=20, seed=0)
    text = HumanText.open(tmp_path)
    assert text.stories == world("stories:lost")
    fresh = text.fresh(0, 1)
    told = [*text.heldout("test"), *(next(fresh) for _ in range(50))]
    assert all(world("stories:lost").recognise(one) for one in told)
