"""The operator's conduct: graphs, parts, limits, what it leaves behind, what it refuses."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from collapse.errors import BadCorpus, BadInput, BadModel, BadParameter
from collapse.probes.curvature import (
    Microbatch,
    ParameterLayout,
    microbatches,
    open_operator,
)
from collapse.probes.curvature import graph as graph_module
from collapse.probes.curvature.memory import container_bytes_left, free_bytes
from tests.probes.curvature_models import MODELS, VOCABULARY, direction, relative_error, tokens

TIED = "tied, grouped keys, qk-norm"


def model_of(name: str = TIED) -> PreTrainedModel:
    return MODELS[name]()


def vector_for(model: nn.Module, seed: int = 1) -> torch.Tensor:
    return direction(ParameterLayout.of(model).dimension, seed, torch.float32)


# Graphs and parts


@pytest.mark.parametrize("kind", ["hessian", "gauss_newton"])
def test_kept_and_rebuilt_graphs_give_the_same_bits(kind: str) -> None:
    model, batches = model_of(), microbatches(tokens(5), size=2)
    with (
        open_operator(model, batches, kind=kind, graph="keep") as kept,
        open_operator(model, batches, kind=kind, graph="rebuild") as rebuilt,
    ):
        assert (kept.graph, rebuilt.graph) == ("kept", "rebuilt")
        for seed in (1, 2):
            vector = vector_for(model, seed)
            assert torch.equal(kept(vector), rebuilt(vector))
        # Without a graph for more, torch takes fused kernels.
        assert relative_error(rebuilt.gradient, kept.gradient.double()) < 1e-6
        assert kept.loss_nats == rebuilt.loss_nats
        assert kept.products == rebuilt.products == 2


def test_uneven_parts_are_one_batch() -> None:
    """Seven rows, whole and as 3 + 3 + 1, of which many labels are ignored."""
    model, ids = model_of("llama"), tokens(7)
    labels = torch.where(
        torch.rand(ids.shape, generator=torch.Generator().manual_seed(0)) < 0.4, -100, ids
    )
    vector = vector_for(model)
    with (
        open_operator(model, microbatches(ids, labels, size=7)) as whole,
        open_operator(model, microbatches(ids, labels, size=3)) as parted,
    ):
        counts = [int((labels[at : at + 3, 1:] != -100).sum()) for at in (0, 3, 6)]
        assert len(set(counts)) == 3
        assert parted.shares == pytest.approx([count / sum(counts) for count in counts])
        assert whole.loss_nats == pytest.approx(parted.loss_nats, rel=1e-6)
        assert relative_error(parted.gradient, whole.gradient.double()) < 1e-5
        product = parted(vector)
        assert relative_error(product, whole(vector).double()) < 1e-5
        parts = [share * parted.part(i, vector).double() for i, share in enumerate(parted.shares)]
        assert relative_error(product, sum(parts)) < 1e-5
        assert parted.products == 1


def test_a_part_is_the_operator_of_its_own_rows() -> None:
    model, batches = model_of(), microbatches(tokens(4), size=2)
    vector = vector_for(model)
    with open_operator(model, batches) as both, open_operator(model, batches[1:]) as second:
        assert torch.equal(both.part(1, vector), second(vector))
        with pytest.raises(BadParameter, match="microbatch 2"):
            both.part(2, vector)


def test_the_limit_decides_whether_graphs_are_kept() -> None:
    model, batches = model_of(), microbatches(tokens(4), size=1)
    with open_operator(model, batches[:1]) as one:
        assert one.graph == "kept"
    with open_operator(model, batches, memory_limit_bytes=one.graph_bytes * 4) as enough:
        assert enough.graph == "kept"
        assert enough.graph_bytes == 4 * one.graph_bytes
    with open_operator(model, batches, memory_limit_bytes=one.graph_bytes * 4 - 1) as tight:
        assert tight.graph == "rebuilt"
    with open_operator(model, batches, graph="rebuild") as forced:
        assert forced.graph == "rebuilt"


def test_graph_bytes_grow_with_the_tokens() -> None:
    """Activations and one gradient in the logits: at least those, and less than all of twenty."""
    model = model_of("layer norm, learned positions")
    sizes = []
    for rows in (2, 4):
        with open_operator(model, microbatches(tokens(rows, 16), size=rows)) as operator:
            sizes.append(operator.graph_bytes)
    assert sizes[1] / sizes[0] == pytest.approx(2, rel=0.1)
    assert sizes[0] > 2 * 16 * VOCABULARY * 4


class Watched(torch.autograd.Function):
    """Passes its input on; lives as long as the graph it is in."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(ctx, direction):
        return direction


def test_measuring_a_graph_leaves_nothing_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    model, freed = model_of(), []

    class Trace:
        def __del__(self) -> None:
            freed.append(True)

    def watch(module, inputs, output):
        seen = Watched.apply(output)
        seen.grad_fn.metadata["trace"] = Trace()
        return seen

    model.model.layers[0].register_forward_hook(watch)
    batch, parameters = microbatches(tokens(), size=3)[0], tuple(model.parameters())
    graph_module.graph_bytes("hessian", model, batch, parameters)
    assert freed == [True]
    with open_operator(model, [batch], graph="keep"):
        assert len(freed) == 2
    assert len(freed) == 3


# What it leaves behind


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("attention", ["sdpa", "eager", "fused"])
def test_the_model_is_left_as_it_was(fails: bool, attention: str) -> None:
    model = model_of("llama")
    AttentionInterface.register("fused", sdpa_attention_forward)
    AttentionMaskInterface.register("fused", sdpa_mask)
    model.set_attn_implementation(attention)
    model.train()
    model.model.layers[0].eval()
    model.model.norm.weight.requires_grad_(False)
    model.lm_head.weight.grad = torch.ones_like(model.lm_head.weight)
    before = _state(model)
    seen = []
    model.model.layers[0].mlp.register_forward_hook(
        lambda *_: seen.append((model.training, model.config._attn_implementation))
    )
    expected = pytest.raises(ZeroDivisionError) if fails else nullcontext()
    with expected, open_operator(model, microbatches(tokens(), size=2), graph="rebuild") as one:
        assert _state(model) == before
        one(direction(one.dimension, dtype=torch.float32))
        assert _state(model) == before
        if fails:
            model.model.layers[1].register_forward_hook(lambda *_: 1 / 0)
            one(direction(one.dimension, dtype=torch.float32))
    assert _state(model) == before
    assert torch.equal(model.lm_head.weight.grad, torch.ones_like(model.lm_head.weight))
    assert set(seen) == {(False, "eager" if attention == "fused" else attention)}
    assert "model.norm.weight" not in one.layout.names


def _state(model: PreTrainedModel) -> list[object]:
    return [
        [module.training for module in model.modules()],
        [(p.requires_grad, p.grad is None, p._version) for p in model.parameters()],
        [m.config._attn_implementation for m in model.modules() if hasattr(m, "config")],
        model.config.to_dict(),
        torch.is_grad_enabled(),
        torch.backends.cuda.flash_sdp_enabled(),
    ]


def test_dropout_and_the_callers_contexts_change_nothing() -> None:
    quiet, model = MODELS["gpt2"](), MODELS["gpt2"]()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    model.train()
    batches, vector = microbatches(tokens(), size=3), vector_for(quiet)
    with open_operator(quiet, batches) as operator:
        expected = operator(vector)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for graph in ("keep", "rebuild"):
            with open_operator(model, batches, graph=graph) as operator:
                assert torch.equal(operator(vector), expected)


def test_an_unseen_weight_has_no_curvature() -> None:
    model = model_of()
    model.spare = nn.Parameter(torch.ones(3))
    for kind in ("hessian", "gauss_newton"):
        with open_operator(model, microbatches(tokens(), size=2), kind=kind) as operator:
            product = operator(vector_for(model))
            place = operator.layout.slice_of("spare")
            assert torch.equal(product[place], torch.zeros(3))
            assert torch.equal(operator.gradient[place], torch.zeros(3))
            assert product.count_nonzero() > 0.9 * (operator.dimension - 3)
    with (
        pytest.raises(BadModel, match="do not depend"),
        open_operator(model, microbatches(tokens(), size=2), parameters=["spare"]),
    ):
        pass


# What it refuses


def opened(model: nn.Module, batches: object = None, **options: object) -> None:
    if batches is None:
        batches = microbatches(tokens(), size=2)
    with open_operator(model, batches, **options) as operator:
        operator(torch.ones(operator.dimension, dtype=operator.dtype))


def test_weights_must_be_wide_trainable_and_finite() -> None:
    with pytest.raises(BadModel, match=r"torch\.bfloat16.*torch\.float32"):
        opened(model_of().bfloat16())
    with pytest.raises(BadModel, match="requires_grad=False"):
        opened(model_of().requires_grad_(False))
    broken = model_of()
    broken.model.norm.weight.data[0] = float("nan")
    with pytest.raises(BadInput, match="microbatch 0 is nan"):
        opened(broken)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["lm_head.weight"], "another name of the tied weight 'model.embed_tokens.weight'"),
        (["no.such"], "'no.such' is no parameter"),
        (["model.norm.weight"], "not trainable"),
        ([], "at least 1"),
    ],
)
def test_a_block_needs_names_of_trainable_weights(names: list[str], why: str) -> None:
    model = model_of()
    model.model.norm.weight.requires_grad_(False)
    with pytest.raises(BadParameter, match=why):
        opened(model, parameters=names)


def test_batches_must_predict_something_in_the_vocabulary() -> None:
    ids = tokens(2)
    none = Microbatch(ids, torch.full_like(ids, -100))
    first_only = Microbatch(ids, torch.where(torch.arange(6) == 0, ids, -100))
    for silent in (none, first_only):
        with pytest.raises(BadCorpus, match="microbatch 1 predicts no token"):
            opened(model_of(), [Microbatch(ids, ids), silent])
    with pytest.raises(BadCorpus, match="no microbatch"):
        opened(model_of(), ())
    for wrong in (VOCABULARY, -1):
        with pytest.raises(BadCorpus, match="from 0 to 12"):
            opened(model_of(), [Microbatch(ids, torch.full_like(ids, wrong))])
    with pytest.raises(BadParameter, match="shapes"):
        Microbatch(ids, ids[:, 1:])
    with pytest.raises(BadParameter, match=r"torch\.int32"):
        Microbatch(ids.int(), ids)
    with pytest.raises(BadParameter, match="size=0"):
        microbatches(ids, size=0)


def test_unknown_choices_and_wrong_vectors_are_named() -> None:
    with pytest.raises(BadParameter, match="kind='fisher'"):
        opened(model_of(), kind="fisher")
    with pytest.raises(BadParameter, match="graph='maybe'"):
        opened(model_of(), graph="maybe")
    with open_operator(model_of(), microbatches(tokens(), size=2)) as operator:
        for wrong in (torch.ones(3), torch.ones(operator.dimension).double()):
            with pytest.raises(BadParameter, match=f"takes \\({operator.dimension},\\)"):
                operator(wrong)
    with pytest.raises(BadInput, match="closed"):
        operator(torch.ones(operator.dimension))


@pytest.mark.parametrize("graph", ["keep", "rebuild"])
def test_weights_that_change_are_noticed(graph: str) -> None:
    model = model_of()
    with open_operator(model, microbatches(tokens(), size=2), graph=graph) as operator:
        with torch.no_grad():
            model.model.norm.weight.mul_(2)
        with pytest.raises(BadInput, match="weights changed"):
            operator(vector_for(model))


class Fused(torch.autograd.Function):
    """As a fused kernel: a derivative, but no second one."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, direction):
        return 2 * ctx.saved_tensors[0] * direction


class Plain(nn.Module):
    """A model that is none of transformers', with attention of torch's own."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, 8)
        self.embed.weight.data = direction(8 * VOCABULARY).view(-1, 8).float()
        self.fused = fused

    def forward(self, input_ids, use_cache=False):
        x = self.embed(input_ids)
        mixed = nn.functional.scaled_dot_product_attention(*3 * [x[:, None]], is_causal=True)
        mixed = Fused.apply(mixed) if self.fused else mixed.square()
        return SimpleNamespace(logits=mixed[:, 0] @ self.embed.weight.T)


@pytest.mark.parametrize("kind", ["hessian", "gauss_newton"])
@pytest.mark.parametrize("graph", ["keep", "rebuild"])
def test_a_model_without_a_second_derivative_is_named(kind: str, graph: str) -> None:
    opened(Plain(), kind=kind, graph=graph)
    with pytest.raises(BadModel, match="cannot be differentiated twice"):
        opened(Plain(fused=True), kind=kind, graph=graph)


def test_a_kernel_without_a_second_derivative_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if torch's plain kernel could not be had."""
    monkeypatch.setattr("collapse.probes.curvature.attention.sdpa_kernel", lambda _: nullcontext())
    with pytest.raises(BadModel, match=r"differentiated twice: derivative for .*attention"):
        opened(Plain())


# Layout and memory


def test_layout_goes_there_and_back() -> None:
    model = model_of()
    layout = ParameterLayout.of(model)
    assert "lm_head.weight" not in layout.names
    assert layout.dimension == sum(p.numel() for p in model.parameters())
    vector = vector_for(model)
    parts = layout.unflatten(vector)
    assert [part.shape for part in parts] == list(layout.shapes)
    assert torch.equal(layout.flatten(parts), vector)
    name = "model.layers.1.self_attn.k_norm.weight"
    assert torch.equal(vector[layout.slice_of(name)], parts[layout.names.index(name)])
    with pytest.raises(BadParameter, match="lm_head"):
        layout.slice_of("lm_head.weight")


def test_a_containers_limit_counts(tmp_path) -> None:
    assert container_bytes_left(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 400\ninactive_file 250\n")
    assert container_bytes_left(tmp_path) == 550
    (tmp_path / "memory.max").write_text("max\n")
    assert container_bytes_left(tmp_path) is None
    assert free_bytes(torch.device("cpu")) > 0
