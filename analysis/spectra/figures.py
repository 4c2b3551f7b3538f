"""The figures of a study's spectra: spectra over generations, and the numbers taken from them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import Plate, panels_plate
from analysis.spectra.indicators import spectral_texts
from analysis.spectra.words import shown_in_title
from analysis.study import StudyRecord, metric_values
from collapse.figures import Mark, SpectrumView, evolution_figure, side_by_side_figure
from collapse.figures.view import written
from collapse.numerics.spectrum import gauss_nodes

_PANELS = (
    *("lambda_max", "lambda_min", "spectral_ratio", "bulk_width"),
    *("bulk_center", "negative_share"),
)


def spectral_plates(record: StudyRecord) -> tuple[Plate, ...]:
    """Spectra of each text, and the indicators of the first; none without spectra."""
    texts = spectral_texts(record)
    found = [plate for text in texts for plate in _ridges(record, text)]
    for text in texts[:1]:
        metrics = [f"hessian/{text}/{stem}" for stem in _PANELS]
        measured = tuple(metric for metric in metrics if len(metric_values(record, metric)))
        title = shown_in_title(record, text)
        found.append(panels_plate(record, "spectral_indicators", title, measured))
    return tuple(found)


def spectrum_view(
    record: StudyRecord, text: str, arm: str, seed: int, generation: int
) -> SpectrumView | None:
    """One spectrum as a figure wants it; None where its Lanczos runs were not kept."""
    runs, marks = (
        _at(frame, text, arm, seed, generation) for frame in (record.spectra, record.outliers)
    )
    if runs.empty:
        return None
    pairs = [
        gauss_nodes(run["alpha"], run["beta"])
        for _, run in runs.sort_values("step").groupby("probe")
    ]
    nodes, weights = zip(*pairs, strict=True)
    of_rank = {
        str(row["rank"]): Mark(row["value"], row["residual_bound"], bool(row["certified"]))
        for row in marks.to_dict("records")
    }
    lowest, highest = min(map(np.min, nodes)), max(map(np.max, nodes))
    bulk = [
        metric_values(record, f"hessian/{text}/{name}").get((arm, seed, generation))
        for name in ("bulk_center", "bulk_width")
    ]
    return SpectrumView(
        title=f"Generation {generation} ({arm}, seed {seed}), {text} text",
        nodes=nodes,
        weights=weights,
        outliers=[mark for rank, mark in of_rank.items() if rank.isdigit()],
        lambda_min=of_rank.get("lambda_min", Mark(float(lowest), float("nan"), False)),
        lambda_max=of_rank.get("lambda_max", Mark(float(highest), float("nan"), False)),
        bulk_center=None if bulk[0] is None else float(bulk[0]),
        bulk_width=None if bulk[1] is None else float(bulk[1]),
    )


def chain_evolution(record: StudyRecord, arm: str, seed: int) -> Figure | None:
    """The spectra of one chain over its generations; None without at least two of them.

    On the first text that was measured, which is the human one wherever it was.
    """
    for text in spectral_texts(record)[:1]:
        views = _chain_views(record, text, arm, seed)
        if len(views) > 1:
            start, end = _ends(views[min(views)]), _ends(views[max(views)])
            title = f"{record.name}, {arm}, seed {seed}, {text} text: the ends of the spectrum go"
            return evolution_figure(views, f"{title} from {start} to {end}")
    return None


def _chain_views(record: StudyRecord, text: str, arm: str, seed: int) -> dict[int, SpectrumView]:
    """A chain's spectra by generation."""
    return {
        generation: view
        for generation in range(record.generations + 1)
        if (view := spectrum_view(record, text, arm, seed, generation)) is not None
    }


def _at(frame: pd.DataFrame, text: str, arm: str, seed: int, generation: int) -> pd.DataFrame:
    place = {"text": text, "arm": arm, "seed": seed, "generation": generation}
    chosen = pd.Series(True, index=frame.index)
    for column, value in place.items():
        chosen &= frame[column] == value
    return frame[chosen]


def _ridges(record: StudyRecord, text: str) -> list[Plate]:
    """The spectra of one seed, arms side by side."""
    seed = _fullest_seed(record, text)
    if seed is None:
        return []
    chains: dict[str, dict[int, SpectrumView]] = {}
    for arm in record.arms:
        if views := _chain_views(record, text, arm, seed):
            chains[f"{arm} (control)" if arm == record.control else arm] = views
    title = _title(f"Seed {seed}, {text} text", chains)
    caption = (
        f"Seed {seed} alone, on {text} text; eigenvalues in nats per squared unit of a parameter. "
        "Heights are logarithms of the density from stochastic Lanczos quadrature: the valleys "
        "between a few nodes are no gaps in the spectrum, and the smoothing reaches past the ends, "
        "which the marks give exactly."
    )
    if text == "own":
        caption += " That text is another one at each generation: it changes as well as the model."
    name = "spectra" if text == spectral_texts(record)[0] else f"spectra_{text}"
    return [Plate(name, title, caption, side_by_side_figure(chains, title))]


def _fullest_seed(record: StudyRecord, text: str) -> int | None:
    """The seed with the most spectra, the first of equals."""
    rows = record.spectra[record.spectra["text"] == text]
    counts = [
        len(rows[rows["seed"] == seed][["arm", "generation"]].drop_duplicates())
        for seed in record.seeds
    ]
    return record.seeds[int(np.argmax(counts))] if any(counts) else None


def _title(subject: str, chains: dict[str, dict[int, SpectrumView]]) -> str:
    """How both ends moved in the arm where they moved most, and in the control."""
    order = sorted(chains, key=lambda name: -_stretch(list(chains[name].values())))
    control = [name for name in chains if name.endswith(" (control)")]
    names = [*[name for name in order if name not in control][:1], *control]
    told: list[str] = []
    starts = set()
    for name in names:
        start, end = (_ends(chains[name][g]) for g in (min(chains[name]), max(chains[name])))
        # The arms of a seed share generation 0: its ends are told once.
        verb = "" if told else "the ends of the spectrum go "
        origin = "" if start in starts else f"from {start} "
        told.append(f"under {name} {verb}{origin}to {end}")
        starts.add(start)
    return f"{subject}: {', '.join(told)}"


def _ends(view: SpectrumView) -> str:
    return f"{written(view.bottom.value)} and {written(view.top.value)}"


def _stretch(views: Sequence[SpectrumView]) -> float:
    """How far the ends moved from the first to the last."""
    first, last = views[0], views[-1]
    return abs(last.top.value - first.top.value) + abs(last.bottom.value - first.bottom.value)
