"""Products of split graphs: those of double backward, with nothing done twice and nothing lost.

The first product is the graph's own; from the second on they are the split graph's.
"""

import gc
import weakref
from collections import Counter

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from collapse.errors import BadInput, BadParameter
from collapse.language.presets import load_preset
from collapse.probes.curvature import Microbatch, microbatches, open_operator
from collapse.probes.curvature import operator as operator_module
from collapse.probes.curvature.operator import CurvatureOperator
from collapse.probes.curvature.split_graph import SplitGraph
from collapse.probes.curvature.split_recording import CannotSplit
from tests.probes.curvature_models import MODELS, SHAPE, direction, relative_error, tokens

INSIDE = 1e-12
"""What the order of float64 sums may change, relative to the whole."""

FAMILIES = MODELS | {
    "relu2, untied": lambda: load_preset(
        "pocket", **SHAPE | {"feed_forward": "relu2", "tie_word_embeddings": False}
    )
}


def split_now(operator: CurvatureOperator) -> None:
    """Make the product at which the graphs are split, with a vector that no test asks for."""
    assert operator.graph == "kept"
    operator(direction(operator.dimension, seed=99, dtype=operator.dtype))
    assert (operator.graph, operator.why_not_split) == ("split", "")


def kept_by(operator: CurvatureOperator) -> list[torch.Tensor]:
    """What its split graphs keep."""
    return [tensor for graph in operator._graphs.values() for tensor in graph.kept]


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
    with open_operator(model, batches, graph="split") as products:
        split_now(products)
        for seed in (1, 2):
            vector = direction(products.dimension, seed)
            expected = double_backward(model, batches, vector)
            assert relative_error(products(vector), expected) < bound
        assert not products(torch.zeros_like(vector)).any()
        assert products.products == 4
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_products_in_single_precision_are_those_of_kept_graphs(family: str) -> None:
    model, batches = FAMILIES[family](), masked_batches()
    with (
        open_operator(model, batches, graph="keep") as kept,
        open_operator(model, batches, graph="split") as split,
    ):
        split_now(split)
        vector = direction(kept.dimension, dtype=torch.float32)
        assert split(vector).dtype == torch.float32
        assert relative_error(split(vector), kept(vector).double()) < 1e-6
        assert relative_error(split.part(1, vector), kept.part(1, vector).double()) < 1e-6


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_and_the_gauss_newton_matrix_are_those_of_kept_graphs(family: str) -> None:
    """Of the same graph, so that nothing but the order of sums can differ."""
    model, batches = FAMILIES[family]().double(), masked_batches()
    inner = [name for name, _ in model.named_parameters() if ".1." in name]
    for kind, names in (("gauss_newton", None), ("hessian", inner)):
        with (
            open_operator(model, batches, kind=kind, parameters=names, graph="keep") as kept,
            open_operator(model, batches, kind=kind, parameters=names, graph="split") as split,
        ):
            split_now(split)
            vector = direction(kept.dimension)
            assert relative_error(split(vector), kept(vector)) < INSIDE


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
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    with Operations() as gradient:
        logits = model(input_ids=tokens(), use_cache=False).logits
        torch.autograd.grad(logits.square().sum(), list(model.parameters()))
    with open_operator(model, microbatches(tokens(), size=3), graph="split") as products:
        split_now(products)
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
    with open_operator(model, masked_batches(), graph="split") as products:
        split_now(products)
        kept = kept_by(products)
        copies = [tensor.clone() for tensor in kept]
        vector = direction(products.dimension, dtype=torch.float32)
        copy = vector.clone()
        first = products(vector)
        products(direction(products.dimension, seed=2, dtype=torch.float32))
        assert torch.equal(products(vector), first)
        assert torch.equal(vector, copy)
        assert all(torch.equal(a, b) for a, b in zip(kept, copies, strict=True))


def kept_bytes(operator: CurvatureOperator, model: torch.nn.Module) -> int:
    """Of what split graphs keep beyond the model's own."""
    own = {tensor.data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    storages = [tensor.untyped_storage() for tensor in kept_by(operator)]
    sizes = {one.data_ptr(): one.nbytes() for one in storages}
    return sum(size for place, size in sizes.items() if place not in own)


def test_microbatches_of_one_shape_share_a_program_and_not_what_is_kept() -> None:
    model, ids = FAMILIES["llama"](), tokens(7)
    with (
        open_operator(model, microbatches(ids, size=2), graph="split") as parts,
        open_operator(model, microbatches(ids, size=7), graph="split") as whole,
    ):
        split_now(parts)
        split_now(whole)
        programs = [id(graph.program) for graph in parts._graphs.values()]
        assert (len(programs), len(set(programs))) == (4, 2)  # three of two rows, and one of one
        vector = direction(whole.dimension, dtype=torch.float32)
        assert relative_error(parts(vector), whole(vector).double()) < 1e-5
        assert kept_bytes(parts, model) == pytest.approx(kept_bytes(whole, model), rel=0.05)


def test_nothing_but_what_is_kept_is_held() -> None:
    """Neither the weights, which are the model's, nor the graph; and after the block nothing."""
    model = load_preset("pocket", **SHAPE | {"hidden_size": 64, "intermediate_size": 32})
    with open_operator(model, microbatches(tokens(8, 12), size=8), graph="split") as products:
        graph = weakref.ref(products._graphs[0])
        split_now(products)
        gc.collect()
        assert graph() is None
        assert 0.5 < kept_bytes(products, model) / products.graph_bytes < 1.5
        weights = {p.data_ptr() for p in model.parameters()}
        held = [weakref.ref(t) for t in kept_by(products) if t.data_ptr() not in weights]
    gc.collect()
    assert held
    assert not any(reference() is not None for reference in held)


def test_a_weight_that_the_loss_does_not_see_has_no_curvature() -> None:
    model = FAMILIES["llama"]()
    model.spare = torch.nn.Parameter(torch.ones(3))
    for kind in ("hessian", "gauss_newton"):
        batches = microbatches(tokens(), size=3)
        with open_operator(model, batches, kind=kind, graph="split") as products:
            split_now(products)
            product = products(direction(products.dimension, dtype=torch.float32))
            spare = products.layout.slice_of("spare")
            assert not product[spare].any()
            assert product.count_nonzero() > 0.9 * (products.dimension - 3)


def test_a_vector_may_lie_in_a_column() -> None:
    model = FAMILIES["gpt2"]()
    with open_operator(model, microbatches(tokens(), size=3), graph="split") as products:
        split_now(products)
        vector = direction(products.dimension, dtype=torch.float32)
        column = torch.stack([vector, vector], dim=1)[:, 1]
        assert torch.equal(products(column), products(vector))


def test_misuse_is_named_after_the_split_as_well() -> None:
    model = FAMILIES["gpt2"]()
    with open_operator(model, microbatches(tokens(), size=3), graph="split") as products:
        split_now(products)
        with pytest.raises(BadParameter, match="this operator takes"):
            products(torch.zeros(3))
        with torch.no_grad():
            next(model.parameters()).add_(1)
        with pytest.raises(BadInput, match="weights changed"):
            products(torch.zeros(products.dimension))
    with pytest.raises(BadInput, match="closed"):
        products(torch.zeros(products.dimension))


# Where it cannot be done


class Clipped(torch.autograd.Function):
    """A model's own function whose backward pass looks at a value."""

    @staticmethod
    def forward(ctx, logits):
        return logits.clone()

    @staticmethod
    def backward(ctx, slope):
        return slope * 0.5 if slope.norm() > 1 else slope * 1


def test_a_model_that_looks_at_its_gradient_is_measured_by_kept_graphs() -> None:
    """The reason comes through autograd, and the model is left as it was."""
    model, batches = FAMILIES["gpt2"](), microbatches(tokens(), size=2)
    model.lm_head.register_forward_hook(lambda module, inputs, output: Clipped.apply(output))
    before = model.config._attn_implementation
    with (
        open_operator(model, batches, graph="keep") as kept,
        open_operator(model, batches, graph="split") as split,
    ):
        for seed in (1, 2):
            vector = direction(kept.dimension, seed, torch.float32)
            assert torch.equal(split(vector), kept(vector))
        assert split.graph == "kept"
        assert "looks at a value" in split.why_not_split
        assert kept.why_not_split == ""
    assert model.config._attn_implementation == before


def test_some_graphs_may_be_split_and_the_others_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    really_split = operator_module.split
    calls = []

    def split_the_first(*arguments: object) -> object:
        calls.append(1)
        if len(calls) > 1:
            raise CannotSplit("only the first")
        return really_split(*arguments)

    monkeypatch.setattr(operator_module, "split", split_the_first)
    model, batches = MODELS["llama"](), microbatches(tokens(5), size=2)
    with (
        open_operator(model, batches, graph="keep") as kept,
        open_operator(model, batches, graph="split") as mixed,
    ):
        for seed in (1, 2):
            vector = direction(kept.dimension, seed, torch.float32)
            assert relative_error(mixed(vector), kept(vector).double()) < 1e-6
        assert [isinstance(one, SplitGraph) for one in mixed._graphs.values()] == [
            *(True, False, False)
        ]
        assert (mixed.graph, mixed.why_not_split) == ("kept", "only the first")
    assert len(calls) == 2
