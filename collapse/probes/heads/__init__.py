"""The rank of attention heads: keys, queries and their scores, per layer and head.

matrices   what they are on one batch
spectra    their singular values, and the table of ranks
gains      the gains of QK-norm
"""

from collapse.language.attention_layers import SITES, attention_layers
from collapse.probes.heads.gains import QKGains, qk_gains
from collapse.probes.heads.matrices import HeadMatrices, head_matrices
from collapse.probes.heads.spectra import (
    WHICH,
    HeadSpectra,
    head_ranks,
    head_spectra,
    rank_table,
)

__all__ = [
    "SITES",
    "WHICH",
    "HeadMatrices",
    "HeadSpectra",
    "QKGains",
    "attention_layers",
    "head_matrices",
    "head_ranks",
    "head_spectra",
    "qk_gains",
    "rank_table",
]
