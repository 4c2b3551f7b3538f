"""What parts of a step are expected to cost beside each other."""

import re
from typing import Any

import pytest

from collapse.execution.costs import Part, parts_of
from collapse.parameters.study import load_study
from collapse.stages.plan import PROBE_DOORS, plan_chain
from tests.conftest import ROOT


def costs(**given: Any) -> dict[str, dict[str, Part]]:
    """Parts of every stage of a chain with one generation and all probes, by their kind."""
    study = load_study("quickstart", "full")
    plan = plan_chain(study, given, arm="replace", seed=0, generation=1, probes=PROBE_DOORS)
    return {step.stage: {part.kind: part for part in parts_of(step)} for step in plan.steps}


def test_every_part_that_a_stage_tells_of_has_its_cost() -> None:
    told = {
        word
        for path in (ROOT / "collapse" / "stages").rglob("*.py")
        for word in re.findall(r'workspace\.progress\(\s*f?"(\w+)', path.read_text())
    }
    known = {kind for parts in costs().values() for kind in parts}
    assert len(told) >= 8
    assert told <= known


def test_each_stage_ends_with_what_it_tells_nothing_of() -> None:
    for stage, parts in costs().items():
        *before, rest = parts.values()
        assert rest.kind == f"rest of {stage}"
        assert not rest.of_model
        assert all(part.cost > 0 for part in (*before, rest))


@pytest.mark.parametrize(
    ("stage", "kind", "setting", "small", "large"),
    [
        ("recurse_step", "training", "steps", 20, 60),
        ("recurse_step", "sampling", "documents", 100, 300),
        ("baseline", "training", "tokens_per_step", 1024, 3072),
        ("hessian", "spectrum", "probe_tokens", 512, 1536),
        ("surgery", "losses", "surgery_tokens", 1000, 3000),
        ("benchmark", "benchmark", "limit", 5, 15),
    ],
)
def test_a_cost_grows_with_the_work(
    stage: str, kind: str, setting: str, small: int, large: int
) -> None:
    still = {"evaluate_every": 0}
    before, after = (costs(**still, **{setting: n})[stage][kind].cost for n in (small, large))
    assert after == pytest.approx(3 * before)


def test_a_larger_model_costs_more_and_what_has_no_model_the_same() -> None:
    small, large = (costs(preset=name, preset_overrides="") for name in ("pocket", "qknorm-2m"))
    assert large["baseline"]["training"].cost > 2 * small["baseline"]["training"].cost
    for stage in ("prepare", "judge"):
        assert large[stage] == small[stage]


def test_a_hessian_tells_of_each_text_and_layer() -> None:
    both = {"probe_texts": "human,own"}
    assert costs(**both)["hessian"]["spectrum"].times == 2
    assert costs(probe_texts="human")["hessian"]["spectrum"].times == 1
    # Two layers, the embedding and the last norm, beside the whole.
    assert costs(**both, layer_spectra=True)["hessian"]["spectrum"].times == 2 * (1 + 4)
