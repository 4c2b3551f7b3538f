"""The stage `mechanism`: a generation beside generation 0 and its parent (R2.8)."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from collapse.figures import mechanism_figure, png_bytes
from collapse.language.pretrained import load_model
from collapse.measurement import Measurement
from collapse.numerics.parts import OverParts
from collapse.parameters.doors import Mechanism
from collapse.probes.mechanism import (
    ALL,
    GradientProducts,
    LossSlice,
    activation_norm,
    activation_rank,
    activation_similarity,
    filter_directions,
    gradient_products,
    layer_activations,
    loss_slice,
    relative_drift,
    slice_offsets,
)
from collapse.stages.device import choose_device
from collapse.stages.generation import load_input, open_ground
from collapse.stages.probe_batch import ProbeBatch, probe_batch
from collapse.stages.workspace import Advance, Workspace

GRADIENT_PREFIX = {"human": "gradient", "own": "gradient/own"}
RISE_RADII = {"rise": 1.0, "rise_half": 0.5}
"""Shares of the slice's radius at which the mean rise of the loss is taken."""

References = Mapping[str, Any]
"""Other generations' models by what they are called: ``g0`` and ``previous``, which may be one."""


def mechanism(parameters: Mechanism, workspace: Workspace) -> Iterator[Measurement]:
    """Gradients on human and own text; drift, activations and, if asked for, a slice of the loss.

    A model is not compared with itself: generation 0 has norms and ranks, and neither drift nor
    cosines nor CKA.

    Yields:
        Measurements at step = generation.

    Raises:
        BadModel: two generations differ in shape, or no layers are found.
        BadCorpus: a probe text is shorter than the batch.
    """
    ground = open_ground(workspace)
    model = load_input(workspace, parameters.device)
    references = _references(parameters, workspace)
    batches = {text: probe_batch(text, parameters, workspace, ground) for text in GRADIENT_PREFIX}
    total = 3 + parameters.landscape_points**2
    with workspace.progress("gradients, activations, losses", total) as advance:
        tables = []
        for batch in batches.values():
            values, table = _gradients(model, references, batch)
            tables.append(table)
            yield Measurement(parameters.generation, values)
            advance(1)
        values, layers = _layers(model, references, batches["human"])
        yield Measurement(parameters.generation, values)
        advance(1)
        found = _slice(model, references, batches["human"], parameters, advance)
    if found is not None:
        yield Measurement(parameters.generation, _rises(found))
        _slice_table(found).to_csv(workspace.folder / "landscape.csv", index=False)
    pd.concat(tables).to_csv(workspace.folder / "gradients.csv", index=False)
    layers.to_csv(workspace.folder / "layers.csv", index=False)
    _write_summary(parameters, workspace, batches)
    chain = f"gen. {parameters.generation}, {parameters.arm}, seed {parameters.seed}"
    plane = None if found is None else (found.offsets_S, found.rises())
    figure = mechanism_figure(layers, plane, chain)
    (workspace.folder / "mechanism.png").write_bytes(png_bytes(figure))


def _references(parameters: Mechanism, workspace: Workspace) -> References:
    """Generation 0 and the parent, each loaded once; nothing at generation 0."""
    newest = parameters.generation
    models = {
        generation: load_model(checkpoint.model, device=choose_device(parameters.device))
        for generation, checkpoint in workspace.inputs.ancestors.items()
    }
    return {"g0": models[0], "previous": models[newest - 1]} if newest else {}


def _gradients(
    model: Any, references: References, batch: ProbeBatch
) -> tuple[dict[str, float], pd.DataFrame]:
    """Of the whole model the metrics, of every layer a row."""
    models = [model]
    for one in references.values():
        if not any(one is known for known in models):
            models.append(one)
    places = {
        name: next(i for i, known in enumerate(models) if known is one)
        for name, one in references.items()
    }
    products = gradient_products(models, batch.parts)
    of_layers = {block: _of_gradient(products, block, places) for block in products.blocks}
    prefix = GRADIENT_PREFIX[batch.text]
    values = {f"{prefix}/{name}": value for name, value in of_layers[ALL].items()}
    rows = [{"text": batch.text, "layer": block} | found for block, found in of_layers.items()]
    return values, pd.DataFrame(rows)


def _of_gradient(
    products: GradientProducts, block: str, places: Mapping[str, int]
) -> dict[str, float]:
    cosines = {
        f"cosine_to_{name}": products.cosine(block, 0, place) for name, place in places.items()
    }
    own = {"norm": products.norm(block), "signal_share": products.signal_share(block)}
    return _named(own | cosines)


def _named(found: Mapping[str, OverParts | None]) -> dict[str, float]:
    """Values with their errors; what could not be measured is absent."""
    values: dict[str, float] = {}
    for name, one in found.items():
        values |= one.named(name) if one is not None else {}
    return values


def _layers(
    model: Any, references: References, batch: ProbeBatch
) -> tuple[dict[str, float], pd.DataFrame]:
    """Drift of the weights and what the activations are like, layer by layer."""
    drifts = {name: relative_drift(model, one) for name, one in references.items()}
    seen = layer_activations(model, batch.parts)
    first = layer_activations(references["g0"], batch.parts) if references else ()
    measures: dict[str, Callable[..., OverParts | None]] = {
        "activation/{}/participation_ratio": activation_rank,
        "activation/{}/norm": activation_norm,
    }
    values: dict[str, float] = {}
    for name, of_layer in drifts.items():
        stem = {"g0": "drift", "previous": "drift_from_previous"}[name]
        values |= {f"{stem}/{layer}": drift for layer, drift in of_layer.items()}
    for one in seen:
        values |= _named({name.format(one.layer): take(one) for name, take in measures.items()})
    for one, then in zip(seen, first, strict=bool(first)):
        values |= _named({f"cka/{one.layer}": activation_similarity(one, then)})
    return values, _layer_table(values)


def _layer_table(values: Mapping[str, float]) -> pd.DataFrame:
    """The metrics ``<measure>/<layer>`` and ``activation/<layer>/<measure>``, a row a layer."""
    cells: dict[str, dict[str, float]] = {}
    for name, value in values.items():
        words = name.split("/")
        layer, measure = (words[1], words[2]) if len(words) == 3 else (words[1], words[0])
        if layer.endswith("_se"):
            layer, measure = layer.removesuffix("_se"), f"{measure}_se"
        cells.setdefault(layer, {})[measure] = value
    return pd.DataFrame([{"layer": layer} | found for layer, found in cells.items()])


def _slice(
    model: Any,
    references: References,
    batch: ProbeBatch,
    parameters: Mechanism,
    advance: Advance,
) -> LossSlice | None:
    """The loss around the model, in steps as long as generation 0's filters."""
    if not parameters.landscape_points:
        return None
    directions = filter_directions(references.get("g0", model), parameters.study_seed)
    offsets = slice_offsets(parameters.landscape_points, parameters.landscape_radius)
    return loss_slice(model, batch.parts, directions, offsets, advance)


def _rises(found: LossSlice) -> dict[str, float]:
    radius = float(found.offsets_S[-1])
    return _named(
        {
            f"landscape/{name}_nats": found.mean_rise(share * radius)
            for name, share in RISE_RADII.items()
        }
    )


def _slice_table(found: LossSlice) -> pd.DataFrame:
    first, second = np.meshgrid(found.offsets_S, found.offsets_S, indexing="ij")
    columns = {"first": first, "second": second, "loss_nats": found.losses()}
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()})


def _write_summary(
    parameters: Mechanism, workspace: Workspace, batches: Mapping[str, ProbeBatch]
) -> None:
    summary = {
        "generation": parameters.generation,
        "compared_with": sorted(workspace.inputs.ancestors),
        "texts": {text: batch.description()["batch"] for text, batch in batches.items()},
        "landscape_radius": parameters.landscape_radius if parameters.landscape_points else None,
    }
    (workspace.folder / "mechanism.json").write_text(json.dumps(summary, indent=1))
