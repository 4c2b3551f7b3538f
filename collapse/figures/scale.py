"""The axis of eigenvalues: linear, or stretched around zero where the bulk would be a needle."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter
from numpy.typing import ArrayLike, NDArray

from collapse.figures.style import SMALL_PT, WIDTH_IN
from collapse.figures.view import UNIT, SpectrumView, written
from collapse.numerics.spectrum import slq_density

Floats = NDArray[np.float64]

# A bulk narrower than this share of the range would be a needle on a linear axis.
_NEEDLE = 0.02
# Decades below the peak beyond which a density is rounding.
_DEEPEST = 10.0
# Of the range of a linear axis, and in factors of 10 of a stretched one.
_LINEAR_BANDWIDTH = 0.01
_DECADE_BANDWIDTH = 0.15
# A digit of a tick's label, and the part of a figure's width that its axes have.
_DIGIT_IN = 0.65 * SMALL_PT / 72
_AXES_SHARE = 0.85


@dataclass(frozen=True)
class Scale:
    """From eigenvalues to places on the axis.

    Attributes:
        unit: None for a linear axis; else the eigenvalue below which the axis is linear, and
            beyond which each factor of 10 takes the same room: place = asinh(x / unit) / ln 10.
        left: place of the axis's left end.
        right: and of its right end.
    """

    unit: float | None
    left: float
    right: float

    def place(self, eigenvalues: ArrayLike) -> Floats:
        """Where eigenvalues lie on the axis."""
        values = np.asarray(eigenvalues, dtype=np.float64)
        return values if self.unit is None else np.arcsinh(values / self.unit) / np.log(10)

    def eigenvalue(self, place: float) -> float:
        """What lies at a place of the axis."""
        return place if self.unit is None else self.unit * float(np.sinh(place * np.log(10)))

    @property
    def density_label(self) -> str:
        """What the density is a density of."""
        return "share per unit" if self.unit is None else "share per factor of 10"

    @property
    def axis_label(self) -> str:
        """What is on the axis, in what unit, and where it is stretched."""
        label = f"eigenvalue of the Hessian ({UNIT})"
        if self.unit is None:
            return label
        return f"{label}\nlinear within ±{written(self.unit)}, logarithmic beyond"


@dataclass(frozen=True)
class Curve:
    """A density on the axis.

    Attributes:
        places: (G,), on the axis.
        density: (G,), per unit of the axis.
        standard_error: over probes, (G,); zero from a single probe.
        nodes: where the quadrature's nodes lie on the axis.
    """

    places: Floats
    density: Floats
    standard_error: Floats
    nodes: Floats


def choose_scale(views: Sequence[SpectrumView], margin: float = 0.1) -> Scale:
    """One axis for several spectra, stretched where any of their bulks would be a needle.

    Args:
        views: the spectra.
        margin: room beyond both ends, for the numbers beside them, as a share of the range.
    """
    values = np.concatenate([_everything(view) for view in views])
    widths = [view.bulk_width for view in views if view.bulk_width and len(view.weights)]
    is_needle = bool(widths) and min(widths) < _NEEDLE * float(np.ptp(values))
    scale = Scale(float(np.median(widths)) if is_needle else None, 0.0, 0.0)
    places = scale.place(values)
    room = margin * (float(np.ptp(places)) or abs(float(places[0])) or 1.0)
    return replace(scale, left=float(places.min()) - room, right=float(places.max()) + room)


def curve(view: SpectrumView, scale: Scale) -> Curve:
    """The density of a spectrum along an axis, smoothed evenly along it."""
    places = [scale.place(nodes) for nodes in view.nodes]
    reach = float(np.ptp(np.concatenate(places))) or 1.0
    if scale.unit is None:
        width = _LINEAR_BANDWIDTH * (scale.right - scale.left)
    else:
        width = _DECADE_BANDWIDTH
    made = slq_density(places, view.weights, relative_bandwidth=width / reach)
    error = np.zeros_like(made.density) if made.standard_error is None else made.standard_error
    return Curve(made.grid, made.density, error, np.concatenate(places))


def floor_of(curves: Sequence[Curve]) -> float:
    """The lowest density worth showing: a third of that at the least visible node."""
    lows = [
        max(
            float(np.interp(made.nodes, made.places, made.density).min()),
            float(made.density.max()) * 10**-_DEEPEST,
        )
        for made in curves
    ]
    return min(lows) / 3


def dress_eigenvalues(axes: Axes, scale: Scale, abreast: int = 1) -> None:
    """Limits and ticks, in eigenvalues whatever the scale.

    Args:
        axes: to be dressed.
        scale: of their x axis.
        abreast: how many axes share the width of the figure.
    """
    axes.set_xlim(scale.left, scale.right)
    if scale.unit is None:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _tick(x)))
        return
    below, above = (
        _decades(abs(scale.eigenvalue(e)), scale.unit) for e in (scale.left, scale.right)
    )
    candidates = [*(-t for t in below if scale.left < 0), *(t for t in above if scale.right > 0)]
    ticks = _with_room([0.0, *candidates], scale, abreast)
    axes.xaxis.set_major_locator(FixedLocator(scale.place(ticks).tolist()))
    labels = {round(float(scale.place(t)), 9): _tick(t) for t in ticks}
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: labels.get(round(x, 9), "")))


def _decades(reach: float, unit: float) -> list[float]:
    """Powers of 10 between the linear part and the end of one side."""
    if reach <= unit:
        return []
    powers = range(int(np.ceil(np.log10(unit))), int(np.floor(np.log10(reach))) + 1)
    return [10.0**power for power in powers]


def _with_room(ticks: Sequence[float], scale: Scale, abreast: int) -> list[float]:
    """Those whose labels do not touch, ascending: zero in any case, then from the outside in."""
    inches = _AXES_SHARE * WIDTH_IN / abreast / (scale.right - scale.left)
    chosen: list[float] = []
    for tick in sorted(ticks, key=lambda tick: (tick != 0, -abs(tick))):
        if all(
            abs(float(scale.place(tick) - scale.place(other))) * inches
            > _DIGIT_IN * ((len(_tick(tick)) + len(_tick(other))) / 2 + 1)
            for other in chosen
        ):
            chosen.append(tick)
    return sorted(chosen)


def _tick(value: float) -> str:
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def _everything(view: SpectrumView) -> Floats:
    ends: Iterable[float] = (view.top.value, view.bottom.value, *(o[0] for o in view.outliers))
    return np.concatenate([*(np.asarray(n, dtype=np.float64) for n in view.nodes), [*ends]])
