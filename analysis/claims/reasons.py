"""Why a claim is supported, refuted or left undecided, in sentences."""

from collections.abc import Sequence

from analysis.metrics import metric_info
from analysis.statistics import ALPHA, least_pairs, least_sign_flip_p
from collapse.claims import Claim


def too_few(n_seeds: int) -> str:
    """The limit of a small number of seeds, and the number that would do."""
    enough = least_pairs()
    return (
        f"{n_seeds} seed{'s' * (n_seeds != 1)}: the smallest p a sign-flip test can reach is "
        f"{least_sign_flip_p(n_seeds):.3g}; {enough} would reach {least_sign_flip_p(enough):.3g}."
    )


def decided_because(claim: Claim, status: str, n_seeds: int, p: float) -> str:
    """What decided a claim with a direction."""
    info = metric_info(claim.indicator)
    if claim.is_level:
        margin = f"level of {info.write(claim.margin)} {info.unit if not info.is_share else ''}"
    else:
        signed = claim.margin if claim.direction == "increase" else -claim.margin
        margin = f"margin of {info.write_difference(signed)}"
    side = "beyond" if status == "supported" else "short of"
    return (
        f"The whole 95 % interval of {n_seeds} seeds lies {side} the {margin.rstrip()}, and the "
        f"sign-flip p against it is {p:.3g}."
    )


def similar_because(claim: Claim, n_seeds: int, p: float) -> str:
    """What supports that two arms are similar."""
    return (
        f"The whole 95 % interval of {n_seeds} seeds lies within {_either_way(claim)}, and the "
        f"equivalence p is {p:.3g}."
    )


def different_because(claim: Claim, n_seeds: int, p: float) -> str:
    """What refutes that two arms are similar."""
    return (
        f"The whole 95 % interval of {n_seeds} seeds lies outside {_either_way(claim)}, and the "
        f"sign-flip p against the margin is {p:.3g}."
    )


def not_equivalent(n_seeds: int, p: float) -> str:
    """Why an interval within the margin is not enough."""
    least = 0.5**n_seeds
    limit = f"; {n_seeds} seeds can reach {least:.3g} at best" if least > ALPHA else ""
    return (
        f"The 95 % interval lies within the margin, but the equivalence p is {p:.3g}, above "
        f"{ALPHA}{limit}."
    )


def arms_in_words(claim: Claim) -> str:
    """The arm of a claim, or both of them, or all four."""
    if claim.is_level:
        return claim.contrast[0]
    return f"{'both' if len(claim.contrast) == 2 else 'all of'} {' and '.join(claim.contrast)}"


def left_out_in_words(
    claim: Claim, seeds: Sequence[int], left_out: Sequence[int]
) -> tuple[str, ...]:
    """Says which seeds are missing, as those that broke may be those that collapsed."""
    if not left_out or not seeds:
        return ()
    missing = ", ".join(map(str, left_out))
    return (
        f"Seed {missing} left out: no {claim.indicator} for {arms_in_words(claim)}. If such chains "
        "broke because they collapsed, the estimate is too small.",
    )


def _either_way(claim: Claim) -> str:
    info = metric_info(claim.indicator)
    return f"the margin of ±{info.write_difference(claim.margin).lstrip('+')}"
