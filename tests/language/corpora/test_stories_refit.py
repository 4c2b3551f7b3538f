import math

import numpy as np
import pytest

from collapse.language.corpora.stories import world
from collapse.language.corpora.stories.derivation import Recogniser, Sampler
from collapse.language.corpora.stories.grammar import Case, bind, choice, maybe, seq
from collapse.language.corpora.stories.machine import compile_grammar
from collapse.language.corpora.stories.refit import refit

STORIES = world("stories")

COIN = compile_grammar(seq("It is ", maybe("side", 0.7, "not "), "so."))
# What is seen is one choice, in two states: the ending depends on who saw it.
SEEN = compile_grammar(
    seq(
        bind("who", "who", ("Ann",), ("Bob",)),
        "{who} saw ",
        choice("seen", "a cat", "a dog", "a cow"),
        Case("who", {"Ann": choice("by Ann", ".", "!"), "Bob": choice("by Bob", ".", "?")}),
    )
)


def read(grammar, *texts):
    tell = Recogniser(grammar)
    return [tell(text) for text in texts]


def kl_nats(grammar, learnt):
    """Exactly, by the chain rule over the states of the grammar."""
    found = 0.0
    for reach, state in zip(grammar.reach, grammar.states, strict=True):
        log_q = learnt.option_log_p_nats[state.name]
        pairs = zip(state.probabilities, log_q, strict=True)
        found += reach * sum(p * (math.log(p) - q) for p, q in pairs)
    return found


def test_two_options_are_counted_by_hand():
    learnt = refit(COIN, read(COIN, "It is so.", "It is so.", "It is not so."))
    rare, often = read(COIN, "It is not so.", "It is so.")
    assert learnt.stories == 3
    assert learnt.free_parameters == 1
    assert learnt.log_probability_nats(rare) == pytest.approx(math.log(1.5 / 4))
    assert learnt.log_probability_nats(often) == pytest.approx(math.log(2.5 / 4))


def test_who_has_read_nothing_holds_all_options_for_equal():
    learnt = refit(COIN, [])
    for one in read(COIN, "It is not so.", "It is so."):
        assert learnt.log_probability_nats(one) == pytest.approx(math.log(0.5))


def test_a_choice_is_learnt_once_for_all_states_it_is_met_in():
    assert [state.name for state in SEEN.states].count("seen") == 2
    learnt = refit(SEEN, read(SEEN, "Ann saw a cow.", "Ann saw a cow!", "Bob saw a cow?"))
    assert learnt.free_parameters == 1 + 2 + 1 + 1
    (bob,) = read(SEEN, "Bob saw a cow?")
    # who 1.5 of 4, seen 3.5 of 4.5, by Bob 1.5 of 2
    expected = math.log(1.5 / 4) + math.log(3.5 / 4.5) + math.log(1.5 / 2)
    assert learnt.log_probability_nats(bob) == pytest.approx(expected)


def test_what_a_sample_does_not_say_shrinks_as_half_a_nat_a_parameter():
    rng = np.random.default_rng(0)
    for stories_read in (200, 800):
        kls = [
            kl_nats(SEEN, refit(SEEN, Sampler(SEEN).derivations(stories_read, rng)))
            for _ in range(150)
        ]
        expected = 5 / (2 * stories_read)
        error = np.std(kls, ddof=1) / math.sqrt(len(kls))
        assert error < 0.1 * expected
        assert np.mean(kls) == pytest.approx(expected, abs=4 * error)


def test_of_the_stories_themselves_too_where_few_choices_are_rare():
    rng = np.random.default_rng(1)
    few, many = (
        kl_nats(STORIES.machine, refit(STORIES.machine, STORIES.sample_derivations(count, rng)))
        for count in (4_000, 32_000)
    )
    free = refit(STORIES.machine, []).free_parameters
    assert free == sum({s.name: len(s.edges) - 1 for s in STORIES.machine.states}.values())
    assert many == pytest.approx(free / (2 * 32_000), rel=0.25)
    assert few / many == pytest.approx(8, rel=0.3)
