import numpy as np
import pytest
from scipy import optimize

from analysis.scaling.laws import Law, fit_powers, power_law

SIZES = np.array([1e5, 3e5, 1e6, 3e6, 1e7])


def drawn_law(
    curve: np.ndarray, n_seeds: int = 6, noise: float = 0.005, seed: int = 0, sizes: object = SIZES
) -> Law:
    rng = np.random.default_rng(seed)
    shared = 1 + noise * rng.normal(size=(n_seeds, 1))
    y = curve * shared * (1 + noise * rng.normal(size=(n_seeds, len(curve))))
    return power_law("loss", "parameters", np.asarray(sizes), y, rng, draws=100)


def power(alpha: float, floor: float) -> np.ndarray:
    return np.asarray(floor + (SIZES / 1e6) ** -alpha)


@pytest.mark.parametrize(("alpha", "floor"), [(0.3, 0.0), (0.4, 1.5), (0.07, 0.0), (1.2, 0.4)])
def test_a_law_without_noise_is_found_to_four_digits(alpha: float, floor: float) -> None:
    fits = fit_powers(SIZES, power(alpha, floor)[None], has_floor=floor > 0)
    assert fits.alpha_D[0] == pytest.approx(alpha, abs=2e-4)
    assert fits.floor_D[0] == pytest.approx(floor, abs=2e-3)
    assert fits.at(SIZES)[0] == pytest.approx(power(alpha, floor), rel=1e-4)


def test_fit_agrees_with_scipy_on_noisy_points() -> None:
    rng = np.random.default_rng(1)
    y = power(0.4, 1.5) * (1 + 0.01 * rng.normal(size=5))

    def residuals(p: np.ndarray) -> np.ndarray:
        return np.asarray((p[0] + p[1] * (SIZES / 1e6) ** -p[2] - y) / y)

    theirs = optimize.least_squares(residuals, [1.0, 1.0, 0.5], xtol=1e-12, ftol=1e-12).x
    ours = fit_powers(SIZES, y[None], has_floor=True)
    assert ours.alpha_D[0] == pytest.approx(theirs[2], abs=1e-3)
    assert ours.floor_D[0] == pytest.approx(theirs[0], abs=3e-3)


def test_a_floor_below_zero_is_none() -> None:
    # Steeper than any power: the best floor would be negative.
    fits = fit_powers(SIZES, (20.0 - np.log(SIZES))[None], has_floor=True)
    assert fits.floor_D[0] == 0.0


@pytest.mark.parametrize("floor", [0.0, 1.5])
def test_the_floor_is_chosen_by_what_is_left_out(floor: float) -> None:
    law = drawn_law(power(0.4, floor), noise=0.001)
    assert law.is_told, law.refusal
    assert law.has_floor == (floor > 0)
    if floor:
        assert law.floor_interval[0] < floor < law.floor_interval[1]


def test_intervals_of_few_seeds_cover_the_planted_exponent() -> None:
    laws = [drawn_law(power(0.2, 0.0), n_seeds=3, seed=seed) for seed in range(100)]
    plain = [law for law in laws if not law.has_floor and law.fits is not None]
    covered = [law.alpha_interval[0] <= 0.2 <= law.alpha_interval[1] for law in plain]
    assert len(plain) >= 80
    assert np.mean(covered) >= 0.9
    alone = [law.alpha for law in plain]
    assert np.mean(alone) == pytest.approx(0.2, abs=0.005)


def test_noise_and_steps_and_rises_are_no_laws() -> None:
    flat = [drawn_law(np.full(5, 2.0), seed=seed) for seed in range(20)]
    assert sum(law.is_told for law in flat) <= 2
    step = drawn_law(np.array([3.0, 3.0, 3.0, 1.0, 1.0]))
    assert not step.is_told
    assert step.refusal.startswith("The points lie further from the best power law")
    rise = drawn_law(np.array([3.0, 2.0, 2.5, 1.5, 1.0]))
    assert rise.refusal.startswith("The loss rises by 0.")
    assert rise.refusal.endswith("from 0.3M to 1M parameters.")
    assert rise.fits is None


def test_flat_values_say_that_the_exponent_may_be_zero() -> None:
    told = {drawn_law(np.full(5, 2.0), seed=seed).refusal[:12] for seed in range(10)}
    assert "The exponent" in told


@pytest.mark.parametrize(
    ("sizes", "n_seeds", "why"),
    [
        ([1e5, 1e6, 1e7], 6, "There are 3 different numbers of parameters; a law needs 4."),
        ([1e6, 1e6, 1e7, 1e5], 6, "There are 3 different numbers of parameters; a law needs 4."),
        ([1e6, 2e6, 3e6, 4.9e6], 6, "The parameters span a factor of 4.9; a law needs 5."),
        ([1e5, 1e6, 1e7, 1e8], 1, "One seed has all points; a law's errors need two."),
        ([1e5, 1e6, 1e7, 1e8], 0, "No seed has all points; a law's errors need two."),
    ],
)
def test_too_little_for_a_law_is_said(sizes: list[float], n_seeds: int, why: str) -> None:
    x = np.sort(np.array(sizes))
    law = drawn_law((x / 1e6) ** -0.3, n_seeds=n_seeds, sizes=x)
    assert law.refusal == why
    assert law.fits is None


def test_seeds_that_shift_all_sizes_do_not_hide_a_lack_of_fit() -> None:
    rng = np.random.default_rng(3)
    step = np.array([3.0, 2.98, 2.96, 2.0, 1.98])
    y = step * (1 + 0.2 * rng.normal(size=(6, 1))) * (1 + 0.003 * rng.normal(size=(6, 5)))
    assert power_law("loss", "parameters", SIZES, y, rng, draws=100).fit_p < 0.001
