"""The same Hessian-vector products and 30 Lanczos steps by curvlinops and hessian-eigenthings.

    python -m bench.curvature_peers [--shape tiny|5m|102m] [--python build/peers/bin/python]

They live in an environment of their own, as curvlinops pulls a torchvision that breaks
transformers: named by --python or COLLAPSE_PEERS_PYTHON. Without one this says how to make it, and
ends well.
"""

import argparse
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import torch

from bench.hessians.products import GRADIENT, PLAIN_GRADIENT
from bench.hessians.shapes import FOLDER, SHAPES, subject
from bench.hessians.tables import table
from bench.hessians.whole import reference_top

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / "build" / "peers" / "bin" / "python"
HOW_TO = """\
python3.11 -m venv build/peers
build/peers/bin/pip install torch==2.13.0 transformers==5.23.0 numpy==2.4.6 scipy==1.17.1 psutil \\
    safetensors tqdm einops einconv opt-einsum jaxtyping
build/peers/bin/pip install --no-deps curvlinops-for-pytorch==3.0.1 backpack-for-pytorch==1.7.1 \\
    unfoldNd linear_operator hessian-eigenthings==1.0.0a5 PyHessian==0.1"""


def measure(python: Path, shape: str, rounds: int, threads: int) -> dict[str, Any]:
    """What bench.hessians.peers measures, run by another interpreter on this checkout."""
    words = ["--shape", shape, "--rounds", str(rounds), "--threads", str(threads)]
    made = subprocess.run(
        [str(python), "-m", "bench.hessians.peers", *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(made.stdout.splitlines()[-1])


def products_rows(found: dict[str, Any]) -> list[list[str]]:
    seconds = found["seconds"]
    return [
        [
            name,
            f"{1000 * own:.1f}",
            f"{own / seconds[GRADIENT]:.2f}",
            f"{own / seconds[PLAIN_GRADIENT]:.2f}",
            f"{found['differences'][name]:.1e}" if name in found["differences"] else "",
        ]
        for name, own in seconds.items()
    ]


def lanczos_rows(found: dict[str, Any], top: float) -> list[list[str]]:
    """Each one's largest nodes; of those within 1 % of the top all but one are ghosts."""
    rows = []
    for name, run in found["lanczos"].items():
        nodes = run["nodes"]
        beside = sum(abs(node - top) < 0.01 * abs(top) for node in nodes)
        largest = ", ".join(f"{node:.4f}" for node in nodes[:-4:-1])
        worst = f"{abs(nodes[-1] - top) / abs(top):.1e}"
        rows.append([name, f"{run['seconds']:.1f}", largest, worst, str(beside)])
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--shape", choices=SHAPES, default="5m")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument(
        "--python", type=Path, default=Path(os.environ.get("COLLAPSE_PEERS_PYTHON", PYTHON))
    )
    options = arguments.parse_args()
    if not options.python.exists():
        print(f"left out: no interpreter at {options.python}. To make one:\n{HOW_TO}")
        return
    looked_at = subject(options.shape)  # trained here: the peers' environment cannot
    top = max(reference_top(options.shape, looked_at)["top"])
    found = measure(options.python, options.shape, options.rounds, options.threads)
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    print(f"### peers, {options.shape}: {looked_at.description()}\n\n{versions}\n")
    head = ["one product", "ms", "gradients", "plain gradients", "differs from ours"]
    print(table(head, products_rows(found)))
    print(f"\nMedians of {found['rounds']} rounds, alternating. lambda_1 is {top:.6g}.\n")
    head = ["30 Lanczos steps", "seconds", "largest nodes", "error of the first", "within 1 %"]
    print(table(head, lanczos_rows(found, top)))
    path = FOLDER / "curvature_peers.json"
    path.write_text(json.dumps({"shape": options.shape, "top": top} | found, indent=1))
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    main()
