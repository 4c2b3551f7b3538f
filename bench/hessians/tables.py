"""What was measured, as Markdown for docs/LOG.md."""

from collections.abc import Iterable, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right of their first column."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def products_table(found: dict[str, Any]) -> str:
    rows = []
    for name, seconds in found["seconds"].items():
        difference = found["differences"].get(name)
        rows.append(
            [
                name,
                f"{1000 * seconds:.1f}",
                f"{found['gradients'][name]:.2f}",
                f"{found['plain_gradients'][name]:.2f}",
                "" if difference is None else f"{difference:.1e}",
            ]
        )
    head = ["one product", "ms", "gradients", "plain gradients", "differs from kept"]
    lines = [table(head, rows), f"Medians of {found['rounds']} rounds, alternating."]
    return "\n\n".join(lines)


def analyses_table(found: dict[str, Any]) -> str:
    ours, theirs = found["medians"]["ours"], found["medians"]["PyHessian"]
    truth, last = found["reference"], found["records"]
    rows = [
        ["seconds", f"{ours['seconds']:.1f}", f"{theirs['seconds']:.1f}"],
        ["products", f"{ours['products']:.0f}", f"{theirs['products']:.0f}"],
        ["of them for the top 3", "all", f"{theirs['top_products']:.0f}"],
        ["worst relative error of the top 3", *_errors(ours, theirs)],
        ["top 3, last round", *(_values(last[side][-1]["top"]) for side in last)],
        ["lambda_max by the 30 nodes", *_nodes(ours, theirs, "lambda_max_of_nodes")],
        ["lambda_min by the 30 nodes", *_nodes(ours, theirs, "lambda_min_of_nodes")],
        ["certified", f"{_certified(last['ours'])} of {len(last['ours'])} rounds", "nothing"],
        ["orthogonalisation's share", f"{100 * ours['orthogonalisation_share']:.0f} %", ""],
    ]
    return "\n\n".join(
        [
            table(["top 3 and 30 nodes", "ours", "PyHessian"], rows),
            f"{found['times_faster']:.1f} times faster; medians of {found['rounds']} round(s). "
            f"Reference: {_values(truth['top'])}, bounds below "
            f"{max(truth['bounds']):.1e}, {truth['products']} products.",
        ]
    )


def peaks_table(found: dict[str, Any]) -> str:
    base = found["nothing"]
    rows = [
        [
            side,
            f"{peak['resident_mb']:.0f}",
            f"{peak['resident_mb'] - base['resident_mb']:.0f}",
            f"{peak['anonymous_mb']:.0f}",
            f"{peak['anonymous_mb'] - base['anonymous_mb']:.0f}",
            f"{peak['seconds']:.1f}",
        ]
        for side, peak in found.items()
    ]
    head = ["30 steps", "resident MB", "above nothing", "anonymous MB", "above nothing", "seconds"]
    return table(head, rows)


def _errors(*sides: dict[str, Any]) -> list[str]:
    return [f"{side['worst_error']:.1e}" for side in sides]


def _nodes(ours: dict[str, Any], theirs: dict[str, Any], key: str) -> list[str]:
    return [f"{side[key]:.5g}" for side in (ours, theirs)]


def _values(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.5g}" for value in values)


def _certified(records: Sequence[dict[str, Any]]) -> int:
    return sum(all(record["certified"]) for record in records)
