"""Recordings of products that are written for it: what is kept, merged, written over, refused."""

import random
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import fx

from collapse.probes.curvature.split_graph import Programs, SplitGraph, checked
from collapse.probes.curvature.split_recording import CannotSplit, record
from tests.probes.curvature_models import direction, relative_error

Function = Callable[[list[torch.Tensor]], list[torch.Tensor]]


def made(function: Function, vectors: list[torch.Tensor]) -> tuple[SplitGraph, Counter[str]]:
    """A function recorded and merged, and the operations that are left."""
    recording = record(function, vectors)
    program = Programs().of(recording)
    names = Counter(
        node.target.overloadpacket.__name__
        for node in recording.graph.nodes
        if isinstance(node.target, torch._ops.OpOverload)
    )
    return SplitGraph(program, recording.kept), names


def matrices(count: int, *shape: int, seed: int = 0) -> list[torch.Tensor]:
    return list(direction(count * torch.Size(shape).numel(), seed).view(count, *shape))


def test_every_recorded_operation_depends_on_the_vector() -> None:
    a, b, v = matrices(3, 4, 4)
    recording = record(lambda vs: [(a @ b).exp() @ vs[0] + a.cos() * vs[0] + vs[0].sum()], [v])
    names = [node.name for node in recording.graph.nodes if node.op == "placeholder"]
    assert names == ["vector_0", "kept_0", "kept_1"]
    assert torch.equal(recording.kept[0], (a @ b).exp())
    assert torch.equal(recording.kept[1], a.cos())
    reached: set[fx.Node] = set()
    for node in recording.graph.nodes:
        if node.name == "vector_0" or reached.intersection(node.all_input_nodes):
            reached.add(node)
    assert all(node in reached for node in recording.graph.nodes if node.op != "placeholder")


def test_sums_are_merged_whichever_way_the_terms_lie() -> None:
    a, b, v = matrices(3, 5, 5)
    cases: dict[str, Function] = {
        "side by side": lambda vs: [a @ vs[0] + vs[0] @ b],
        "one turned": lambda vs: [(a @ vs[0]).t() + vs[0] @ b],
        "the other turned": lambda vs: [a @ vs[0] + (vs[0] @ b).t()],
        "reshaped": lambda vs: [(a @ vs[0]).view(25) + (vs[0] @ b).view(25)],
        "of no product": lambda vs: [vs[0].cumsum(0) + (vs[0] @ b)],
    }
    for name, function in cases.items():
        graph, left = made(function, [v])
        assert left["addmm_"] == 1, name
        assert left["add"] == 0, name
        other = matrices(1, 5, 5, seed=3)
        assert relative_error(graph.product(other)[0], function(other)[0]) < 1e-15, name


def test_nothing_is_written_over_that_is_still_read() -> None:
    """The vector, what is kept, a term or a factor that is read later, an entry read twice."""
    a, b, v = matrices(3, 5, 5)
    hazards: dict[str, Function] = {
        "the vector": lambda vs: [vs[0] * 2 + vs[0] @ b, vs[0] + a @ vs[0]],
        "a term, later": lambda vs: [(x := a @ vs[0]), x + vs[0] @ b],
        "a view of it, later": lambda vs: [(x := a @ vs[0]).t()[1:], x + vs[0] @ b],
        "an operand, later": lambda vs: [(x := vs[0].cumsum(0)) * 2, x * 3, x],
        "repeated entries": lambda vs: [vs[0].sum(0).expand(5, 5) * a, vs[0].cumsum(0) + 1 * a],
        "a factor, merged into": lambda vs: [
            (c := vs[0].cumsum(0), m := c @ a, s := c + vs[0] @ b, s.cumsum(1) + m)[3]
        ],
        "a factor, in place": lambda vs: [
            (c := vs[0].cumsum(0), m := c @ a, s := c.mul_(3), s.cumsum(1) + m)[3]
        ],
        "its own factor": lambda vs: [(x := vs[0].cumsum(0)) + a @ x],
        "a row of a product": lambda vs: [vs[0].cumsum(0) + vs[0][:1] @ b],
        "a row that a product is added to": lambda vs: [vs[0].cumsum(0)[:1] * 2 + vs[0] @ b],
        "a factor of a term": lambda vs: [
            torch.sub(vs[0].cumsum(0), vs[0].cumsum(1), alpha=2),
            torch.add(vs[0].cumsum(1), vs[0] @ b, alpha=2),
        ],
        "a row": lambda vs: [vs[0].cumsum(0)[:1] * 2 - vs[0].cumsum(1)],
    }
    for name, function in hazards.items():
        graph, _ = made(function, [v])
        for seed in (0, 3):
            other = matrices(1, 5, 5, seed=seed)
            pairs = zip(graph.product(other), function(other), strict=True)
            assert all(relative_error(f, e) < 1e-14 for f, e in pairs), name


def random_product(seed: int) -> Function:
    """Thirty random linear operations, views and writes in place among them."""
    a, b = matrices(2, 6, 6, seed=seed)
    unary = [
        lambda x: x @ a,
        lambda x: b @ x,
        lambda x: (x @ a).t(),
        lambda x: x.t() @ a,
        lambda x: torch.bmm(x[None], a[None]).view(6, 6),
        lambda x: torch.bmm(b[None], x.t()[None]).transpose(1, 2).view(6, 6),
        lambda x: (x @ a).view(36).view(6, 6),
        lambda x: x.t(),
        lambda x: -x,
        lambda x: x * b,
        lambda x: x * 0.5,
        lambda x: x.sum(0, keepdim=True).expand(6, 6),
        lambda x: torch.cat([x[3:], x[:3]]),
    ]

    def product(vectors: list[torch.Tensor]) -> list[torch.Tensor]:
        choose = random.Random(seed)
        known = [vectors[0] * 0.5, vectors[0].t() + 0]
        for _ in range(30):
            x, y = choose.choice(known[-3:]), choose.choice(known[-6:])
            kind = choose.random()
            if kind < 0.5:
                known.append(choose.choice(unary)(x))
            elif kind < 0.9:
                known.append(x + choose.choice(unary)(y) if choose.random() < 0.7 else x - y)
            else:
                fresh = x.clone()
                known += [fresh.t(), fresh]
                fresh.mul_(0.7)
        return [known[-1], choose.choice(known), sum(known[-4:])]

    return product


def test_random_products_come_out_the_same() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(120):
        function = random_product(seed)
        graph, left = made(function, matrices(1, 6, 6, seed=1))
        kinds += left
        other = matrices(1, 6, 6, seed=2)
        for found, right in zip(graph.product(other), function(other), strict=True):
            assert float((found - right).norm()) <= 1e-12 * float(right.norm()), seed
    # Or the trial would say little: sums merged, left as they were, and written in place.
    assert kinds["addmm_"] > 120
    assert kinds["baddbmm_"] > 20
    assert min(kinds["add"], kinds["add_"], kinds["mul_"], kinds["neg_"]) > 20


def draws(vectors: list[torch.Tensor]) -> list[torch.Tensor]:
    return [torch.nn.functional.dropout(vectors[0], 0.5)]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda vs: [vs[0] * 2 if vs[0].sum() > 0 else vs[0]], "looks at a value"),
        (lambda vs: [vs[0][vs[0] > 0]], "another shape"),
        (draws, "another result"),
        (lambda vs: [torch.ones(3, 3).double().add_(vs[0])], "does not depend on the vector"),
    ],
)
def test_what_another_vector_would_do_otherwise_is_refused(function: Function, reason: str) -> None:
    with pytest.raises(CannotSplit, match=reason):
        record(function, matrices(1, 3, 3))


def test_what_is_written_over_while_recording_is_refused() -> None:
    kept = torch.ones(3, 3).double()

    def product(vectors: list[torch.Tensor]) -> list[torch.Tensor]:
        result = vectors[0] * kept
        kept.add_(1)
        return [result]

    with pytest.raises(CannotSplit, match="written over"):
        record(product, matrices(1, 3, 3))


def test_a_product_that_comes_out_different_is_refused() -> None:
    (v,) = matrices(1, 3, 3)
    wrong = SplitGraph(lambda vector: [vector * 1.001, None], ())
    with pytest.raises(CannotSplit, match=r"differs by 1\.0e-03"):
        checked(wrong, [v], [v, None])
    constant = SplitGraph(
        lambda vector: [v.clone(), None], ()
    )  # right for this vector, and no other
    with pytest.raises(CannotSplit, match=r"differs by 2\.0e\+00"):
        checked(constant, [v], [v, None])
    broken = SplitGraph(lambda vector: [vector.view(2), None], ())
    with pytest.raises(CannotSplit, match="fails: shape"):
        checked(broken, [v], [v, None])
    missing = SplitGraph(lambda vector: [vector * float("nan"), None], ())
    with pytest.raises(CannotSplit, match="differs by nan"):
        checked(missing, [v], [v, None])
