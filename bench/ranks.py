"""The probe of heads beside its own forward pass and NumPy's decompositions, on qknorm-88m.

    python -m bench.ranks [--preset qknorm-88m] [--tokens 1000] [--rounds 5]

Random weights, all layers, 1,000 tokens in two rows. NumPy decomposes the same matrices one by one:
keys, queries, centred keys and both projections of every head; the products (scores and W_q^T W_k)
through the triangles of a QR, as the probe has them, since the T x T scores would take it minutes.
Prints a Markdown table: the bound is twice the forward pass and NumPy's time.
"""

import argparse
import os

import numpy as np
import torch
from torch import nn

from bench.hessians.clock import medians
from collapse.language.presets import load_preset, parameter_count
from collapse.probes.heads import attention_layers, head_matrices, head_spectra

SITE = "post_norm"


def forward(model: nn.Module, input_ids_BxT: torch.Tensor) -> None:
    """The whole model, head included, as anybody would call it."""
    with torch.no_grad():
        model(input_ids=input_ids_BxT, use_cache=False)


def numpy_inputs(model: nn.Module, input_ids_BxT: torch.Tensor) -> list[tuple[np.ndarray, ...]]:
    """Of each layer: keys, queries, centred keys, W_k and W_q, heads first, float64."""
    inputs = []
    seen = head_matrices(model, input_ids_BxT, SITE)
    for layer, heads in zip(attention_layers(model), seen, strict=True):
        keys, queries = (one.double().numpy() for one in (heads.keys_KxNxE, heads.queries_HxNxE))
        centred = keys - keys.mean(axis=1, keepdims=True)
        weights = (one.mT.double().numpy() for one in (layer.key_weights, layer.query_weights))
        inputs.append((keys, queries, centred, *weights))
    return inputs


def numpy_decompositions(inputs: list[tuple[np.ndarray, ...]]) -> None:
    """Singular values of every matrix, head by head."""
    for keys, queries, centred, key_weights, query_weights in inputs:
        for group in (keys, queries, centred, key_weights, query_weights):
            for matrix in group:
                np.linalg.svd(matrix, compute_uv=False)
        for left, right in ((queries, keys), (queries, centred), (query_weights, key_weights)):
            triangles = [np.linalg.qr(matrix, mode="r") for matrix in right]
            served = len(left) // len(right)
            for head, matrix in enumerate(left):
                product = np.linalg.qr(matrix, mode="r") @ triangles[head // served].T
                np.linalg.svd(product, compute_uv=False)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--preset", default="qknorm-88m")
    options.add_argument("--tokens", type=int, default=1000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    model = load_preset(chosen.preset, seed=0).eval()
    ids = torch.randint(
        0,
        model.config.vocab_size,
        (2, chosen.tokens // 2),
        generator=torch.Generator().manual_seed(0),
    )
    inputs = numpy_inputs(model, ids)
    seconds = medians(
        {
            "forward pass": lambda: forward(model, ids),
            "NumPy, the same decompositions": lambda: numpy_decompositions(inputs),
            "our probe, all of it": lambda: head_spectra(model, ids, SITE),
        },
        chosen.rounds,
    )
    bound = 2 * seconds["forward pass"] + seconds["NumPy, the same decompositions"]
    print(f"{chosen.preset}, {parameter_count(model):,} parameters, {ids.numel()} tokens,", end=" ")
    print(f"{chosen.threads} thread(s), load {os.getloadavg()[0]:.1f}\n")
    print("| what | ms |\n| --- | ---: |")
    for name, taken in seconds.items():
        print(f"| {name} | {1000 * taken:.0f} |")
    print(f"| bound: twice the forward pass and NumPy | {1000 * bound:.0f} |")
    print(f"\nThe probe takes {seconds['our probe, all of it'] / bound:.2f} of its bound.")


if __name__ == "__main__":
    main()
