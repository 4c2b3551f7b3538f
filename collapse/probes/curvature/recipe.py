"""How a spectrum is taken."""

from dataclasses import dataclass
from pathlib import Path

from collapse.errors import BadParameter


@dataclass(frozen=True)
class SpectrumRecipe:
    """How much is measured of a spectrum.

    Attributes:
        seed: of the probe vectors: the same for all checkpoints that are compared.
        outliers: eigenvalues of largest magnitude that are taken out of the bulk, k.
        least_steps: Lanczos steps of the first probe vector at least.
        most_steps: its steps at most, where certification takes longer.
        probes: probe vectors in all; from 1 nothing has an error.
        density_steps: Lanczos steps of each further probe vector.
        tolerance: largest certified residual bound over the eigenvalue's magnitude.
        data_errors: measure how the numbers vary over the microbatches, too.
        restarts: the first run keeps a basis that does not grow, by thick restarts: for the ends
            alone, so that there can be no further probe vector.
        basis_bytes: the most memory the first run's basis may take; None for no limit.
        basis_path: where a larger one is kept.

    Raises:
        BadParameter: a number that is too small.
    """

    seed: int = 0
    outliers: int = 3
    least_steps: int = 30
    most_steps: int = 60
    probes: int = 4
    density_steps: int = 10
    tolerance: float = 1e-2
    data_errors: bool = True
    restarts: bool = False
    basis_bytes: int | None = None
    basis_path: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("outliers", "least_steps", "probes", "density_steps"):
            if getattr(self, name) < 1:
                raise BadParameter(f"{name}={getattr(self, name)}: it must be 1 or more")
        if self.most_steps < self.least_steps:
            raise BadParameter(
                f"most_steps={self.most_steps}: it must be least_steps={self.least_steps} or more"
            )
        if self.restarts and self.probes > 1:
            raise BadParameter(
                f"probes={self.probes} with restarts: a restarted run gives the ends alone, from 1"
            )

    @property
    def basis_vectors(self) -> int:
        """Vectors that the first run's basis has room for.

        With restarts it does not depend on the memory at hand, which would change bits.
        """
        return 3 * (self.outliers + 2) + 1 if self.restarts else self.most_steps + 1

    def products(self, microbatches: int) -> int:
        """Products that an analysis makes at most."""
        if self.probes == 1:
            return self.most_steps
        density = (self.probes - 1) * self.density_steps
        data = self.outliers + 2 + self.probes if self.data_errors and microbatches > 1 else 0
        return self.most_steps + density + data
