"""The first seed's published table, worked out again from its raw numbers (R1.6, R1.7).

The spectral rows are recomputed from the Ritz values and eigenvalues that the seed kept; its losses
are quoted, as no raw losses were published. Beside them stands what the table left out.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.trends import chain_trend
from collapse.errors import BadInput
from collapse.figures import SpectrumView, evolution_figure
from collapse.figures.view import written
from collapse.numerics.spectrum import NEGATIVE_MARGIN, legacy_spectrum

GENERATIONS = range(6)
QUOTED_LOSS = (4.49, 3.38, 1.67, 1.20, 1.06, 0.64)
"""As printed, in nats: generation 0 is a mean over all steps on human text, the others are the
last minibatch on their own text."""
QUOTED_IMPROVEMENT = (None, 24, 63, 73, 76, 86)
"""As printed, in per cent of generation 0's loss."""
PRINTED_RATIO = (3.77, 3.48, 3.12, 2.10, 1.78, 2.16)
PRINTED_DEGRADATION = (0, 8, 17, 44, 53, 43)
"""As printed, in per cent of generation 0's ratio; only to compare with what is recomputed."""

TREND_ROWS = (
    ("Ratio decline", "spectral_ratio", "falls"),
    ("Bulk-centre shift", "bulk_center", "moves"),
    ("Eigenvalue explosion", "lambda_max", "rises"),
    ("Width increase", "bulk_width", "rises"),
    ("Smallest eigenvalue", "lambda_min", ""),
    ("Largest / |smallest|", "lambda_max_over_abs_min", ""),
    ("Negative Ritz values", "negative_ritz_values", ""),
    ("Ratio by quartiles", "iqr_ratio", ""),
)
"""Name, column, what the seed claims of it: the four indicators, and what belongs beside them."""


@dataclass(frozen=True)
class PublishedGeneration:
    """What the seed kept of one generation's spectrum, in nats per squared unit of a parameter.

    Attributes:
        generation: its number.
        ritz_values: of its density run, (30,), without weights.
        top_eigenvalues: by power iteration, the largest in magnitude, (3,).
        stored: the seed's own bulk_center, bulk_width and spectral_ratio, to compare with.
    """

    generation: int
    ritz_values: NDArray[np.float64]
    top_eigenvalues: NDArray[np.float64]
    stored: dict[str, float]


def read_published(folder: Path) -> tuple[PublishedGeneration, ...]:
    """The six published generations.

    Args:
        folder: with ``generation_0.json`` to ``generation_5.json``.

    Raises:
        BadInput: the folder or a file is missing, or a file is not as the seed wrote it.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder; it should hold generation_0.json to _5.json")
    return tuple(_read(folder / f"generation_{g}.json", g) for g in GENERATIONS)


def _read(path: Path, generation: int) -> PublishedGeneration:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise BadInput(f"{path} is no JSON file: {error}") from error
    if not isinstance(content, dict) or content.get("generation") != generation:
        raise BadInput(f"{path} does not say that it is generation {generation}")
    stored = ("bulk_center", "bulk_width", "spectral_ratio")
    return PublishedGeneration(
        generation,
        _numbers(content, "eigenvalue_density", path, least=2),
        _numbers(content, "top_eigenvalues", path, least=1),
        {name: float(_numbers(content, name, path, least=1)[0]) for name in stored},
    )


def _numbers(content: dict[str, Any], name: str, path: Path, least: int) -> NDArray[np.float64]:
    """A finite number, or a list of at least so many."""
    try:
        numbers = np.atleast_1d(np.asarray(content.get(name), dtype=np.float64))
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if numbers.ndim != 1 or numbers.size < least or not np.isfinite(numbers).all():
        raise BadInput(f"{path}: {name} must be {least} or more finite numbers")
    return numbers


def replay(published: tuple[PublishedGeneration, ...]) -> pd.DataFrame:
    """The published table, recomputed where there is something to compute it from.

    Args:
        published: the generations, 0 first.

    Returns:
        One row a generation, indexed by its number. Quoted: ``quoted_loss`` (nats) and
        ``quoted_improvement`` (per cent). Recomputed: ``spectral_ratio``, ``degradation`` (fall
        of the ratio since generation 0, per cent), ``lambda_max``, ``bulk_center``,
        ``bulk_width``, ``lambda_min``, ``lambda_max_over_abs_min``, ``negative_ritz_values`` (and
        of them ``negative_zeros``, nearer to zero than a thousandth of lambda_max),
        ``ritz_values`` (how many there are) and ``iqr_ratio``. Checked: ``largest_deviation``, the
        largest relative difference from the seed's own bulk_center, bulk_width and ratio, and
        ``is_as_printed``, whether ratio and degradation round to the printed digits.

    Raises:
        BadParameter: Ritz values that are all alike.
    """
    table = pd.DataFrame([_row(one) for one in published]).set_index("generation")
    table["degradation"] = 100 * (1 - table["spectral_ratio"] / table["spectral_ratio"].iloc[0])
    table["quoted_loss"] = QUOTED_LOSS[: len(table)]
    table["quoted_improvement"] = pd.array(QUOTED_IMPROVEMENT[: len(table)], dtype="Int64")
    ratios, falls = ([*quoted][: len(table)] for quoted in (PRINTED_RATIO, PRINTED_DEGRADATION))
    table["is_as_printed"] = (table["spectral_ratio"].round(2) == ratios) & (
        table["degradation"].round() == falls
    )
    return table


def _row(one: PublishedGeneration) -> dict[str, float]:
    legacy = legacy_spectrum(one.ritz_values, one.top_eigenvalues)
    found = {
        "bulk_center": legacy.bulk_center,
        "bulk_width": legacy.bulk_width,
        "spectral_ratio": np.nan if legacy.spectral_ratio is None else legacy.spectral_ratio,
    }
    largest, smallest = float(one.top_eigenvalues.max()), float(one.ritz_values.min())
    return found | {
        "generation": one.generation,
        "lambda_max": largest,
        "lambda_min": smallest,
        "lambda_max_over_abs_min": largest / abs(smallest),
        "negative_ritz_values": int((one.ritz_values < 0).sum()),
        "negative_zeros": int(
            ((one.ritz_values < 0) & (one.ritz_values > -NEGATIVE_MARGIN * largest)).sum()
        ),
        "ritz_values": one.ritz_values.size,
        "iqr_ratio": np.nan if legacy.iqr_ratio is None else legacy.iqr_ratio,
        "largest_deviation": max(
            abs(value - one.stored[name]) / abs(one.stored[name]) for name, value in found.items()
        ),
    }


def replay_trends(table: pd.DataFrame) -> pd.DataFrame:
    """The trends of this one chain.

    Args:
        table: from `replay`.

    Returns:
        Columns indicator, claimed, column, start, end, slope, lower, upper (Theil and Sen's slope
        a generation and its 95 % interval, as if generations were independent), tau, trend.
    """
    rows = []
    for name, column, claimed in TREND_ROWS:
        values = table[column].astype(float)
        found = chain_trend(table.index.to_numpy(), values.to_numpy())
        if found is not None:
            start, end = float(values.iloc[0]), float(values.iloc[-1])
            rows.append(
                (name, claimed, column, start, end, found.slope, *found.interval, found.tau)
                + (found.word,)
            )
    columns = ["indicator", "claimed", "column", "start", "end", "slope", "lower", "upper"]
    return pd.DataFrame(rows, columns=[*columns, "tau", "trend"])


def replay_figure(published: tuple[PublishedGeneration, ...]) -> Figure:
    """The published Ritz values by generation, both ends joined."""
    views = {one.generation: _view(one) for one in published}
    first, last = views[min(views)], views[max(views)]
    up, down = (getattr(last, end).value / getattr(first, end).value for end in ("top", "bottom"))
    return evolution_figure(
        views,
        f"Published 102M chain: the largest eigenvalue grows {up:.1f}×, the smallest "
        f"{down:.0f}×, from {written(first.bottom.value)} to {written(last.bottom.value)}",
    )


def _view(one: PublishedGeneration) -> SpectrumView:
    """Nothing was published that could certify an eigenvalue."""
    legacy = legacy_spectrum(one.ritz_values, one.top_eigenvalues)
    unknown = float("nan")
    return SpectrumView(
        title=f"Generation {one.generation}",
        nodes=[one.ritz_values],
        weights=(),
        outliers=[(float(value), unknown, False) for value in one.top_eigenvalues],
        lambda_min=(float(one.ritz_values.min()), unknown, False),
        lambda_max=(float(one.top_eigenvalues.max()), unknown, False),
        bulk_center=legacy.bulk_center,
        bulk_width=legacy.bulk_width,
    )
