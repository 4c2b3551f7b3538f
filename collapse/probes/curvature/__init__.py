"""The curvature of a causal language model's loss: products, spectra, blocks.

Its rooms, from the tokens to the spectrum:

    batch         the tokens it is measured on, in parts
    operator      Hessian and Gauss-Newton products, graph kept, split or rebuilt, over processes
    split_graph   a kept graph without what does not depend on the vector
    first_run     Lanczos until the ends are certified, in a basis that grows or one that does not
    samples       what each probe vector tells
    analysis      one spectrum from an operator, certified, resumable
    of_model      the same in one call, for a notebook
"""

from collapse.probes.curvature.analysis import HessianSpectrum, analyse
from collapse.probes.curvature.batch import Microbatch, microbatches
from collapse.probes.curvature.blocks import parameter_blocks
from collapse.probes.curvature.layout import ParameterLayout
from collapse.probes.curvature.operator import CurvatureOperator, open_operator
from collapse.probes.curvature.recipe import SpectrumRecipe

__all__ = [
    "CurvatureOperator",
    "HessianSpectrum",
    "Microbatch",
    "ParameterLayout",
    "SpectrumRecipe",
    "analyse",
    "microbatches",
    "open_operator",
    "parameter_blocks",
]
