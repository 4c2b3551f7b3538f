"""Peak memory of 30 Lanczos steps, each side in a process of its own.

    python -m bench.hessians.peak --shape 5m --side ours

Two numbers a side. The resident peak counts pages of a mapped file, which the kernel may drop
whenever somebody needs the room; the peak of anonymous memory, sampled, counts what it can't. Both
are of this process's own memory: ru_maxrss would begin at the peak of the process that started it.
"""

import argparse
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from bench.hessians.clock import seconds_of
from bench.hessians.shapes import FOLDER, SHAPES, Subject, subject
from bench.hessians.whole import NODES, whole_batch
from collapse.numerics.lanczos import lanczos
from collapse.probes.curvature import open_operator
from collapse.probes.curvature.pyhessian import open_pyhessian, repaired

SAMPLE_SECONDS = 0.02
BASIS = FOLDER / "peak.basis"


def ours(subject: Subject) -> None:
    with open_operator(subject.model, whole_batch(subject)) as operator:
        lanczos(operator, _start(operator.dimension), NODES)


def ours_off_loaded(subject: Subject) -> None:
    """The basis in a file, whatever its size."""
    BASIS.unlink(missing_ok=True)
    try:
        with open_operator(subject.model, whole_batch(subject)) as operator:
            start = _start(operator.dimension)
            lanczos(operator, start, NODES, memory_limit_bytes=0, path=BASIS)
    finally:
        BASIS.unlink(missing_ok=True)


def pyhessian(subject: Subject) -> None:
    """The density alone; its power iterations before it hold less."""
    with open_pyhessian(subject.model, whole_batch(subject)) as peer, repaired():
        peer.density(iter=NODES)


def nothing(_subject: Subject) -> None:
    """Imports, weights and batch: what all sides start from."""


SIDES = {
    "nothing": nothing,
    "ours": ours,
    "ours, basis on disk": ours_off_loaded,
    "PyHessian": pyhessian,
}


def measure_peaks(name: str, threads: int) -> dict[str, Any]:
    """All sides, one process after the other."""
    peaks = {}
    for side in SIDES:
        words = ["--shape", name, "--side", side, "--threads", str(threads)]
        made = subprocess.run(
            [sys.executable, "-m", "bench.hessians.peak", *words],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        peaks[side] = json.loads(made.stdout.splitlines()[-1])
    return peaks


@contextmanager
def _anonymous_peak() -> Iterator[list[int]]:
    """The largest RssAnon of this process in kB, as its only element at the end."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_SECONDS):
            peak[0] = max(peak[0], _kilobytes("RssAnon"))

    peak[0] = _kilobytes("RssAnon")
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _kilobytes(name: str) -> int:
    """What Linux knows of this process by that name."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _start(dimension: int) -> torch.Tensor:
    return torch.randn(dimension, generator=torch.Generator().manual_seed(0))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--shape", choices=SHAPES, default="tiny")
    arguments.add_argument("--side", choices=SIDES, default="ours")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    looked_at = subject(options.shape)
    with _anonymous_peak() as anonymous:
        seconds = seconds_of(lambda: SIDES[options.side](looked_at))
    record = {
        "resident_mb": _kilobytes("VmHWM") / 1024,
        "anonymous_mb": anonymous[0] / 1024,
        "seconds": seconds,
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
