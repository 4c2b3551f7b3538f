"""Products of an operator whose graphs are split, beside those of kept graphs."""

import pytest
import torch

from collapse.probes.curvature import microbatches, open_operator
from collapse.probes.curvature import operator as operator_module
from collapse.probes.curvature.compiled import CannotSplit
from tests.probes.curvature_models import MODELS, direction, tokens


@pytest.mark.parametrize("kind", ["hessian", "gauss_newton"])
@pytest.mark.parametrize("name", MODELS)
def test_products_are_those_of_kept_graphs(name: str, kind: str) -> None:
    model = MODELS[name]()
    batches = microbatches(tokens(), size=2)
    with (
        open_operator(model, batches, kind=kind, graph="keep") as kept,
        open_operator(model, batches, kind=kind, graph="split") as split,
    ):
        assert split.graph == "kept"
        for seed in range(3):
            vector = direction(kept.dimension, seed, torch.float32)
            theirs, ours = kept(vector), split(vector)
            assert float((ours - theirs).norm() / theirs.norm()) < 1e-5
            parts = [one.part(1, vector) for one in (kept, split)]
            assert float((parts[0] - parts[1]).norm() / parts[0].norm()) < 1e-5
        assert split.graph == "split"
        assert split.products == kept.products


def test_a_graph_that_cannot_be_split_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise CannotSplit("no")

    monkeypatch.setattr(operator_module, "split", refuse)
    model = MODELS["llama"]()
    with (
        open_operator(model, microbatches(tokens(), size=2), graph="keep") as kept,
        open_operator(model, microbatches(tokens(), size=2), graph="split") as split,
    ):
        vector = direction(kept.dimension, 1, torch.float32)
        torch.testing.assert_close(split(vector), kept(vector), rtol=0, atol=0)
        torch.testing.assert_close(split(vector), kept(vector), rtol=0, atol=0)
        assert split.graph == "kept"
