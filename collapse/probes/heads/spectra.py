"""Singular values of every head on one batch, and the table of ranks.

Shapes: N tokens, H query heads, K key-value heads, E width of a head, D width of the model, G heads
of one kind, n singular values of a matrix.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from collapse.language.attention_layers import LayerAttention, attention_layers
from collapse.numerics.rank import (
    product_floor,
    rounding_floor,
    score_singular_values,
    singular_values,
    summarise,
    triangle,
)
from collapse.probes.heads.matrices import HeadMatrices, head_matrices

Floats = NDArray[np.float64]

WHICH = ("K", "Q", "K_centred", "W_k", "W_q", "scores", "scores_centred", "W_qk")
"""What singular values are of, per layer and head.

K, Q            keys and queries at the site, (N, E)
K_centred       keys less their mean over the tokens
W_k, W_q        the projections' weights, (E, D)
scores          Q K^T of all tokens with all, (N, N)
scores_centred  the same with K_centred: of the scores, what softmax sees, as adding one vector to
                all keys changes no weight
W_qk            W_q^T W_k, (D, D): the bilinear form of the scores before norm and rotation
"""

OF_KEYS = ("K", "K_centred", "W_k")
"""Those that there is one of per key-value head, not per query head."""


@dataclass(frozen=True, eq=False)
class HeadSpectra:
    """Singular values of one kind of matrix of all heads of one layer.

    Attributes:
        layer: its number, from 0.
        which: one of ``WHICH``.
        site: where K and Q were taken; weights have none of their own and bear the table's.
        singular_values_Gxn: float64, largest first; G is K for ``OF_KEYS``, else H.
        relative_floor_G: what is rounding, as a share of the largest singular value.
    """

    layer: int
    which: str
    site: str
    singular_values_Gxn: Floats
    relative_floor_G: Floats


def head_ranks(model: nn.Module, input_ids_BxT: Tensor, site: str = "post_norm") -> pd.DataFrame:
    """How many directions every head uses; see :func:`head_spectra` and :func:`rank_table`."""
    return rank_table(head_spectra(model, input_ids_BxT, site))


def rank_table(spectra: Iterable[HeadSpectra]) -> pd.DataFrame:
    """One row a layer, kind of matrix and head.

    Returns:
        Columns ``layer``, ``head`` (a key-value head for ``OF_KEYS``, else a query head),
        ``which``, ``site``, ``participation_ratio``, ``participation_ratio_sq``, ``rank_90`` and
        ``condition_number`` (infinite where the smallest singular value is rounding: take medians,
        not means).
    """
    return pd.concat([_rows(one) for one in spectra], ignore_index=True)


def head_spectra(
    model: nn.Module, input_ids_BxT: Tensor, site: str = "post_norm"
) -> tuple[HeadSpectra, ...]:
    """Singular values of the keys and queries of every head, and of their companions.

    The rank of keys alone depends on the gauge: scale a pair of key coordinates that rotate
    together by c and the same pair of queries by 1 / c, and the model stays the same while the
    singular values of K, K_centred and W_k move. Those of the scores and of W_qk do not. Where keys
    have a bias and no rotation, adding to it is a gauge, too: it moves K and the scores, but not
    K_centred and scores_centred.

    The scores are those of all tokens with all, between rows of the batch, too, before scale, mask
    and softmax.

    Args:
        model: see :func:`~collapse.language.attention_layers.attention_layers`.
        input_ids_BxT: token ids without padding.
        site: ``projection``, ``post_norm`` or ``post_rope``, for K, Q, K_centred and scores.

    Returns:
        For each layer one of each of ``WHICH``, in that order.

    Raises:
        BadModel: see :func:`~collapse.probes.heads.matrices.head_matrices`.
        BadParameter: see there.
    """
    matrices = head_matrices(model, input_ids_BxT, site)
    layers = attention_layers(model)
    return tuple(
        spectra
        for layer, heads in zip(layers, matrices, strict=True)
        for spectra in _layer_spectra(layer, heads)
    )


def _layer_spectra(layer: LayerAttention, heads: HeadMatrices) -> list[HeadSpectra]:
    """All of one layer; the tall matrices of all its heads are decomposed once, together."""
    keys, queries = heads.keys_KxNxE, heads.queries_HxNxE
    means_Kx1xE = keys.double().mean(dim=1, keepdim=True)
    centred = (keys.double() - means_Kx1xE).float()
    factors = _factors({"K": keys, "Q": queries, "K_centred": centred})
    factors |= _factors({"W_k": layer.key_weights.mT, "W_q": layer.query_weights.mT})
    factors["K_centred"] = factors["K_centred"].with_rounding_of(factors["K"])
    found = {which: (factor.values, factor.floor) for which, factor in factors.items()}
    found["scores"] = _product(factors["Q"], factors["K"])
    found["scores_centred"] = _product(factors["Q"], factors["K_centred"])
    found["W_qk"] = _product(factors["W_q"], factors["W_k"])
    return [HeadSpectra(heads.layer, which, heads.site, *found[which]) for which in WHICH]


@dataclass(frozen=True, eq=False)
class _Factor:
    """Tall matrices of G heads, and what is known of them."""

    triangle_GxLxE: Tensor
    values: Floats
    floor: Floats

    def with_rounding_of(self, source: "_Factor") -> "_Factor":
        """The floor of a difference: its entries were rounded when they still were the source's."""
        top, own = source.values[:, 0], self.values[:, 0]
        room = np.divide(top, own, out=np.ones_like(top), where=own > 0)
        return replace(self, floor=np.maximum(source.floor * room, self.floor))


def _factors(matrices: dict[str, Tensor]) -> dict[str, _Factor]:
    """Decompose matrices of one size, computed in float32, all in one batch."""
    # On the CPU wherever the model is: the same matrices then have the same spectra to the bit.
    together = torch.cat(list(matrices.values())).cpu()
    floor = rounding_floor(together.shape[-2], together.shape[-1], torch.float32)
    triangles = triangle(together)
    values = singular_values(triangles).numpy()
    factors, begin = {}, 0
    for which, one in matrices.items():
        part = slice(begin, begin + len(one))
        factors[which] = _Factor(triangles[part], values[part], np.full(len(one), floor))
        begin = part.stop
    return factors


def _product(left: _Factor, right: _Factor) -> tuple[Floats, Floats]:
    """Singular values and floors of ``left right^T``, head by head."""
    values = score_singular_values(left.triangle_GxLxE, right.triangle_GxLxE).numpy()
    served = len(left.values) // len(right.values)
    shared, floor = (np.repeat(one, served, axis=0) for one in (right.values, right.floor))
    return values, product_floor(left.values, shared, values, left.floor, floor)


def _rows(spectra: HeadSpectra) -> pd.DataFrame:
    ranks = summarise(spectra.singular_values_Gxn, spectra.relative_floor_G)
    return pd.DataFrame(
        {
            "layer": spectra.layer,
            "head": np.arange(len(spectra.singular_values_Gxn)),
            "which": spectra.which,
            "site": spectra.site,
            "participation_ratio": ranks.participation_ratio,
            "participation_ratio_sq": ranks.participation_ratio_sq,
            "rank_90": ranks.rank_90,
            "condition_number": ranks.condition_number,
        }
    )
