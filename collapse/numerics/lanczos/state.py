"""Where a Lanczos run stands, and how that is kept between two sessions."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from collapse.errors import BadParameter
from collapse.numerics.lanczos.basis import Basis
from collapse.numerics.lanczos.sweeps import inner_product

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LanczosState:
    """All that the next step needs; `basis` is shared with the states before and after.

    Attributes:
        basis: its first `steps` vectors, and the next one unless the run broke down.
        alpha: the tridiagonal's diagonal, (steps,).
        beta: norms of the residuals, (steps,); the last one couples to a step not yet made.
        breakdown: the Krylov space is exhausted; there is no next step.
        orthogonality: largest entry of |Q^T Q - I| over the vectors made so far.
    """

    basis: Basis
    alpha: Floats
    beta: Floats
    breakdown: bool
    orthogonality: float

    @property
    def steps(self) -> int:
        """Products made so far."""
        return len(self.alpha)


def dump_state(state: LanczosState) -> dict[str, NDArray[np.generic]]:
    """A state as plain arrays; the vectors among them unless a file holds them already."""
    state.basis.flush()
    arrays: dict[str, NDArray[np.generic]] = {
        "alpha": state.alpha,
        "beta": state.beta,
        "breakdown": np.array(state.breakdown),
        "orthogonality": np.array(state.orthogonality),
    }
    if state.basis.path is None:
        count = state.steps + (not state.breakdown)
        arrays["vectors"] = state.basis.rows[:count].cpu().numpy().copy()
    return arrays


def load_state(arrays: Mapping[str, NDArray[np.generic]], basis: Basis) -> LanczosState:
    """The state that `dump_state` gave, on a basis with room for the steps to come.

    Args:
        arrays: from `dump_state`.
        basis: from `open_basis`; for arrays without vectors, on the file of the dumped run.

    Raises:
        BadParameter: the basis cannot hold the vectors, or they are nowhere.
    """
    alpha = np.asarray(arrays["alpha"], dtype=np.float64)
    breakdown = bool(arrays["breakdown"])
    count = len(alpha) + (not breakdown)
    if "vectors" in arrays:
        vectors = torch.from_numpy(np.asarray(arrays["vectors"]))
        room, length = basis.rows.shape
        fits = count <= room and vectors.shape == (count, length)
        if not fits or vectors.dtype != basis.rows.dtype:
            raise BadParameter(
                f"a Lanczos state of {tuple(vectors.shape)} {vectors.dtype}: "
                f"the basis has room for {room} x {length} {basis.rows.dtype}"
            )
        basis.rows[:count] = vectors.to(basis.rows.device)
    elif basis.path is None or basis.rows.shape[0] < count:
        raise BadParameter(
            f"a Lanczos state without its {count} vectors: open the basis on the file that has them"
        )
    elif not 0.99 < inner_product(basis.rows[count - 1], basis.rows[count - 1]) < 1.01:
        raise BadParameter(f"{basis.path} does not hold vector {count} of this Lanczos state")
    beta = np.asarray(arrays["beta"], dtype=np.float64)
    return LanczosState(basis, alpha, beta, breakdown, float(arrays["orthogonality"]))
