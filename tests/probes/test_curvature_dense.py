"""Products against matrices: closed forms first, then dense float64 ones of every model family."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from collapse.probes.curvature import Microbatch, microbatches, open_operator
from tests.probes.curvature_models import (
    MODELS,
    VOCABULARY,
    Dense,
    direction,
    relative_error,
    tokens,
)


class Bigram(nn.Module):
    """Softmax regression on the last token: the logits are a row of a table."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        rows = direction(VOCABULARY * VOCABULARY).view(VOCABULARY, VOCABULARY)
        self.table = nn.Parameter(rows.to(dtype))

    def forward(self, input_ids, use_cache=False):
        return SimpleNamespace(logits=self.table[input_ids])


class SquareOfOne(nn.Module):
    """Two tokens, whose logits are (a^2, 0) of one number a."""

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float64))

    def forward(self, input_ids, use_cache=False):
        zeros = torch.zeros_like(self.a)
        row = torch.stack([self.a.square(), zeros])
        return SimpleNamespace(logits=row.expand(*input_ids.shape, 2))


def bigram_hessian(table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """A block diag(p) - p p^T for every token, by how often it is the last one."""
    size = len(table)
    hessian = np.zeros((size, size, size, size))
    for last in ids[:, :-1].ravel():
        p = np.exp(table[last]) / np.exp(table[last]).sum()
        hessian[last, :, last, :] += np.diag(p) - np.outer(p, p)
    return hessian.reshape(size**2, size**2) / ids[:, 1:].size


@pytest.mark.parametrize("kind", ["hessian", "gauss_newton"])
@pytest.mark.parametrize("graph", ["keep", "rebuild"])
def test_softmax_regression_has_its_closed_form(kind: str, graph: str) -> None:
    """A model linear in its weights: Hessian and Gauss-Newton matrix are one, known by formula."""
    model, ids = Bigram(), tokens(5, 9)
    truth = bigram_hessian(model.table.detach().numpy(), ids.numpy())
    with open_operator(model, microbatches(ids, size=2), kind=kind, graph=graph) as operator:
        found = torch.stack([operator(row) for row in torch.eye(VOCABULARY**2).double()])
    np.testing.assert_allclose(found.numpy(), truth, atol=1e-15)


@pytest.mark.parametrize("a", [0.7, -3.0])
def test_one_number_by_hand(a: float) -> None:
    """L = log(1 + exp(-a^2)): L' = -2as, L'' = -2s + 4a^2 s(1 - s) with s = 1 / (1 + exp(a^2))."""
    s = 1 / (1 + np.exp(a**2))
    gauss_newton = 4 * a**2 * s * (1 - s)
    batch = microbatches(torch.zeros(1, 4, dtype=torch.int64), size=1)
    one = torch.ones(1, dtype=torch.float64)
    with open_operator(SquareOfOne(a), batch) as operator:
        assert operator.loss_nats == pytest.approx(np.log1p(np.exp(-(a**2))), rel=1e-11)
        assert float(operator.gradient) == pytest.approx(-2 * a * s, rel=1e-11)
        assert float(operator(one)) == pytest.approx(gauss_newton - 2 * s, rel=1e-11)
    with open_operator(SquareOfOne(a), batch, kind="gauss_newton") as operator:
        assert float(operator(one)) == pytest.approx(gauss_newton, rel=1e-11)


@pytest.fixture(scope="module", params=MODELS)
def family(request: pytest.FixtureRequest) -> SimpleNamespace:
    """A model of each family, tokens of which some are ignored, and its dense matrices."""
    make = MODELS[request.param]
    ids = tokens()
    labels = ids.clone()
    labels[0, 3] = labels[1, 1:4] = -100
    dense = Dense(make().double(), ids, labels)
    return SimpleNamespace(
        make=make,
        # transformers' own norms and rotations are float32 inside, whatever the weights are.
        inside=1e-12 if request.param.startswith(("tied", "layer", "gpt2")) else 1e-5,
        batches=[Microbatch(ids[:2], labels[:2]), Microbatch(ids[2:], labels[2:])],
        dense=dense,
        hessian=dense.hessian(),
        gauss_newton=dense.gauss_newton(),
    )


@pytest.mark.parametrize("kind", ["hessian", "gauss_newton"])
def test_products_are_the_dense_ones(family: SimpleNamespace, kind: str) -> None:
    matrix = getattr(family, kind)
    vector = direction(len(matrix))
    with open_operator(family.make().double(), family.batches, kind=kind) as exact:
        assert relative_error(exact(vector), matrix @ vector) < family.inside
    with open_operator(family.make(), family.batches, kind=kind) as single:
        found = single(vector.float())
        assert found.dtype == torch.float32
        assert relative_error(found, matrix @ vector) < 1e-5


def test_loss_and_gradient_are_the_models_own(family: SimpleNamespace) -> None:
    model = family.make().double()
    batch = Microbatch(*(torch.cat(parts) for parts in zip(*_fields(family.batches), strict=True)))
    loss = model(input_ids=batch.input_ids_BxT, labels=batch.labels_BxT).loss
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])
    for graph in ("keep", "rebuild"):
        with open_operator(model, family.batches, graph=graph) as operator:
            # Its loss is a float32 one in transformers.
            assert operator.loss_nats == pytest.approx(float(loss), rel=1e-6)
            assert relative_error(operator.gradient, gradient) < 1e-5


def _fields(batches: list[Microbatch]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(batch.input_ids_BxT, batch.labels_BxT) for batch in batches]


@pytest.mark.parametrize("kind", ["hessian", "gauss_newton"])
def test_products_are_symmetric(family: SimpleNamespace, kind: str) -> None:
    with open_operator(family.make(), family.batches, kind=kind) as operator:
        u, v = (direction(operator.dimension, seed, torch.float32) for seed in (1, 2))
        left, right = u.double() @ operator(v).double(), v.double() @ operator(u).double()
        size = operator(u).double().norm() * v.double().norm()
    assert abs(left - right) < 1e-6 * size


def test_gauss_newton_has_no_negative_direction(family: SimpleNamespace) -> None:
    """But the Hessian has: the directions of its smallest eigenvalues are the trial."""
    values, vectors = torch.linalg.eigh((family.hessian + family.hessian.T) / 2)
    assert values[0] < -1e-3
    with open_operator(family.make().double(), family.batches, kind="gauss_newton") as operator:
        for vector in vectors[:, :5].T:
            assert vector @ operator(vector.contiguous()) >= -1e-9


def test_a_block_is_that_of_the_whole_matrix(family: SimpleNamespace) -> None:
    model = family.make().double()
    names = [n for n, _ in model.named_parameters() if ".1." in n][::-1]
    with open_operator(model, family.batches) as whole:
        places = torch.cat([torch.arange(whole.dimension)[whole.layout.slice_of(n)] for n in names])
    with open_operator(model, family.batches, parameters=names) as block:
        assert block.layout.names == tuple(names[::-1])
        rows = torch.sort(places).values
        vector = direction(block.dimension)
        expected = family.hessian[rows][:, rows] @ vector
        assert relative_error(block(vector), expected) < family.inside
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_mask_hides_padding() -> None:
    """Rows padded on the right, their labels ignored, are the rows without padding."""
    model, short, long = MODELS["llama"](), tokens(1, 4), tokens(1, 7, seed=5)
    ids = torch.cat([torch.nn.functional.pad(short, (0, 3)), long])
    mask = torch.ones_like(ids)
    mask[0, 4:] = 0
    padded = Microbatch(ids, torch.where(mask == 1, ids, -100), mask)
    apart = [Microbatch(short, short), Microbatch(long, long)]
    vector = direction(sum(p.numel() for p in model.parameters()), dtype=torch.float32)
    with open_operator(model, [padded]) as together, open_operator(model, apart) as separate:
        assert separate.shares == (3 / 9, 6 / 9)
        assert together.loss_nats == pytest.approx(separate.loss_nats, rel=1e-6)
        assert relative_error(together(vector), separate(vector).double()) < 1e-5
