"""Which directions of a head's keys to keep: by singular value, by gain, or at random.

A strategy ranks E orthonormal directions of every head; pruning a percentage zeroes the last of
them. Ranks do not depend on the percentage, so that one ranking gives a whole nested curve: what is
gone at 10 % is gone at 20 %, too.

Shapes: K key-value heads of a layer, N tokens, E width of a head.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from collapse.errors import BadParameter

STRATEGIES = ("svd", "gamma", "random")
BASES = ("coordinate", "rotated")
MOST_PERCENT = 90.0


def pruned_directions(width: int, percent: float) -> int:
    """How many of a head's directions go: the nearest whole number, halves up, never all of them.

    Args:
        width: E, directions of a head.
        percent: of the directions, 0 to 90.

    Raises:
        BadParameter: percent out of range, or no width.
    """
    if not 0 <= percent <= MOST_PERCENT:
        raise BadParameter(f"percent pruned is {percent}: it must be 0 to {MOST_PERCENT:g}")
    if width < 1:
        raise BadParameter(f"a head of width {width}: it must be at least 1")
    return min(math.floor(width * percent / 100 + 0.5), width - 1)


def projectors(directions_KxExE: Tensor, percent: float) -> Tensor:
    """Orthogonal projectors on the directions that stay.

    Args:
        directions_KxExE: orthonormal columns, the last the first to go.
        percent: of the directions to zero, 0 to 90; see :func:`pruned_directions`.

    Returns:
        ``(K, E, E)``, symmetric, idempotent, of the rank that stays. At 0 % exactly the identity,
        and for directions that are coordinates exactly zeros and ones.

    Raises:
        BadParameter: percent out of range.
    """
    width = directions_KxExE.shape[-1]
    pruned = pruned_directions(width, percent)
    if not pruned:
        return torch.eye(width).to(directions_KxExE).expand_as(directions_KxExE).clone()
    kept_KxExR = directions_KxExE[..., : width - pruned]
    projector_KxExE = kept_KxExR @ kept_KxExR.mT
    return (projector_KxExE + projector_KxExE.mT) / 2  # a product need not be symmetric to the bit


def plan_pruning(
    strategy: str,
    keys_per_layer: Sequence[Tensor],
    gains: Sequence[Tensor] | None,
    percent: float,
    generator: torch.Generator,
    *,
    basis: str = "coordinate",
) -> list[Tensor]:
    """Projectors ``(K, E, E)`` of every layer: :func:`rank_directions`, then :func:`projectors`.

    Where many percentages are wanted of one strategy, rank once and call the second for each.
    """
    ranked = rank_directions(strategy, keys_per_layer, gains, generator, basis=basis)
    return [projectors(directions_KxExE, percent) for directions_KxExE in ranked]


def rank_directions(
    strategy: str,
    keys_per_layer: Sequence[Tensor],
    gains: Sequence[Tensor] | None,
    generator: torch.Generator,
    *,
    basis: str = "coordinate",
) -> list[Tensor]:
    """Orthonormal directions of every head of every layer, those to be kept longest first.

    Args:
        strategy: ``svd``: right-singular directions of each head's own keys, by singular value.
            ``gamma``: coordinates by the absolute gain of the layer's key norm. ``random``: in an
            order drawn for each head.
        keys_per_layer: of each layer ``(K, N, E)``, from the site where the edit will be made and
            from text that no loss is measured on. ``gamma`` and ``random`` take only its shape.
        gains: of each layer ``(E,)``, shared by its heads; needed by ``gamma`` alone. Key
            gains, or their product with the query gains, which no gauge moves.
        generator: draws for ``random``, and among equal gains for ``gamma``; ``svd`` draws nothing.
        basis: of ``random``: ``coordinate`` draws an order of the coordinates, ``rotated`` an
            orthonormal basis from the Haar measure. The draw is the same at every percentage.

    Returns:
        Of each layer ``(K, E, E)`` in float64 on the keys' device: columns are directions.

    Raises:
        BadParameter: an unknown strategy or basis; keys of a wrong shape or not finite; no gains
            where they are needed, gains of a wrong shape, or gains that are all alike.
    """
    _check(strategy, basis, keys_per_layer)
    if strategy == "svd":
        return [singular_directions(keys_KxNxE) for keys_KxNxE in keys_per_layer]
    if strategy == "gamma":
        return _by_gain(keys_per_layer, gains, generator)
    draw: Callable[[int, int, torch.Generator], Tensor] = (
        random_rotations if basis == "rotated" else random_coordinates
    )
    return [
        draw(keys.shape[0], keys.shape[2], generator).to(keys.device) for keys in keys_per_layer
    ]


def singular_directions(keys_KxNxE: Tensor) -> Tensor:
    """Right-singular directions of each head's keys, by falling singular value.

    Keeping the first r of them loses least of the keys' sum of squares (Eckart and Young, 1936),
    and zeroing the rest is ``W_k <- P W_k``. The keys are taken as they are, not centred: with
    rotary positions their mean acts on the scores. Where positions are not rotated a constant key
    changes no softmax, so that the direction of the mean is kept there though it does nothing.
    Directions that hold no key at all come last, in no particular order.

    Returns:
        ``(K, E, E)`` in float64, columns orthonormal, complete even where N < E.

    Raises:
        BadParameter: the keys have not three axes, no tokens, or values that are not finite.
    """
    _check_keys(keys_KxNxE, "the")
    # R of K = QR has the same right-singular directions and no long axis.
    triangles = torch.linalg.qr(keys_KxNxE.double(), mode="r").R
    return torch.linalg.svd(triangles, full_matrices=True).Vh.mT.contiguous()


def gain_directions(gains_E: Tensor, generator: torch.Generator) -> Tensor:
    """The coordinates as columns ``(E, E)``, by falling absolute gain; equals in a drawn order."""
    # The index as a tie-breaker would prune the same rotary frequencies first in every layer.
    drawn_E = _permutation(len(gains_E), generator)
    falling_E = gains_E.detach().double().abs().cpu()[drawn_E].argsort(descending=True, stable=True)
    return _columns(drawn_E[falling_E])


def random_coordinates(heads: int, width: int, generator: torch.Generator) -> Tensor:
    """The coordinates as columns ``(K, E, E)``, in an order drawn anew for each head."""
    return torch.stack([_columns(_permutation(width, generator)) for _ in range(heads)])


def random_rotations(heads: int, width: int, generator: torch.Generator) -> Tensor:
    """Bases ``(K, E, E)`` from the Haar measure on the orthogonal group (Mezzadri, 2007)."""
    normal_KxExE = torch.randn(
        heads, width, width, generator=generator, dtype=torch.float64, device=generator.device
    )
    basis_KxExE, triangle_KxExE = torch.linalg.qr(normal_KxExE.cpu())
    # QR alone fixes signs by its algorithm; those of R's diagonal make the draw uniform.
    return basis_KxExE * triangle_KxExE.diagonal(dim1=-2, dim2=-1).sign()[:, None, :]


@dataclass(frozen=True, eq=False)
class GainPairs:
    """Gain against singular values, a row for each layer, head and coordinate (R rows).

    Of a head's keys K = U S V^T after the norm, coordinate i carries the singular energy
    ``sum_j s_j^2 V_ij^2``, which is the squared length of K's column i. Its share a token,
    ``sqrt(energy / N)``, is the coordinate's root mean square: what the figure sets against the
    gain. Sorted gains against sorted singular values would correlate whatever the model did.

    ``key_rms`` is ``gain * unit_rms``, so that it correlates with the gain by construction where
    the normalised keys are alike in all coordinates; ``unit_rms`` tells how much of the relation
    is more than that.

    Attributes:
        layer: int64 (R,).
        head: key-value head, int64 (R,).
        coordinate: int64 (R,).
        gain: absolute gain of the key norm (R,), the same for all heads of a layer.
        key_rms: root mean square of the coordinate of the keys after norm and gain (R,).
        unit_rms: the same before the gain, ``key_rms / gain`` (R,); nan where the gain is zero.
    """

    layer: NDArray[np.int64]
    head: NDArray[np.int64]
    coordinate: NDArray[np.int64]
    gain: NDArray[np.float64]
    key_rms: NDArray[np.float64]
    unit_rms: NDArray[np.float64]


def gain_pairs(normed_keys_per_layer: Sequence[Tensor], gains: Sequence[Tensor]) -> GainPairs:
    """Each coordinate's gain beside what it carries of the singular values.

    Args:
        normed_keys_per_layer: of each layer ``(K, N, E)``, after the norm and before RoPE.
        gains: of each layer ``(E,)``.

    Raises:
        BadParameter: keys or gains of a wrong shape, keys that are not finite, no layers.
    """
    _check_gains(normed_keys_per_layer, gains)
    places, gain, rms = [], [], []
    for layer, (keys_KxNxE, gains_E) in enumerate(zip(normed_keys_per_layer, gains, strict=True)):
        _check_keys(keys_KxNxE, f"layer {layer}'s")
        rms_KxE = keys_KxNxE.double().square().mean(1).sqrt().cpu()
        places += [(layer, *place) for place in np.ndindex(*rms_KxE.shape)]
        rms.append(rms_KxE.flatten())
        gain.append(gains_E.detach().double().abs().cpu().repeat(len(rms_KxE)))
    rms_R, gain_R = torch.cat(rms).numpy(), torch.cat(gain).numpy()
    unit_R = np.divide(rms_R, gain_R, out=np.full_like(rms_R, np.nan), where=gain_R > 0)
    layer_R, head_R, coordinate_R = np.array(places, dtype=np.int64).T
    return GainPairs(layer_R, head_R, coordinate_R, gain_R, rms_R, unit_R)


def _by_gain(
    keys_per_layer: Sequence[Tensor], gains: Sequence[Tensor] | None, generator: torch.Generator
) -> list[Tensor]:
    """Gain directions for every head of a layer alike."""
    if gains is None:
        raise BadParameter("strategy 'gamma' needs gains of a norm on the keys: take svd or random")
    _check_gains(keys_per_layer, gains)
    if all((gains_E.abs() == gains_E[0].abs()).all() for gains_E in gains):
        raise BadParameter(
            "strategy 'gamma': all gains within a layer are equal (not trained, or frozen), so "
            "they order nothing: take svd or random"
        )
    return [
        gain_directions(gains_E, generator).to(keys.device).repeat(len(keys), 1, 1)
        for keys, gains_E in zip(keys_per_layer, gains, strict=True)
    ]


def _permutation(width: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(width, generator=generator, device=generator.device).cpu()


def _columns(order_E: Tensor) -> Tensor:
    """Unit vectors along the coordinates, as columns in this order."""
    return torch.eye(len(order_E), dtype=torch.float64)[:, order_E]


def _check(strategy: str, basis: str, keys_per_layer: Sequence[Tensor]) -> None:
    if strategy not in STRATEGIES:
        raise BadParameter(f"strategy {strategy!r} is unknown; known are {', '.join(STRATEGIES)}")
    if basis not in BASES:
        raise BadParameter(f"basis {basis!r} is unknown; known are {', '.join(BASES)}")
    if len(keys_per_layer) == 0:
        raise BadParameter("keys of no layer: at least 1 is needed")
    for layer, keys_KxNxE in enumerate(keys_per_layer):
        _check_keys(keys_KxNxE, f"layer {layer}'s")


def _check_keys(keys_KxNxE: Tensor, whose: str) -> None:
    if keys_KxNxE.ndim != 3 or 0 in keys_KxNxE.shape:
        raise BadParameter(
            f"{whose} keys have the shape {tuple(keys_KxNxE.shape)}: (heads, tokens, width) is due"
        )
    if not keys_KxNxE.isfinite().all():
        raise BadParameter(f"{whose} keys have values that are not finite")


def _check_gains(keys_per_layer: Sequence[Tensor], gains: Sequence[Tensor]) -> None:
    if len(keys_per_layer) != len(gains) or len(gains) == 0:
        raise BadParameter(
            f"gains of {len(gains)} layers for keys of {len(keys_per_layer)}: one each is due"
        )
    for layer, (keys_KxNxE, gains_E) in enumerate(zip(keys_per_layer, gains, strict=True)):
        if gains_E.shape != keys_KxNxE.shape[2:]:
            raise BadParameter(
                f"layer {layer}'s gains have the shape {tuple(gains_E.shape)}: "
                f"{tuple(keys_KxNxE.shape[2:])} is due, the width of a head"
            )
