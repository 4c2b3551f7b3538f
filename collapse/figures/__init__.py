"""What a stage, or a watch, draws of its own numbers: plain arrays in, matplotlib Figures out.

Figures are built without pyplot, so that nothing global is touched; saving is another's matter.

    style      colours that everyone can tell apart, sizes, an empty figure, the bytes of a PNG
    view       a spectrum as a figure wants it
    scale      the axis of eigenvalues, linear or stretched around zero
    spectrum   one checkpoint's spectrum, on human text and beside it on its own
    evolution  the spectra of chains over their generations
    heads      heads of attention: directions used, and what pruning them costs
    benchmark  tasks: right answers beside chance
    mechanism  what became of a generation's layers, and the loss around it
    warning    what a watch saw of a training, and when it gave the alarm
"""

from collapse.figures.benchmark import benchmark_figure
from collapse.figures.evolution import evolution_figure, side_by_side_figure
from collapse.figures.heads import head_rank_figure, surgery_figure
from collapse.figures.mechanism import mechanism_figure
from collapse.figures.spectrum import spectrum_figure
from collapse.figures.style import png_bytes
from collapse.figures.view import Mark, SpectrumView

__all__ = [
    "Mark",
    "SpectrumView",
    "benchmark_figure",
    "evolution_figure",
    "head_rank_figure",
    "mechanism_figure",
    "png_bytes",
    "side_by_side_figure",
    "spectrum_figure",
    "surgery_figure",
]
