"""The stage `hessian`: the spectrum of the loss's Hessian at a generation."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from safetensors.torch import load_file, save_file

from collapse.figures import png_bytes, spectrum_figure
from collapse.measurement import Measurement
from collapse.numerics.lanczos import subspace_overlap
from collapse.numerics.sharing import place
from collapse.parameters.doors import Hessian
from collapse.probes.curvature import (
    CurvatureOperator,
    HessianSpectrum,
    SpectrumRecipe,
    analyse,
    open_operator,
    parameter_blocks,
)
from collapse.stages import spectra
from collapse.stages.generation import load_input, open_ground
from collapse.stages.memory import basis_room
from collapse.stages.peer_spectrum import peer_spectrum
from collapse.stages.pieces import StoredPieces
from collapse.stages.probe_batch import ProbeBatch, probe_batch
from collapse.stages.workspace import Workspace

LEAST_STEPS = SpectrumRecipe.least_steps
KEEP_SECONDS = 60.0
"""A kill loses about so much of an analysis at most."""
VECTORS = "outlier_vectors.safetensors"


def hessian(parameters: Hessian, workspace: Workspace) -> Iterator[Measurement]:
    """Spectra on held-out human text and on the generation's own training text.

    Yields:
        One measurement a text, at step = generation.
    """
    ground = open_ground(workspace)
    model = load_input(workspace, parameters.device)
    contents: dict[str, Any] = {}
    found: dict[str, HessianSpectrum] = {}
    for text in parameters.probe_texts.split(","):
        batch = probe_batch(text, parameters, workspace, ground)
        contents[text] = batch.description()
        if parameters.backend == "pyhessian":
            values = peer_spectrum(model, batch, parameters, contents[text])
        else:
            values, found[text] = _spectrum(model, batch, parameters, workspace, contents[text])
            if parameters.layer_spectra:
                values |= _layers(model, batch, parameters, workspace, contents[text])
        yield Measurement(parameters.generation, values)
    if parameters.overlap:
        yield Measurement(parameters.generation, _overlaps(parameters, workspace, found))
    whole = {"generation": parameters.generation, "mode": parameters.mode, "texts": contents}
    (workspace.folder / "hessian_analysis.json").write_text(json.dumps(whole, indent=1))
    if found:
        _draw(parameters, workspace, found)


def _spectrum(
    model: Any,
    batch: ProbeBatch,
    parameters: Hessian,
    workspace: Workspace,
    content: dict[str, Any],
) -> tuple[dict[str, float], HessianSpectrum]:
    """The spectrum on one batch; all that is to be kept of it goes into `content`."""
    with _open(model, batch, parameters) as operator:
        spectrum = _analyse(operator, batch.text, parameters, workspace)
        prefix = f"{parameters.operator}/{batch.text}"
        values = spectra.metrics(spectrum, prefix) | {
            f"{prefix}/loss_nats": operator.loss_nats,
            f"{prefix}/gradient_norm": float(operator.gradient.double().norm()),
        }
        content |= spectra.content(spectrum) | {
            "operator": parameters.operator,
            "graph": operator.graph,
            "why_not_split": operator.why_not_split,
            "graph_bytes": operator.graph_bytes,
            "loss_nats": operator.loss_nats,
            "metrics": values,
        }
    return values, spectrum


def _layers(
    model: Any,
    batch: ProbeBatch,
    parameters: Hessian,
    workspace: Workspace,
    content: dict[str, Any],
) -> dict[str, float]:
    """Both ends of every layer's own block of the Hessian."""
    values: dict[str, float] = {}
    content["layers"] = {}
    for block, names in parameter_blocks(model).items():
        with _open(model, batch, parameters, names) as operator:
            spectrum = _analyse(operator, f"{batch.text} {block}", parameters, workspace, ends=True)
        content["layers"][block] = spectra.content(spectrum)
        prefix = f"{parameters.operator}/{batch.text}/{block}"
        values[f"{prefix}/lambda_max"] = spectrum.top.value
        values[f"{prefix}/lambda_min"] = spectrum.bottom.value
    return values


def _open(
    model: Any, batch: ProbeBatch, parameters: Hessian, names: tuple[str, ...] | None = None
) -> Any:
    # The door's rules allow these words alone.
    kind: Any = parameters.operator
    graph: Any = parameters.graph
    return open_operator(
        model,
        batch.parts,
        kind=kind,
        parameters=names,
        graph=graph,
        memory_limit_bytes=round(parameters.memory_gib * 2**30) or None,
    )


def _analyse(
    operator: CurvatureOperator,
    what: str,
    parameters: Hessian,
    workspace: Workspace,
    *,
    ends: bool = False,
) -> HessianSpectrum:
    """Analyse an operator, going on from what a killed call left.

    The ends alone are taken in a basis of a fixed, small number of vectors. Several processes keep
    nothing: they would have to agree on where to go on.
    """
    rank, processes = place()
    folder = workspace.state / what.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    ends_alone = ends or parameters.mode == "quick"
    recipe = SpectrumRecipe(
        seed=parameters.study_seed,
        outliers=parameters.outliers,
        most_steps=parameters.lanczos_steps,
        probes=1 if ends_alone else parameters.probe_vectors,
        density_steps=parameters.density_steps,
        restarts=ends_alone,
        basis_path=folder / f"basis{rank}.bin",
    )
    room = basis_room(
        operator.device, recipe.basis_vectors, operator.dimension, parameters.memory_gib
    )
    recipe = replace(recipe, basis_bytes=room)
    with workspace.progress(
        f"spectrum on {what} text", recipe.products(len(operator.shares))
    ) as advance:
        return analyse(
            operator,
            recipe,
            pieces=StoredPieces(folder) if processes == 1 else None,
            is_time_to_keep=_every(KEEP_SECONDS),
            advance=advance,
        )


def _every(seconds: float) -> Callable[[], bool]:
    """True when asked for the first time after so many seconds, and then again."""
    last = time.monotonic()

    def is_time() -> bool:
        nonlocal last
        now = time.monotonic()
        if now - last < seconds:
            return False
        last = now
        return True

    return is_time


def _overlaps(
    parameters: Hessian, workspace: Workspace, found: dict[str, HessianSpectrum]
) -> dict[str, float]:
    """Keep the outliers' eigenvectors, and compare them with those of earlier generations."""
    vectors = {text: one.outlier_vectors_KxP.cpu().contiguous() for text, one in found.items()}
    save_file(vectors, workspace.folder / VECTORS)
    values = {}
    for generation, folder in workspace.inputs.earlier.items():
        then = load_file(folder / VECTORS)
        name = "overlap_g0" if generation == 0 else "overlap_previous"
        for text, now in vectors.items():
            overlap = subspace_overlap(now, then[text])
            values[f"{parameters.operator}/{text}/{name}"] = overlap
            if generation == parameters.generation - 1:
                values[f"{parameters.operator}/{text}/overlap_previous"] = overlap
    return values


def _draw(parameters: Hessian, workspace: Workspace, found: dict[str, HessianSpectrum]) -> None:
    """The human spectrum, with the own text's behind it where both were measured."""
    chain = f"Generation {parameters.generation} ({parameters.arm}, seed {parameters.seed})"
    views = [spectra.view(spectrum, f"{chain}, {text} text") for text, spectrum in found.items()]
    figure = spectrum_figure(*views)
    (workspace.folder / "hessian_spectrum.png").write_bytes(png_bytes(figure))
