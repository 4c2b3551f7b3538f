import pytest

from analysis.metrics import is_error, metric_info
from analysis.metrics.code import CODE_METRICS
from analysis.metrics.models import MODEL_METRICS
from analysis.metrics.origins import ORIGIN_METRICS
from analysis.metrics.tasks import TASK_METRICS, TASKS
from analysis.metrics.texts import TEXT_METRICS
from collapse.language.task_rows import TASK_NAMES

METRICS = (*MODEL_METRICS, *ORIGIN_METRICS, *TEXT_METRICS, *CODE_METRICS, *TASK_METRICS)


def test_every_metric_is_in_the_catalogue_once() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert [metric_info(metric.name) for metric in METRICS] == list(METRICS)


def test_what_people_do_is_told_as_what_models_do() -> None:
    people = [metric for metric in METRICS if metric.name.endswith("_human")]
    assert len(people) == 12
    for one in people:
        model = metric_info(one.name.removesuffix("_human"))
        assert (one.unit, one.is_share, one.ceiling) == (model.unit, model.is_share, model.ceiling)
        assert one.label.startswith(model.label)


@pytest.mark.parametrize(
    ("name", "written", "difference"),
    [
        ("quality/collapse_rate", "12.5 %", "+12.5 points"),
        ("quality/class_mode_collapse", "12.5 %", "+12.5 points"),
        ("quality/parse_rate_human", "12.5 %", "+12.5 points"),
        ("quality/copied_fraction", "12.5 %", "+12.5 points"),
        ("human/bits_per_byte", "0.125", "+0.125 bits"),
        ("quality/self_bleu", "0.1", "+0.1 of 100"),
        ("quality/rouge_l_human", "0.125", "+0.125"),
        ("train/flops", "0.125", "+0.125 floating-point operations"),
        ("benchmark/piqa/acc", "12.5 %", "+12.5 points"),
        ("benchmark/overall", "12.5 %", "+12.5 points"),
        ("benchmark/overall_per_training_hour", "0.125", "+0.125 score an hour"),
        ("never/heard_of", "0.125", "+0.125"),
    ],
)
def test_numbers_are_written_in_their_units(name: str, written: str, difference: str) -> None:
    info = metric_info(name)
    assert info.write(0.125) == written
    assert info.write_difference(0.125) == difference


def test_a_share_names_what_it_is_a_share_of() -> None:
    for metric in METRICS:
        assert metric.is_share == metric.unit.startswith("%"), metric.name


def test_the_tasks_are_those_that_are_asked_and_their_errors_are_known_as_such() -> None:
    assert tuple(TASKS) == TASK_NAMES
    assert is_error("benchmark/piqa/acc_stderr")
    assert not is_error("benchmark/piqa/acc")
