"""Alarm rules beside each other on made-up streams: `python -m bench.warning_rules` (a minute).

Each stream has 40 looks to calibrate on and 200, or 500, that are judged. Rules:

    e-process   conformal test martingale, alarm at evidence 20: at most 5 % ever, proven
    verdict     that of `analysis/early_warning`: two in a row beyond an order statistic, here in
                standard deviations of the stream's own first looks
    CUSUM       of the same standardised values, reference value 0.5 (Page, 1954)
    whole runs  against 19 healthy streams: at most 5 % over their whole length, proven

Thresholds of the verdict's rule and of CUSUM are those at which 5 % of 4,000 other normal streams
alarm within 200 looks, as is one of the e-process beside its proven one. First table: how often
healthy streams ever alarm. Second: how many looks after a planted rise an alarm comes.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.early_warning.exceedance import IN_A_ROW, chain_scores
from analysis.early_warning.threshold import threshold_at
from collapse.numerics.martingale import evidence_path
from collapse.numerics.round_robin import RoundRobin
from collapse.numerics.streams import numpy_stream

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]

STREAMS, FIRST, SHORT, LONG = 2000, 40, 200, 500  # whole runs: each with 19 healthy ones of its own
ALPHA, HEALTHY = 0.05, 19
CHANGE_AT, SHIFTS = 50, (1.0, 1.5, 2.0, 3.0)
REFERENCE = 0.5


def _own_level(generator: np.random.Generator, shape: tuple[int, int]) -> Floats:
    level, spread = (
        9 * generator.normal(size=(shape[0], 1)),
        generator.exponential(size=(shape[0], 1)),
    )
    return level + spread * generator.normal(size=shape)


def _memory(generator: np.random.Generator, shape: tuple[int, int]) -> Floats:
    noise = generator.normal(size=shape)
    for t in range(1, shape[1]):
        noise[:, t] += 0.5 * noise[:, t - 1]
    return noise


EXCHANGEABLE: dict[str, Draw] = {
    "normal": lambda generator, shape: generator.normal(size=shape),
    "Student, 2 degrees of freedom": lambda generator, shape: generator.standard_t(2, size=shape),
    "Poisson of mean 1 (ties)": lambda generator, shape: generator.poisson(1, size=shape) * 1.0,
    "normal, own level and spread": _own_level,
}
NOT_EXCHANGEABLE: dict[str, Draw] = {
    "memory: each half the one before": _memory,
    "learning curve, still falling": lambda generator, shape: (
        generator.normal(size=shape) - 4 * np.log1p(np.arange(shape[1]))
    ),
    "slow rise, 1 sd in 100 looks": lambda generator, shape: (
        generator.normal(size=shape) + 0.01 * np.arange(shape[1])
    ),
}


def e_process(values_NxT: Floats, generator: np.random.Generator) -> Floats:
    return evidence_path(values_NxT, FIRST, generator)[:, FIRST:]


def standardised(values_NxT: Floats) -> Floats:
    """By the mean and spread of a stream's first looks."""
    first = values_NxT[:, :FIRST]
    spread = first.std(axis=1, ddof=1, keepdims=True) * np.sqrt(1 + 1 / FIRST)
    return (values_NxT[:, FIRST:] - first.mean(axis=1, keepdims=True)) / spread


def in_a_row(z_NxT: Floats) -> Floats:
    """What the verdict's rule compares with its threshold; its maximum is `chain_scores`."""
    assert IN_A_ROW == 2
    both = np.minimum(z_NxT[:, :-1], z_NxT[:, 1:])
    return np.concatenate([np.full((len(z_NxT), 1), -np.inf), both], axis=1)


def cusum(z_NxT: Floats) -> Floats:
    total, path = np.zeros(len(z_NxT)), np.empty_like(z_NxT)
    for t in range(z_NxT.shape[1]):
        total = np.maximum(0.0, total + z_NxT[:, t] - REFERENCE)
        path[:, t] = total
    return path


def all_paths(values_NxT: Floats, generator: np.random.Generator) -> dict[str, Floats]:
    """What each rule compares with its threshold, after each judged look."""
    z_NxT = standardised(values_NxT)
    evidence = e_process(values_NxT, generator)
    return {
        "e-process": evidence,
        "e-process, matched": evidence,
        "verdict": in_a_row(z_NxT),
        "CUSUM": cusum(z_NxT),
    }


def matched_thresholds() -> dict[str, float]:
    generator = numpy_stream(0, "matched")
    values = EXCHANGEABLE["normal"](generator, (2 * STREAMS, FIRST + SHORT))
    allowed = int(ALPHA * len(values))
    found = {
        name: threshold_at(path.max(axis=1), allowed).value
        for name, path in all_paths(values, generator).items()
    }
    assert found["verdict"] == threshold_at(chain_scores(standardised(values)), allowed).value
    return found | {"e-process": (1 / ALPHA) * (1 - 1e-12)}


def first_alarm(path_NxT: Floats, threshold: float) -> Floats:
    """Judged looks until the alarm, from 0; infinite where there is none."""
    above = path_NxT > threshold
    return np.where(above.any(axis=1), above.argmax(axis=1), np.inf)


def whole_runs(draw: Draw, generator: np.random.Generator, shift: float) -> Floats:
    """When a stream first leaves none of 19 others unbeaten; these have its length."""
    found = np.full(STREAMS, np.inf)
    for trial in range(STREAMS):
        values = draw(generator, (HEALTHY + 1, SHORT))
        values[-1, CHANGE_AT:] += shift
        robin = RoundRobin.of(values[:-1, :, None], [1])
        deviations_RxT = robin.deviations(slice(None), values[-1, :, None])[:, :, 0]
        scores_RxT = np.maximum.accumulate(deviations_RxT, axis=1)
        beaten = (scores_RxT > robin.scores_R[:, None]).all(axis=0)
        found[trial] = beaten.argmax() if beaten.any() else np.inf
    return found


def false_alarms(thresholds: dict[str, float]) -> None:
    names = ["e-process", "verdict", "CUSUM"]
    low, high = (100 * stats.binom.ppf(q, STREAMS, ALPHA) / STREAMS for q in (0.025, 0.975))
    print(f"Ever a false alarm, % of {STREAMS} streams, in {SHORT} / {LONG} looks; a true rate of")
    print(f"{100 * ALPHA:g} % would print {low:.1f} to {high:.1f} in 19 cells of 20:\n")
    print(f"| stream | {' | '.join(names)} | whole runs ({SHORT}) |")
    print(f"| --- | {'---: | ' * 4}")
    for kind, draw in (EXCHANGEABLE | NOT_EXCHANGEABLE).items():
        generator = numpy_stream(1, "null", kind)
        paths = all_paths(draw(generator, (STREAMS, FIRST + LONG)), generator)
        cells = []
        for name in names:
            when = first_alarm(paths[name], thresholds[name])
            cells.append(f"{100 * (when < SHORT).mean():.1f} / {100 * (when < LONG).mean():.1f}")
        runs = np.isfinite(whole_runs(draw, generator, 0.0)).mean()
        print(f"| {kind} | {' | '.join(cells)} | {100 * runs:.1f} |")


def delays(thresholds: dict[str, float]) -> None:
    names = [*thresholds, "whole runs"]
    print(f"\nMedian looks from a rise at judged look {CHANGE_AT} to the alarm (% of streams that")
    print(f"alarm within the {SHORT - CHANGE_AT} looks that follow; earlier alarms left out):\n")
    print(f"| rise, sd | {' | '.join(names)} |\n| --- | {'---: | ' * len(names)}")
    for shift in SHIFTS:
        generator = numpy_stream(2, "shift", str(shift))
        values = EXCHANGEABLE["normal"](generator, (STREAMS, FIRST + SHORT))
        values[:, FIRST + CHANGE_AT :] += shift
        paths = all_paths(values, generator)
        when = {name: first_alarm(paths[name], at) for name, at in thresholds.items()}
        when["whole runs"] = whole_runs(EXCHANGEABLE["normal"], generator, shift)
        print(f"| {shift:g} | {' | '.join(_delay(when[name]) for name in names)} |")


def _delay(when_N: Floats) -> str:
    late = when_N[when_N >= CHANGE_AT] - CHANGE_AT + 1
    middle = np.median(late)
    told = f"{middle:.0f}" if np.isfinite(middle) else "-"
    return f"{told} ({100 * np.isfinite(late).mean():.0f} %)"


def main() -> None:
    thresholds = matched_thresholds()
    print("Thresholds:", ", ".join(f"{name} {at:.2f}" for name, at in thresholds.items()), "\n")
    false_alarms(thresholds)
    delays(thresholds)


if __name__ == "__main__":
    main()
