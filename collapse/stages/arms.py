"""What a generation is trained on, arm by arm (DESIGN 5), and the ledger that proves it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from collapse.errors import BadCorpus, BadParameter, CollapseError
from collapse.numerics.streams import numpy_stream
from collapse.parameters.doors import RecurseStep

Encode = Callable[[Sequence[str]], list[list[int]]]

ENCODED_AT_ONCE = 512


@dataclass(frozen=True)
class Portion:
    """Documents of one source, cut to an exact number of tokens.

    Attributes:
        source: such as ``human_fresh``, ``human_static`` or ``synthetic_gen2``: text that
            generation 2 was the first to read.
        texts: the documents; the last one may be cut by the budget.
        token_ids: their tokens, without end tokens.
        tokens: tokens offered, end tokens counted.
    """

    source: str
    texts: list[str]
    token_ids: list[list[int]]
    tokens: int


@dataclass(frozen=True)
class Sources:
    """Where an arm can take text from, each as a function of a token budget.

    Attributes:
        fresh: human text that the chain has not read yet.
        static: the human text that generation 0 read, from its start.
        synthetic: new text by the parent.
        earlier: synthetic text of earlier generations, from its start, by generation.
    """

    fresh: Callable[[int], Portion]
    static: Callable[[int], Portion]
    synthetic: Callable[[int], Portion]
    earlier: Callable[[int, int], Portion]


def compose(parameters: RecurseStep, budget: int, sources: Sources) -> list[Portion]:
    """The training text of one generation.

    Args:
        parameters: kind of arm and its settings.
        budget: tokens offered to a generation.
        sources: where the text comes from.

    Returns:
        Portions whose tokens add up to the budget, or to generation + 1 budgets for `accumulate`.
    """
    generation = parameters.generation
    match parameters.kind:
        case "replace":
            portions = [sources.synthetic(budget)]
        case "fresh":
            portions = [sources.fresh(budget)]
        case "static":
            portions = [sources.static(budget)]
        case "mixed":
            synthetic = round(parameters.synthetic_fraction * budget)
            human = sources.fresh if parameters.human_half == "fresh" else sources.static
            shares = [(sources.synthetic, synthetic), (human, budget - synthetic)]
            portions = [source(share) for source, share in shares if share]
        case "accumulate":
            portions = _all_so_far(generation, budget, sources)
        case "accumulate_subsample":
            portions = subsample(
                _all_so_far(generation, budget, sources),
                budget,
                numpy_stream(parameters.seed, "subsample", generation),
            )
    _assert_budget(parameters, portions, budget)
    return portions


def _all_so_far(generation: int, budget: int, sources: Sources) -> list[Portion]:
    earlier = [sources.earlier(g, budget) for g in range(1, generation)]
    return [sources.static(budget), *earlier, sources.synthetic(budget)]


def subsample(portions: Sequence[Portion], budget: int, rng: np.random.Generator) -> list[Portion]:
    """Documents drawn without replacement from several portions, up to a token budget."""
    pool = [(p, i) for p, portion in enumerate(portions) for i in range(len(portion.texts))]
    chosen: list[list[int]] = [[] for _ in portions]
    room = [0] * len(portions)
    for index in rng.permutation(len(pool)):
        p, i = pool[index]
        taken = min(len(portions[p].token_ids[i]) + 1, budget - sum(room))
        chosen[p].append(i)
        room[p] += taken
        if sum(room) == budget:
            break
    return [
        Portion(
            portion.source,
            [portion.texts[i] for i in picked],
            [portion.token_ids[i] for i in picked],
            tokens,
        )
        for portion, picked, tokens in zip(portions, chosen, room, strict=True)
        if picked
    ]


def take(source: str, texts: Iterable[str], budget: int, encode: Encode) -> Portion:
    """Documents from the start of an iterator until they hold a token budget.

    Raises:
        BadParameter: the texts end before.
        BadCorpus: what the iterator itself says where it ends before.
    """
    kept: list[str] = []
    token_ids: list[list[int]] = []
    won = 0
    waiting = iter(texts)
    while won < budget:
        batch, ended = _next_batch(source, waiting, budget, won)
        for text, ids in zip(batch, encode(batch), strict=True):
            if won < budget:
                kept.append(text)
                token_ids.append(ids)
                won += len(ids) + 1
        if ended and won < budget:
            raise ended
    return Portion(source, kept, token_ids, budget)


def _next_batch(
    source: str, waiting: Iterator[str], budget: int, won: int
) -> tuple[list[str], CollapseError | None]:
    """Some texts, since encoding in batches is many times faster, and why there are no more."""
    batch: list[str] = []
    try:
        batch.extend(islice(waiting, ENCODED_AT_ONCE))
    except BadCorpus as error:
        return batch, error
    if batch:
        return batch, None
    return batch, BadParameter(
        f"{source}: the texts hold {won} tokens, fewer than the {budget} that are needed: "
        "lower documents, or raise baseline_documents"
    )


def _assert_budget(parameters: RecurseStep, portions: Sequence[Portion], budget: int) -> None:
    """Arms may be compared only at equal training text: see that they can."""
    times = parameters.generation + 1 if parameters.kind == "accumulate" else 1
    offered = sum(portion.tokens for portion in portions)
    if offered != times * budget:
        raise AssertionError(f"{parameters.kind} offers {offered} tokens, not {times} x {budget}")


def ledger(portions: Sequence[Portion], tokens_seen: int) -> dict[str, Any]:
    """How many tokens and documents came from which source, and how often they were read."""
    offered = sum(portion.tokens for portion in portions)
    texts = [text for portion in portions for text in portion.texts]
    return {
        "tokens_offered": offered,
        "tokens_seen": tokens_seen,
        "epochs": tokens_seen / offered,
        "documents": len(texts),
        "distinct_documents": len(set(texts)),
        "sources": {
            portion.source: {"tokens": portion.tokens, "documents": len(portion.texts)}
            for portion in portions
        },
    }
