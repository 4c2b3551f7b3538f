"""The stage `surgery`: the loss after directions of the keys are pruned; no weight is changed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from collapse.errors import BadModel, BadParameter
from collapse.figures import png_bytes, surgery_figure
from collapse.language.key_surgery import SITE_OF, key_gains, natural_place, pruned_keys
from collapse.measurement import Measurement
from collapse.numerics.pruning import BASES, STRATEGIES, projectors, rank_directions
from collapse.numerics.streams import torch_stream
from collapse.parameters.doors import Surgery
from collapse.parameters.fields import numbers
from collapse.probes.heads import head_matrices
from collapse.stages.generation import Ground, load_input, open_ground
from collapse.stages.likelihood import text_likelihood
from collapse.stages.probe_batch import RankBatch, rank_batch
from collapse.stages.workspace import Advance, Workspace

RANDOM_BASES = len(BASES)


@dataclass(frozen=True, eq=False)
class Ranking:
    """One way to order the directions of all heads.

    Attributes:
        strategy: ``svd``, ``gamma`` or ``random``.
        basis: of ``random``; else empty.
        draw: number of the draw; 0 where nothing is drawn.
        directions_per_layer: of each layer ``(K, E, E)``, the last columns the first to go.
    """

    strategy: str
    basis: str
    draw: int
    directions_per_layer: list[torch.Tensor]


def surgery(parameters: Surgery, workspace: Workspace) -> Iterator[Measurement]:
    """Held-out loss against the share of each head's key directions that is pruned.

    Directions are ranked on the probe batch, and losses measured on other text. Random pruning is
    drawn many times, in coordinates and in rotated bases.

    Yields:
        ``surgery/<strategy>/nll_nats`` at step = percent pruned, of random the mean over its draws
        and their standard deviation; then at step = generation
        ``surgery/<strategy>/excess_nats``: the mean over the percentages of what pruning costs.

    Raises:
        BadModel: the model's keys are unknown; ``gamma`` asked for where there are no gains.
        BadParameter: ``gamma`` asked for where all gains are equal.
        BadCorpus: too little held-out text.
    """
    ground = open_ground(workspace)
    model = load_input(workspace, parameters.device)
    place = natural_place(model) if parameters.prune_at == "auto" else parameters.prune_at
    batch = rank_batch(parameters, workspace, ground)
    rankings, left_out = _rankings(model, batch, place, parameters)
    percents = sorted({0.0, *numbers(parameters.prune_percents)})
    texts = _texts(ground, parameters.surgery_tokens)
    total = len(rankings) * len(percents)
    with workspace.progress("losses after pruning", total) as advance:
        rows = list(_losses(model, ground, texts, rankings, percents, place, advance))
    table = pd.DataFrame(rows, columns=["strategy", "basis", "draw", "percent", "nll_nats"])
    table.to_csv(workspace.folder / "surgery.csv", index=False)
    summary = {
        "generation": parameters.generation,
        "edited_at": place,
        "keys_from": SITE_OF[place],
        "left_out": left_out,
        "batch": batch.description(),
        "documents": len(texts),
    }
    (workspace.folder / "surgery.json").write_text(json.dumps(summary, indent=1))
    chain = f"gen. {parameters.generation}, {parameters.arm}, seed {parameters.seed}"
    (workspace.folder / "surgery.png").write_bytes(png_bytes(surgery_figure(table, chain)))
    yield from _curves(table)
    yield Measurement(parameters.generation, _excesses(table))


def _rankings(
    model: Any, batch: RankBatch, place: str, parameters: Surgery
) -> tuple[list[Ranking], dict[str, str]]:
    """All orders of the directions that were asked for, and why one of ``auto`` was left out."""
    asked = parameters.prune_by
    strategies = list(STRATEGIES) if asked == "auto" else asked.split(",")
    heads = head_matrices(model, batch.input_ids_BxT, SITE_OF[place])
    keys = [one.keys_KxNxE for one in heads]
    found: list[Ranking] = []
    left_out: dict[str, str] = {}
    for strategy in strategies:
        try:
            found += _ranked(model, strategy, keys, parameters)
        except (BadModel, BadParameter) as error:
            if asked != "auto":
                raise
            left_out[strategy] = str(error)
    return found, left_out


def _ranked(
    model: Any, strategy: str, keys: list[torch.Tensor], parameters: Surgery
) -> list[Ranking]:
    gains = key_gains(model) if strategy == "gamma" else None
    bases, draws = (BASES, parameters.random_draws) if strategy == "random" else (("",), 1)
    rankings = []
    for basis in bases:
        for draw in range(draws):
            generator = torch_stream(parameters.study_seed, "surgery", f"{strategy} {basis}", draw)
            options = {"basis": basis} if basis else {}
            directions = rank_directions(strategy, keys, gains, generator, **options)
            rankings.append(Ranking(strategy, basis, draw, directions))
    return rankings


def _texts(ground: Ground, tokens: int) -> list[str]:
    """Held-out documents, as many as hold so many tokens; all where there are not so many."""
    texts = ground.human.heldout("test")
    held, kept = 0, []
    for text, ids in zip(texts, ground.encode(texts), strict=True):
        if held >= tokens:
            break
        kept.append(text)
        held += len(ids)
    return kept


def _losses(
    model: Any,
    ground: Ground,
    texts: list[str],
    rankings: list[Ranking],
    percents: list[float],
    place: str,
    advance: Advance,
) -> Iterator[tuple[str, str, int, float, float]]:
    """One loss for each ranking and percentage; nothing pruned is measured once for all."""
    whole_nats = text_likelihood(model, ground, texts).nll_nats
    for ranking in rankings:
        for percent in percents:
            loss_nats = whole_nats
            if percent:
                plan = [projectors(one, percent) for one in ranking.directions_per_layer]
                with pruned_keys(model, plan, where=place):
                    loss_nats = text_likelihood(model, ground, texts).nll_nats
            yield ranking.strategy, ranking.basis, ranking.draw, percent, loss_nats
            advance(1)


def _curves(table: pd.DataFrame) -> Iterator[Measurement]:
    """The curves by rising percentage; of random the mean and spread over its draws."""
    for percent in sorted(table["percent"].unique()):
        by_strategy = table[table["percent"] == percent].groupby("strategy")["nll_nats"]
        values = {f"surgery/{name}/nll_nats": mean for name, mean in by_strategy.mean().items()}
        spreads = by_strategy.std().dropna()
        values |= {f"surgery/{name}/nll_nats_sd": spread for name, spread in spreads.items()}
        yield Measurement(round(percent), values)


def _excesses(table: pd.DataFrame) -> dict[str, float]:
    """What pruning costs, averaged over the percentages above 0."""
    whole_nats = table[table["percent"] == 0].groupby("strategy")["nll_nats"].mean()
    pruned_nats = table[table["percent"] > 0].groupby("strategy")["nll_nats"].mean()
    costs = (pruned_nats - whole_nats).dropna()
    return {f"surgery/{name}/excess_nats": float(cost) for name, cost in costs.items()}
