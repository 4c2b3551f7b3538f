import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.ranks.curves import rank_plates
from analysis.ranks.findings import RankFindings, measures_table, rank_findings
from analysis.ranks.tables import RankTables
from analysis.ranks.words import sentences
from analysis.report.writing import markdown_summary, write_report
from tests.analysis.made_up_ranks import (
    ARMS,
    EFFECTS,
    NO_EFFECTS,
    made_up_ranks,
    study_of_ranks,
    sudden_share,
    without,
)
from tests.analysis.made_up_study import made_up_study, only
from tests.analysis.report.test_report import read

FIGURES = ["rank_trajectory", "rank_waterfall", "rank_simple_complex", "rank_surgery", "rank_gains"]


def found_in(ranks: RankTables, **changes: object) -> RankFindings:
    found = rank_findings(study_of_ranks(ranks, **changes))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("ranks")
    record = study_of_ranks(made_up_ranks())
    return write_report(record, folder).read_text(encoding="utf-8"), folder


def test_page_has_a_section_of_ranks_and_no_other_figures(page: tuple[str, Path]) -> None:
    text, folder = page
    parts = re.findall(r"<h2[^>]*id=\"(\w+)\"", text)
    assert parts.index("ranks") == parts.index("numbers") - 1
    assert "figures" not in parts  # one training a chain has no course over generations
    said = read(text).text
    for words in (
        "What the ranks say",
        "QK-norm costs rank: it is more than a reporter. At equal tokens: −5",
        "the primary contrast, n = 6",
        "At equal loss",
        "Complex text leaves K more rank than simple text: rank adapts to the text",
        "under QK-norm, Muon is gradual",
        "Gains are as good a guide to pruning 50 % as the SVD, and a better one than chance",
        "before the gain by",
        "at the site projection",
        "only seeds are replicates",
        "0, 31K, 61K",
        "Sudden or gradual",
        "step-down max-T with joint sign flips",
        "The same of centred keys, and of what no gauge moves",
        "QK-norm, Muon − no norm, Muon",
    ):
        assert words in said, words
    assert "nan" not in said.lower().split()
    assert {path.stem for path in (folder / "figures").iterdir()} == set(FIGURES)


def test_answers_are_saved_beside_the_page(page: tuple[str, Path]) -> None:
    _, folder = page
    table = pd.read_csv(folder / "rank_answers.csv")
    assert set(table["question"]) == {
        *("cause", "gains", "norm", "muon", "muon_plain", "data", "timing", "fall"),
        *("gain_as_svd", "random_to_gain", "random_to_svd"),
    }
    cause = table[(table["question"] == "cause") & (table["at"] == "equal tokens")].iloc[0]
    assert (cause["verdict"], cause["n_seeds"], cause["p"]) == ("lower", 6, 2 / 64)
    assert set(pd.read_csv(folder / "rank_companions.csv")["which"]) == {
        "K_centred", "scores_centred", "W_qk",
    }  # fmt: skip
    assert len(pd.read_csv(folder / "rank_changes.csv")) == len(ARMS)
    assert len(pd.read_csv(folder / "rank_measures.csv")) == len(ARMS) * 6 * 5


def test_page_of_a_study_without_ranks_says_nothing_of_them(tmp_path: Path) -> None:
    record = only(made_up_study(), "own/nll_nats")
    text = write_report(record, tmp_path).read_text(encoding="utf-8")
    assert "rank" not in text.lower()
    assert not list(tmp_path.glob("rank_*"))
    assert "ranks" not in markdown_summary(record)


def test_summary_says_what_the_ranks_say() -> None:
    text = markdown_summary(study_of_ranks(made_up_ranks()))
    assert "What the ranks say:\n\n- K loses rank in training in 7 of 7 arms" in text
    assert "- QK-norm costs rank" in text


def test_no_effect_gives_no_finding_in_any_title() -> None:
    """Neither between arms nor in time."""
    found = found_in(made_up_ranks(dict.fromkeys(ARMS, 28.0), noise=1.5))
    titles = {plate.name: plate.title for plate in rank_plates(found)}
    assert titles["rank_trajectory"].startswith("No fall of K's rank is shown in any of 5 arms")
    for name in ("rank_waterfall", "rank_simple_complex"):
        assert re.search("[Uu]ndecided|similar", titles[name]), titles[name]
    assert "no relation is shown" in titles["rank_gains"]


def test_a_reporter_is_called_one_only_where_rank_falls() -> None:
    falls = " ".join(sentences(found_in(made_up_ranks(NO_EFFECTS))))
    assert "K loses as much rank without QK-norm: QK-norm reports it" in falls
    level = " ".join(sentences(found_in(made_up_ranks(dict.fromkeys(ARMS, 28.0)))))
    assert "K's rank is similar with and without QK-norm." in level
    assert "reports it" not in level


def test_sudden_is_said_of_a_step() -> None:
    told = " ".join(sentences(found_in(made_up_ranks(share=sudden_share))))
    assert "under QK-norm, Muon is sudden" in told
    assert "It lies between 123K and 246K tokens." in told


def test_figures_without_data_are_left_out() -> None:
    ranks = made_up_ranks({arm: EFFECTS[arm] for arm in ARMS[1:5]}, seeds=(0, 1))
    found = found_in(ranks, arms=ARMS[1:5], seeds=(0, 1))
    assert [plate.name for plate in rank_plates(found)] == ["rank_trajectory", "rank_waterfall"]
    told = " ".join(sentences(found))
    assert "There are no learned gains" in told
    assert "Not measured: whether gains are a proxy of rank" in told


def test_lines_of_the_trajectory_are_means_over_seeds() -> None:
    found = found_in(without(made_up_ranks(), "ranks", "arm == 'frozen_muon'"))
    plate = next(one for one in rank_plates(found) if one.name == "rank_trajectory")
    ranks = found.tables.ranks.query("which == 'K' and arm == 'plain_muon'")
    expected = ranks.groupby("tokens")["participation_ratio"].mean()
    drawn = [line.get_ydata() for line in _thick(plate.figure) if line.get_marker() == "s"]
    assert np.asarray(drawn[0]) == pytest.approx(expected.to_numpy())
    labels = [text.get_text() for text in plate.figure.legends[0].get_texts()]
    assert labels == [
        *("QK-norm, Muon (n = 6)", "no norm, Muon (n = 6)", "QK-norm, AdamW (n = 6)"),
        *("no norm, AdamW (n = 6)", "random weights"),
    ]


def _thick(figure: Figure) -> list:
    return [line for line in figure.axes[0].get_lines() if line.get_linewidth() >= 2]


@pytest.mark.parametrize("seeds", [(0,), (0, 1), (0, 1, 2)])
def test_thin_studies_still_make_a_section(seeds: tuple[int, ...], tmp_path: Path) -> None:
    ranks = without(made_up_ranks(seeds=seeds), "all", "arm == 'simple'")
    ranks = without(ranks, "losses", "arm == 'plain_muon'")
    path = write_report(study_of_ranks(ranks, seeds=seeds), tmp_path)
    said = read(path.read_text(encoding="utf-8")).text
    assert "nan" not in said.lower().split()
    assert f"{len(seeds)} of {7 * len(seeds)} chains have no rank at the last checkpoint" in said
    assert "(nothing)" in said


def test_ranks_at_another_site_answer_nothing_and_say_so(tmp_path: Path) -> None:
    ranks = made_up_ranks(seeds=(0, 1))
    moved = RankTables(ranks=ranks.ranks.assign(site="post_rope"), losses=ranks.losses)
    said = read(
        write_report(study_of_ranks(moved, seeds=(0, 1)), tmp_path).read_text(encoding="utf-8")
    ).text
    assert "14 of 14 chains have no rank at the last checkpoint" in said


def test_measures_are_of_the_last_checkpoint() -> None:
    found = found_in(made_up_ranks(seeds=(3,)), seeds=(3,))
    table = measures_table(found)
    keys = table[(table["arm"] == "simple") & (table["which"] == "K")]
    assert keys["participation_ratio"].item() == pytest.approx(EFFECTS["simple"], abs=1.0)
    # One head of six is rank-deficient, the median is not.
    assert keys["log10_condition"].item() == pytest.approx(4.0)
