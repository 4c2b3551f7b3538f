"""The stage `svd_probe`: how many directions every head's keys and queries use at a generation."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from collapse.figures import head_rank_figure, png_bytes
from collapse.language.key_surgery import key_gains
from collapse.language.pretrained import load_model
from collapse.measurement import Measurement
from collapse.numerics.pruning import GainPairs, gain_pairs
from collapse.numerics.rank import participation_ratio
from collapse.parameters.doors import SvdProbe
from collapse.probes.heads import (
    HeadSpectra,
    head_matrices,
    head_spectra,
    qk_gains,
    rank_table,
)
from collapse.stages.device import choose_device
from collapse.stages.generation import load_input, open_ground
from collapse.stages.likelihood import likelihood_on_the_way
from collapse.stages.probe_batch import RankBatch, rank_batch
from collapse.stages.schedule import points_on_the_way, tokens_trained
from collapse.stages.workspace import Workspace

MEANS = ("participation_ratio", "participation_ratio_sq", "rank_90")


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen of one set of weights.

    Attributes:
        spectra: of every layer and kind of matrix.
        ranks: the table of their summaries.
        values: metrics of the whole model, without a prefix.
    """

    spectra: tuple[HeadSpectra, ...]
    ranks: pd.DataFrame
    values: dict[str, float]


def svd_probe(parameters: SvdProbe, workspace: Workspace) -> Iterator[Measurement]:
    """Singular values of keys, queries and their gauge-free companions, of every layer and head.

    Where generation 0 kept weights on the way (`checkpoint_tokens`), these are looked at, too.

    Yields:
        For each set of weights on the way ``trajectory/...`` at step = tokens trained on; then
        ``svd/...`` at step = generation.

    Raises:
        BadModel: the model's heads are unknown.
        BadCorpus: the probe text is shorter than the batch.
    """
    ground = open_ground(workspace)
    batch = rank_batch(parameters, workspace, ground)
    trained = workspace.inputs.lineage[-1]
    on_the_way, end = points_on_the_way(trained), tokens_trained(trained)
    looks: dict[int, Look] = {}
    losses: dict[int, float] = {}
    with workspace.progress("singular values of heads", len(on_the_way) + 1) as advance:
        for point in on_the_way:
            model = load_model(point.checkpoint_folder, device=choose_device(parameters.device))
            looks[point.tokens] = _look(model, batch, parameters)
            losses[point.tokens] = likelihood_on_the_way(model, ground).nll_nats
            yield _on_the_way(point.tokens, looks[point.tokens], losses[point.tokens])
            advance(1)
        model = load_input(workspace, parameters.device)
        looks[end] = last = _look(model, batch, parameters)
        if on_the_way:
            losses[end] = likelihood_on_the_way(model, ground).nll_nats
            yield _on_the_way(end, last, losses[end])
        advance(1)
    _write_tables(workspace.folder, looks, losses, _pairs(model, batch))
    _write_summary(parameters, workspace.folder, batch)
    yield Measurement(parameters.generation, last.values)
    figure = head_rank_figure(
        last.ranks,
        f"gen. {parameters.generation}, {parameters.arm}, seed {parameters.seed}",
        width=_width(last),
    )
    (workspace.folder / "head_ranks.png").write_bytes(png_bytes(figure))


def _look(model: Any, batch: RankBatch, parameters: SvdProbe) -> Look:
    spectra = head_spectra(model, batch.input_ids_BxT, parameters.site)
    ranks = rank_table(spectra)
    return Look(spectra, ranks, _of_all_heads(ranks) | _of_gains(model))


def _of_all_heads(ranks: pd.DataFrame) -> dict[str, float]:
    """Means over layers and heads; of condition numbers, which may be infinite, the median."""
    values: dict[str, float] = {}
    for which, rows in ranks.groupby("which", sort=False):
        values |= {f"svd/{which}/{name}": float(rows[name].mean()) for name in MEANS}
        condition = float(rows["condition_number"].median())
        if np.isfinite(condition):
            values[f"svd/{which}/condition_number"] = condition
    return values


def _of_gains(model: Any) -> dict[str, float]:
    """QK-norm's gains: how many coordinates they leave, and their mean size, over the layers."""
    gains = qk_gains(model)
    values: dict[str, float] = {}
    if gains is None:
        return values
    kinds = {
        "key": np.stack([one.key_E for one in gains]),
        "query": np.stack([one.query_E for one in gains]),
        "product": np.stack([one.product for one in gains]),
    }
    for kind, gains_LxE in kinds.items():
        sizes_LxE = np.abs(gains_LxE)
        values[f"svd/gain_{kind}/participation_ratio"] = float(
            participation_ratio(sizes_LxE).mean()
        )
        values[f"svd/gain_{kind}/mean"] = float(sizes_LxE.mean())
    return values


def _on_the_way(tokens: int, look: Look, loss_nats: float) -> Measurement:
    values = {f"trajectory/{name}": value for name, value in look.values.items()}
    return Measurement(tokens, values | {"trajectory/human/nll_nats": loss_nats})


def _pairs(model: Any, batch: RankBatch) -> GainPairs | None:
    """Gains beside what the normed keys carry; None for a model without a norm on its keys."""
    if qk_gains(model) is None:
        return None
    keys = [one.keys_KxNxE for one in head_matrices(model, batch.input_ids_BxT, "post_norm")]
    return gain_pairs(keys, key_gains(model))


def _width(look: Look) -> int:
    """Directions that a head has."""
    return next(one.singular_values_Gxn.shape[1] for one in look.spectra if one.which == "K")


def _write_tables(
    folder: Path, looks: dict[int, Look], losses: dict[int, float], pairs: GainPairs | None
) -> None:
    """Every number of every head, as files that the report reads."""
    ranks = pd.concat(
        [look.ranks.assign(tokens=tokens) for tokens, look in looks.items()], ignore_index=True
    )
    ranks.to_csv(folder / "head_ranks.csv", index=False)
    values = [_long(tokens, one) for tokens, look in looks.items() for one in look.spectra]
    pd.concat(values, ignore_index=True).to_parquet(folder / "singular_values.parquet", index=False)
    if losses:
        table = pd.DataFrame({"tokens": losses.keys(), "nll_nats": losses.values()})
        table.to_csv(folder / "trajectory.csv", index=False)
    if pairs is not None:
        columns = {one.name: getattr(pairs, one.name) for one in fields(pairs)}
        pd.DataFrame(columns).to_csv(folder / "gain_pairs.csv", index=False)


def _long(tokens: int, spectra: HeadSpectra) -> pd.DataFrame:
    heads, values = spectra.singular_values_Gxn.shape
    return pd.DataFrame(
        {
            "tokens": tokens,
            "layer": spectra.layer,
            "head": np.repeat(np.arange(heads), values),
            "which": spectra.which,
            "rank": np.tile(np.arange(1, values + 1), heads),
            "value": spectra.singular_values_Gxn.ravel(),
        }
    )


def _write_summary(parameters: SvdProbe, folder: Path, batch: RankBatch) -> None:
    """What was looked at, and the batch itself, so that others can look at the same."""
    np.save(folder / "rank_batch.npy", batch.input_ids_BxT.numpy().astype(np.int32))
    summary = {
        "generation": parameters.generation,
        "site": parameters.site,
        "batch": batch.description(),
    }
    (folder / "svd_probe.json").write_text(json.dumps(summary, indent=1))
