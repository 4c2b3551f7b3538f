"""Names that claims may be about: all that are kept, and no misspelt one."""

import pytest

from analysis.metrics import is_error
from analysis.metrics.catalogue import _CATALOGUE
from collapse.errors import BadParameter
from collapse.language.task_rows import TASK_NAMES
from collapse.numerics.pruning import STRATEGIES
from collapse.parameters.metric_names import MEASURED_BY, METRIC_NAMES, require_metric
from collapse.probes.heads.spectra import WHICH
from collapse.stages.mechanism import RISE_RADII


def test_every_metric_that_the_report_has_words_for_may_be_claimed() -> None:
    for name in _CATALOGUE:
        if not is_error(name) and not name.startswith("corpus/"):  # those have no generation
            require_metric(name, "claim")


def test_what_stages_name_by_their_own_lists_is_known() -> None:
    names = [f"svd/{which}/participation_ratio" for which in WHICH]
    names += [f"surgery/{strategy}/excess_nats" for strategy in STRATEGIES]
    names += [f"landscape/{name}_nats" for name in RISE_RADII]
    names += [f"benchmark/{task}/floor" for task in TASK_NAMES]
    for name in (*names, "drift/layer_11", "hessian/human/layer_3/lambda_min"):
        require_metric(name, "claim")


def test_every_family_that_a_probe_measures_has_names() -> None:
    assert set(MEASURED_BY) <= {name.partition("/")[0] for name in METRIC_NAMES}
    assert len(METRIC_NAMES) == len(set(METRIC_NAMES))


def test_every_family_is_measured_by_a_probe_or_by_training() -> None:
    """A claim on another would pass for one that something measures."""
    by_training = {"learner", "train", "text", "synthesis", "validation"}
    assert {name.partition("/")[0] for name in METRIC_NAMES} == {*MEASURED_BY, *by_training}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("human/nll_nat", r"did you mean human/nll_nats\?"),
        ("quallity/distinct_2", r"did you mean quality/distinct_2\?"),
        ("truth/kl", "of truth there are kl_nats_per_story"),
        ("fluency", "names begin with one of human, own"),
        ("human/nll_nats_se", r"did you mean human/nll_nats\?"),
        ("corpus/tokens_per_document", "names begin with"),
    ],
)
def test_what_nothing_measures_is_refused_with_what_was_meant(name: str, hint: str) -> None:
    with pytest.raises(BadParameter, match=hint):
        require_metric(name, "claim 'c'")
