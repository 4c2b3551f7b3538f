import numpy as np
import pandas as pd
import pytest

from analysis.figures import Plate
from analysis.report.page import environment
from analysis.scaling.curves import rates_plate, scaling_plates
from analysis.scaling.figures import scaling_plate, spread_in_words
from analysis.scaling.findings import ScalingFindings, scaling_findings
from analysis.scaling.section import scaling_files, scaling_lines, scaling_section
from analysis.study import StudyRecord
from tests.analysis.made_up_scaling import (
    ARMS,
    SETTINGS,
    SHAPES,
    made_up_dynamics,
    made_up_scaling,
    study_of_scaling,
)
from tests.analysis.made_up_study import made_up_study
from tests.analysis.report.test_report import read


def found_in(
    rows: pd.DataFrame | None = None, dynamics: pd.DataFrame | None = None
) -> ScalingFindings:
    looked_at = pd.DataFrame() if dynamics is None else dynamics
    found = scaling_findings(study_of_scaling(rows, dynamics=looked_at))
    assert found is not None
    return found


def said(found: ScalingFindings) -> str:
    template = environment().get_template("scaling/section.html.j2")
    return read(template.render(part=scaling_section(found), figures=[])).text


@pytest.fixture(scope="module")
def found() -> ScalingFindings:
    return found_in(dynamics=made_up_dynamics())


@pytest.fixture(scope="module")
def plates(found: ScalingFindings) -> dict[str, Plate]:
    return {plate.name: plate for plate in scaling_plates(found)}


def test_section_says_what_was_planted(found: ScalingFindings) -> None:
    text = said(found)
    for words in (
        "xlarge has the best overall score",
        "It is told from every other arm.",
        "Loss falls with body parameters to the power of −0.3",
        "No power law of loss over steps is told. The points lie further",
        "From 5,000 steps on no doubling is told to improve the loss of medium",
        "Twice the parameters: loss −",
        "AdamW alone instead of Muon: loss +0.",
        "Ten times the parameters bring more to",
        "undecided for 1 of 5 tasks",
        "medium (control)",
    ):
        assert words in text, words
    assert "nan" not in text.lower().split()


def test_three_seeds_are_said_to_decide_nothing() -> None:
    lines = scaling_lines(found_in(made_up_scaling(range(3))))
    assert lines[0] == "What scaling says:"
    assert "3 seeds: an exact paired test can reach p = 0.25 at best" in lines[-2]


def test_files_hold_every_table(found: ScalingFindings) -> None:
    files = scaling_files(found)
    laws = files["scaling_laws.csv"]
    assert list(laws["over"])[:3] == ["body parameters", "parameters", "body parameters"]
    assert list(laws["over"])[3:] == ["steps"]
    assert laws.loc[0, "told"]
    assert len(files["scaling_chains.csv"]) == 6 * len(ARMS)
    assert len(files["scaling_returns.csv"]) == 6
    assert len(files["scaling_tasks.csv"]) == 5 * 4
    assert list(files["scaling_best.csv"]["arm"]) == ["xlarge", "xlarge"]


def test_figures_in_their_order_with_findings_as_titles(plates: dict[str, Plate]) -> None:
    assert list(plates) == [
        *("scaling_benchmark", "scaling_laws", "scaling_tasks"),
        *("scaling_dynamics", "scaling_rates"),
    ]
    assert plates["scaling_benchmark"].title.startswith("xlarge scores best")
    assert plates["scaling_laws"].title.startswith("Loss falls with body parameters")
    assert "pairs of tasks are told to rank the 11 arms alike" in plates["scaling_tasks"].title
    assert plates["scaling_dynamics"].title.startswith("From 5,000 steps on no doubling")
    assert plates["scaling_rates"].title.startswith("Loss is least at a learning rate of 0.014")


def test_a_curve_is_drawn_only_where_a_law_is_told(plates: dict[str, Plate]) -> None:
    rows = made_up_scaling()
    means = {"tiny": 4.0, "small": 3.9, "medium": 3.8, "large": 2.0, "xlarge": 1.9}
    for arm, mean in means.items():
        some = (rows["arm"] == arm) & (rows["metric"] == "human/nll_nats")
        rows.loc[some, "value"] = mean * (1 + 0.003 * np.random.default_rng(3).normal(size=6))
        rows.loc[some, "value"] += 0.003 * np.random.default_rng(len(arm)).normal(size=6)
    refused = scaling_plate(found_in(rows))
    assert refused is not None
    assert refused.title.startswith("No power law over body parameters: the points lie further")
    assert not refused.figure.axes[0].collections
    assert plates["scaling_laws"].figure.axes[0].collections


def test_points_of_the_benchmark_are_means(
    found: ScalingFindings, plates: dict[str, Plate]
) -> None:
    (axes,) = plates["scaling_benchmark"].figure.axes
    drawn = {
        round(float(line.get_xdata()[0]), 6)
        for line in axes.get_lines()
        if line.get_marker() != "None"
    }
    means = found.tables.means("benchmark/squad/em")
    assert {round(100 * mean, 6) for mean in means} <= drawn


@pytest.mark.parametrize("seeds", [1, 2])
def test_thin_studies_still_make_a_section(seeds: int) -> None:
    rows = made_up_scaling(range(seeds))
    rows = rows[~((rows["arm"] == "tiny") & (rows["seed"] == seeds - 1))]
    thin = found_in(rows, made_up_dynamics(range(seeds)))
    text = said(thin)
    assert f"Without an overall score: tiny seed {seeds - 1}." in text
    assert "nan" not in text.lower().split()
    assert scaling_plates(thin)


def with_three_seeds(*arms: str) -> StudyRecord:
    """Six seeds, of which these arms were given three."""
    rows = made_up_scaling()
    kept = rows[~rows["arm"].isin(arms) | (rows["seed"] < 3)]
    return study_of_scaling(kept, arm_seeds=dict.fromkeys(arms, 3))


def test_an_arm_planned_with_fewer_seeds_takes_none_from_the_others() -> None:
    thin = "rate_0.05"
    found = scaling_findings(with_three_seeds(thin))
    without = scaling_findings(study_of_scaling(arms=tuple(arm for arm in ARMS if arm != thin)))
    assert found is not None
    assert without is not None
    assert found.best == without.best
    assert found.associations == without.associations
    assert found.tasks is not None
    assert (found.tasks.n_seeds, thin in found.tasks.arms) == (6, False)
    assert {one.asked.first: one.n_seeds for one in found.answers}[thin] == 3
    text = said(found)
    assert "of 6 seeds." in text
    assert "no other arm loses seeds: rate_0.05 (3 of 6 seeds planned)." in text
    assert any("rate_0.05 (3 of 6" in line for line in scaling_lines(found))
    assert "exact paired test can reach" not in text
    assert "Without an overall score" not in text
    captions = {plate.name: plate.caption for plate in scaling_plates(found)}
    assert "mean over 3 to 6 seeds." in captions["scaling_benchmark"]


def test_seeds_that_only_the_control_has_are_not_counted() -> None:
    found = scaling_findings(with_three_seeds(*(arm for arm in ARMS if arm != "medium")))
    assert found is not None
    assert [one.n_seeds for one in found.best] == [3, 3]
    text = said(found)
    assert "3 seeds: an exact paired test can reach p = 0.25 at best" in text
    assert "draws of so few seeds" in text
    assert "loses seeds" not in text


@pytest.mark.parametrize(
    ("n_seeds", "words"),
    [
        ([1, 1], "There is one seed, so there are no bars."),
        ([2, 1], "Bars span two seeds."),
        ([6, 6], "Bars are 95 % t-intervals of the mean over 6 seeds."),
        ([6, 2, 3], "mean over 3 to 6 seeds; of two seeds they span both."),
    ],
)
def test_captions_say_what_bars_there_are(n_seeds: list[int], words: str) -> None:
    assert spread_in_words(n_seeds).endswith(words)


def test_a_study_that_knows_no_settings_says_so() -> None:
    bare = scaling_findings(study_of_scaling(arm_settings={}))
    assert bare is not None
    assert bare.associations == ()
    assert "nan" not in said(bare).lower().split()
    assert rates_plate(bare) is None


def test_other_studies_have_no_such_section() -> None:
    assert scaling_findings(made_up_study()) is None
    rows = made_up_scaling()
    assert scaling_findings(study_of_scaling(rows[rows["metric"] == "human/nll_nats"])) is None
    alone = study_of_scaling(rows[rows["arm"] == "tiny"], arms=("tiny",))
    assert scaling_findings(alone) is None
    assert set(SHAPES) < set(SETTINGS)
