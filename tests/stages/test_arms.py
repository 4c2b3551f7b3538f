import numpy as np
import pytest

from collapse.errors import BadCorpus, BadParameter
from collapse.parameters.doors import RecurseStep
from collapse.parameters.groups import ARM_KINDS
from collapse.stages.arms import Portion, Sources, compose, ledger, subsample, take

BUDGET = 1000


def portion(source: str, budget: int) -> Portion:
    return take(source, (f"{source} {i}" for i in range(10_000)), budget, encode)


def encode(texts):
    return [[7] * 9 for _ in texts]  # ten tokens a document with its end


SOURCES = Sources(
    fresh=lambda budget: portion("human_fresh", budget),
    static=lambda budget: portion("human_static", budget),
    synthetic=lambda budget: portion("synthetic_gen3", budget),
    earlier=lambda generation, budget: portion(f"synthetic_gen{generation}", budget),
)


def composed(kind: str, **more) -> dict[str, int]:
    parameters = RecurseStep(kind=kind, generation=3, **more)
    return {one.source: one.tokens for one in compose(parameters, BUDGET, SOURCES)}


def test_what_each_arm_reads() -> None:
    assert composed("replace") == {"synthetic_gen3": BUDGET}
    assert composed("fresh") == {"human_fresh": BUDGET}
    assert composed("static") == {"human_static": BUDGET}
    assert composed("mixed", synthetic_fraction=0.25) == {"synthetic_gen3": 250, "human_fresh": 750}
    assert composed("mixed", human_half="static") == {"synthetic_gen3": 500, "human_static": 500}
    assert composed("mixed", synthetic_fraction=1.0) == {"synthetic_gen3": BUDGET}
    assert composed("accumulate") == {
        "human_static": BUDGET,
        "synthetic_gen1": BUDGET,
        "synthetic_gen2": BUDGET,
        "synthetic_gen3": BUDGET,
    }


@pytest.mark.parametrize("kind", ARM_KINDS)
def test_offered_tokens_are_equal_but_for_accumulate(kind: str) -> None:
    offered = sum(composed(kind).values())
    assert offered == (4 * BUDGET if kind == "accumulate" else BUDGET)


def test_subsample_draws_evenly_and_reproducibly() -> None:
    pool = [portion("a", 30_000), portion("b", 30_000)]
    drawn = subsample(pool, 10_000, np.random.default_rng(0))
    assert sum(one.tokens for one in drawn) == 10_000
    shares = {one.source: one.tokens / 10_000 for one in drawn}
    # 1,000 documents of 6,000, hypergeometric: standard deviation of the share 0.0144.
    assert abs(shares["a"] - 0.5) < 4 * 0.0144
    again = subsample(pool, 10_000, np.random.default_rng(0))
    assert [one.texts for one in again] == [one.texts for one in drawn]


def test_an_arm_that_breaks_the_budget_is_stopped() -> None:
    short = Sources(
        fresh=lambda budget: portion("human_fresh", budget - 1),
        static=SOURCES.static,
        synthetic=SOURCES.synthetic,
        earlier=SOURCES.earlier,
    )
    with pytest.raises(AssertionError, match="fresh offers 999"):
        compose(RecurseStep(kind="fresh", generation=1), BUDGET, short)


def test_texts_that_end_before_the_budget_are_refused() -> None:
    with pytest.raises(BadParameter, match=r"30 tokens.*1000"):
        take("human_static", ["a", "b", "c"], BUDGET, encode)


def test_ledger_adds_up() -> None:
    portions = compose(RecurseStep(kind="mixed", generation=1), BUDGET, SOURCES)
    account = ledger(portions, tokens_seen=4000)
    assert account["tokens_offered"] == BUDGET
    assert account["epochs"] == 4
    assert account["documents"] == account["distinct_documents"] == 100
    assert {k: v["tokens"] for k, v in account["sources"].items()} == {
        "synthetic_gen3": 500,
        "human_fresh": 500,
    }


def test_a_corpus_that_ends_after_enough_is_enough() -> None:
    def finite():
        yield from (f"text {i}" for i in range(100))
        raise BadCorpus("used up")

    assert len(take("human_fresh", finite(), BUDGET, encode).texts) == 100
    with pytest.raises(BadCorpus, match="used up"):
        take("human_fresh", finite(), BUDGET + 1, encode)
