"""Recorded products: those of double backward, with nothing done twice and nothing lost."""

import gc
import random
import weakref
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import fx
from torch._inductor import config as inductor_config
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from collapse.errors import BadInput, BadParameter
from collapse.language.presets import load_preset
from collapse.probes.curvature import Microbatch, ParameterLayout, microbatches, open_operator
from collapse.probes.curvature.compiled import (
    CannotSplit,
    CompiledProducts,
    Programs,
    open_compiled,
    pays,
)
from collapse.probes.curvature.compiled_program import SplitGraph, checked
from collapse.probes.curvature.compiled_recording import record
from tests.probes.curvature_models import MODELS, SHAPE, direction, relative_error, tokens

INSIDE = 1e-12
"""What the order of float64 sums may change, relative to the whole."""

FAMILIES = MODELS | {
    "relu2, untied": lambda: load_preset(
        "pocket", **SHAPE | {"feed_forward": "relu2", "tie_word_embeddings": False}
    )
}


def double_backward(model, batches: list[Microbatch], vector_P: torch.Tensor) -> torch.Tensor:
    """H v of the mean over all predicted tokens, by torch's own loss and attention written out."""
    model.set_attn_implementation("eager")
    parameters = list(model.parameters())
    total, count = torch.zeros(()), 0
    for batch in batches:
        mask = batch.attention_mask_BxT
        logits = model(input_ids=batch.input_ids_BxT, attention_mask=mask, use_cache=False).logits
        targets = batch.labels_BxT[:, 1:].flatten()
        rows = logits[:, :-1].flatten(0, 1)
        total = total + F.cross_entropy(rows, targets, reduction="sum")
        count += int((targets != -100).sum())
    gradients = torch.autograd.grad(total / count, parameters, create_graph=True)
    slope = torch.cat([gradient.flatten() for gradient in gradients]) @ vector_P
    return torch.cat([h.flatten() for h in torch.autograd.grad(slope, parameters)])


def masked_batches() -> list[Microbatch]:
    """Parts of other sizes and with other numbers of predicted tokens, one of them padded."""
    ids = tokens(5)
    labels = ids.clone()
    labels[0, 3] = labels[1, 1:4] = labels[4, 4:] = -100
    mask = torch.ones_like(ids)
    mask[4, 4:] = 0
    return [
        Microbatch(ids[:2], labels[:2]),
        Microbatch(ids[2:4], labels[2:4]),
        Microbatch(ids[4:], labels[4:], mask[4:]),
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_products_are_those_of_double_backward(family: str) -> None:
    batches, model = masked_batches(), FAMILIES[family]().double()
    # transformers' own norms and rotations are float32 inside, whatever the weights are.
    bound = 1e-5 if family.startswith(("llama", "qwen")) else INSIDE
    with open_compiled(model, batches) as products:
        for seed in (1, 2):
            vector = direction(products.dimension, seed)
            expected = double_backward(model, batches, vector)
            assert relative_error(products(vector), expected) < bound
        assert not products(torch.zeros_like(vector)).any()
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_products_in_single_precision_are_the_operators(family: str) -> None:
    model, batches = FAMILIES[family](), masked_batches()
    with open_operator(model, batches) as plain, open_compiled(model, batches) as split:
        vector = direction(plain.dimension, dtype=torch.float32)
        assert split(vector).dtype == torch.float32
        assert relative_error(split(vector), plain(vector).double()) < 1e-6


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_and_the_gauss_newton_matrix_are_the_operators(family: str) -> None:
    """Of the same graph, so that nothing but the order of sums can differ."""
    model, batches = FAMILIES[family]().double(), masked_batches()
    inner = [name for name, _ in model.named_parameters() if ".1." in name]
    for kind, names in (("gauss_newton", None), ("hessian", inner)):
        with (
            open_operator(model, batches, kind=kind, parameters=names) as plain,
            open_compiled(model, batches, kind=kind, parameters=names) as split,
        ):
            vector = direction(plain.dimension)
            assert split.shares == plain.shares
            assert relative_error(split(vector), plain(vector)) < INSIDE


class Operations(TorchDispatchMode):
    """Counts what torch is asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count[function.overloadpacket.__name__] += 1
        return function(*args, **kwargs or {})


def test_a_product_takes_twice_a_gradients_matrix_products_and_no_more() -> None:
    """What does not depend on the vector is computed once: neither model nor gradient run again."""
    model = FAMILIES["tied, grouped keys, qk-norm"]()
    model.set_attn_implementation("eager")
    batches = microbatches(tokens(), size=3)
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    with Operations() as gradient:
        logits = model(input_ids=tokens(), use_cache=False).logits
        torch.autograd.grad(logits.square().sum(), list(model.parameters()))
    with open_compiled(model, batches) as products:
        before = len(calls)
        with Operations() as product:
            products(direction(products.dimension, dtype=torch.float32))
    assert len(calls) == before
    assert gradient.count["mm"] > 20
    assert product.count["mm"] + product.count["addmm_"] == 2 * gradient.count["mm"]
    assert product.count["bmm"] + product.count["baddbmm_"] == 2 * gradient.count["bmm"]
    # Each derivative of a matrix product is a sum of two, the second added by itself.
    assert product.count["addmm_"] == gradient.count["mm"]
    assert product.count["gelu_backward"] == product.count["silu_backward"] == 0


def test_what_is_kept_stays_as_it_is() -> None:
    model = FAMILIES["layer norm, learned positions"]()
    products = CompiledProducts(model, masked_batches(), ParameterLayout.of(model))
    kept = [tensor for graph in products._graphs.values() for tensor in graph.kept]
    copies = [tensor.clone() for tensor in kept]
    vector = direction(products.dimension, dtype=torch.float32)
    copy = vector.clone()
    first = products(vector)
    products(direction(products.dimension, seed=2, dtype=torch.float32))
    assert torch.equal(products(vector), first)
    assert torch.equal(vector, copy)
    assert all(torch.equal(a, b) for a, b in zip(kept, copies, strict=True))


def test_microbatches_of_one_shape_share_a_program_and_not_what_is_kept() -> None:
    model, ids = FAMILIES["llama"](), tokens(7)
    with (
        open_compiled(model, microbatches(ids, size=2)) as parts,
        open_compiled(model, microbatches(ids, size=7)) as whole,
    ):
        assert (parts.programs, whole.programs) == (2, 1)  # three of two rows, and one of one
        vector = direction(whole.dimension, dtype=torch.float32)
        assert relative_error(parts(vector), whole(vector).double()) < 1e-5
        assert parts.kept_bytes == pytest.approx(whole.kept_bytes, rel=0.05)


def test_nothing_but_what_is_kept_is_held() -> None:
    """Not the weights, which are the model's, nor the graph; and after the block nothing."""
    model = load_preset("pocket", **SHAPE | {"hidden_size": 64, "intermediate_size": 32})
    batches = microbatches(tokens(8, 12), size=8)
    with open_operator(model, batches) as plain:
        graph_bytes = plain.graph_bytes
    with open_compiled(model, batches) as products:
        (graph,) = products._graphs.values()
        assert 0.5 * graph_bytes < products.kept_bytes < 1.5 * graph_bytes
        assert products.setup_seconds >= products.compile_seconds > 0
        weights = {p.data_ptr() for p in model.parameters()}
        held = [weakref.ref(t) for t in graph.kept if t.data_ptr() not in weights]
        del graph
    gc.collect()
    assert held
    assert not any(reference() is not None for reference in held)


def test_a_vector_may_lie_in_a_column() -> None:
    model = FAMILIES["gpt2"]()
    with open_compiled(model, microbatches(tokens(), size=3)) as products:
        vector = direction(products.dimension, dtype=torch.float32)
        column = torch.stack([vector, vector], dim=1)[:, 1]
        assert torch.equal(products(column), products(vector))


def test_misuse_is_named() -> None:
    model = FAMILIES["gpt2"]()
    with open_compiled(model, microbatches(tokens(), size=3)) as products:
        with pytest.raises(BadParameter, match="these products take"):
            products(torch.zeros(3))
        with pytest.raises(BadParameter, match="float64"):
            products(torch.zeros(products.dimension, dtype=torch.float64))
        with torch.no_grad():
            next(model.parameters()).add_(1)
        with pytest.raises(BadInput, match="weights changed"):
            products(torch.zeros(products.dimension))
    with pytest.raises(BadInput, match="closed"):
        products(torch.zeros(products.dimension))


# The recording itself, on products that are written for it.

Function = Callable[[list[torch.Tensor]], list[torch.Tensor]]


def made(function: Function, vectors: list[torch.Tensor]) -> tuple[SplitGraph, Counter[str]]:
    """A function recorded and merged, and the operations that are left."""
    recording = record(function, vectors)
    program = Programs(compiled=False).of(recording, vectors)
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


def test_a_model_that_looks_at_its_gradient_is_refused() -> None:
    """The reason comes through autograd, and the model is left as it was."""

    class Clipped(torch.autograd.Function):
        @staticmethod
        def forward(ctx, logits):
            return logits.clone()

        @staticmethod
        def backward(ctx, slope):
            return slope * 0.5 if slope.norm() > 1 else slope * 1

    model = FAMILIES["gpt2"]()
    model.lm_head.register_forward_hook(lambda module, inputs, output: Clipped.apply(output))
    before = model.config._attn_implementation
    with (
        pytest.raises(CannotSplit, match="looks at a value"),
        open_compiled(model, microbatches(tokens(), size=3)),
    ):
        pass
    assert model.config._attn_implementation == before
    with open_operator(model, microbatches(tokens(), size=3)) as plain:
        assert plain(torch.ones(plain.dimension)).isfinite().all()


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


def test_a_compiler_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no compiler\nwas found")

    monkeypatch.setattr("torch._inductor.compile", fail)
    model = FAMILIES["gpt2"]()
    with (
        pytest.raises(CannotSplit, match="not compiled: no compiler was found"),
        open_compiled(model, microbatches(tokens(), size=3), compiled=True),
    ):
        pass


def test_a_compiled_program_gives_the_same(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One small product through torch's compiler: a missing part, and sums that were merged."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        pytest.skip(f"no C++ compiler: {error}")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    a, b = (matrix.float() for matrix in matrices(2, 8, 8))
    v, w = matrices(1, 8, 8, seed=1)[0].float(), matrices(1, 8, 8, seed=2)[0].float()

    def product(vectors: list[torch.Tensor]) -> list[torch.Tensor | None]:
        return [None, (a.exp() @ vectors[0] + vectors[0] @ b) * a.sigmoid()]

    programs = Programs(compiled=True)
    with inductor_config.patch(compile_threads=1):
        recording = record(product, [v])
        graph = checked(
            SplitGraph(programs.of(recording, [v]), recording.kept), [v], recording.parts
        )
    nothing, found = graph.product([w])
    assert nothing is None
    assert relative_error(found, product([w])[1].double()) < 1e-6
    assert programs.seconds > 0


def test_it_pays_where_many_products_are_planned() -> None:
    assert not pays(5, 1.0)
    assert pays(30, 1.0)
    assert not pays(30, 0.1)
    assert pays(500, 0.1)
    assert not pays(200, 2.0, compiled=True)
    assert pays(200, 20.0, compiled=True)
