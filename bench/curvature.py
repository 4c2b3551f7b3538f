"""Curvature beside PyHessian: one product, the first seed's whole analysis, and peak memory.

    python -m bench.curvature [--shape tiny|5m|102m|all] [--rounds 5] [--full]

Weights are trained 100 steps from a fixed seed and kept under build/bench. Both sides run in turn
in one process (memory: each in one of its own). Prints Markdown for docs/LOG.md and writes
build/bench/curvature.json. By default the 5M shape, some minutes; --full is every shape, more
rounds, and memory.
"""

import argparse
import json
import os
import platform
from typing import Any

import torch

from bench.hessians.peak import measure_peaks
from bench.hessians.products import measure_products
from bench.hessians.shapes import FOLDER, SHAPES, subject
from bench.hessians.tables import analyses_table, peaks_table, products_table
from bench.hessians.whole import measure_analyses


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """All that was asked for of one shape, printed as it comes."""
    looked_at = subject(name, options.device)
    print(f"\n### {name}: {looked_at.description()}\n", flush=True)
    record: dict[str, Any] = {"subject": looked_at.description()}
    record["products"] = measure_products(looked_at, options.rounds)
    print(products_table(record["products"]), flush=True)
    if options.analyses:
        record["analyses"] = measure_analyses(name, looked_at, options.analyses)
        print("\n" + analyses_table(record["analyses"]), flush=True)
    if options.memory:
        del looked_at
        record["peaks"] = measure_peaks(name, torch.get_num_threads())
        print("\n" + peaks_table(record["peaks"]), flush=True)
    return record


def parsed() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--shape", choices=[*SHAPES, "all"])
    arguments.add_argument("--rounds", type=int, help="of products (5; 9 with --full)")
    arguments.add_argument("--analyses", type=int, help="rounds of analyses (1; 3 with --full)")
    arguments.add_argument("--memory", action="store_true", help="peaks on the processor, too")
    arguments.add_argument("--full", action="store_true", help="all of it")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--device", default="cpu")
    options = arguments.parse_args()
    options.shape = options.shape or ("all" if options.full else "5m")
    options.rounds = options.rounds or (9 if options.full else 5)
    if options.analyses is None:
        options.analyses = 3 if options.full else 1
    options.memory = options.memory or options.full
    return options


def main() -> None:
    options = parsed()
    torch.set_num_threads(options.threads)
    machine = (
        f"torch {torch.__version__}, {options.threads} thread(s) of {os.cpu_count()} cores, "
        f"{options.device}, load {os.getloadavg()[0]:.1f}"
    )
    print(f"{platform.platform()}, {machine}")
    names = [*SHAPES][1:] if options.shape == "all" else [options.shape]
    records = {name: measure(name, options) for name in names}
    path = FOLDER / "curvature.json"
    path.write_text(json.dumps({"machine": machine, "shapes": records}, indent=1))
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    main()
