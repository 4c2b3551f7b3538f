"""Overlaps of any vector with the Ritz vectors of a run, without making these."""

import numpy as np
import torch
from numpy.typing import NDArray

from collapse.numerics.lanczos.iteration import RitzPairs
from collapse.numerics.lanczos.sweeps import inner_product, sweep


def ritz_overlaps(result: RitzPairs, vector: torch.Tensor) -> NDArray[np.float64]:
    """Inner products of a vector with all Ritz vectors, in one read of the basis.

    Args:
        result: a Lanczos run.
        vector: (P,), on any device.

    Returns:
        float64 (m,), in the order of `ritz_values`.
    """
    turned = result.coefficients.T
    of_basis, _ = sweep(result.basis, len(turned), vector.to(result.basis.rows.device), None)
    return turned @ of_basis.cpu().numpy()


def subspace_overlap(left_KxP: torch.Tensor, right_JxP: torch.Tensor) -> float:
    """How much of the smaller of two subspaces lies in the other: 1 for all of it, 0 for none.

    The mean squared cosine of the principal angles (Bjorck and Golub, 1973); two random subspaces
    of K and J dimensions have max(K, J) / P on average.

    Args:
        left_KxP: orthonormal rows.
        right_JxP: orthonormal rows, on the same device.
    """
    cosines = [[inner_product(one, other) for other in right_JxP] for one in left_KxP]
    return float(np.square(cosines).sum() / min(len(left_KxP), len(right_JxP)))
