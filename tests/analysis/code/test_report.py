import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer

from analysis.code.figures import classes_plate, code_plates, parse_plate
from analysis.code.findings import CodeFindings, code_findings
from analysis.figures import Plate
from analysis.report.writing import markdown_summary, write_report
from analysis.statistics import t_interval
from analysis.study import StudyRecord
from tests.analysis.made_up_code import ARMS, EFFECTS, PROMPTS, made_up_code, study_of_code
from tests.analysis.made_up_study import made_up_study, only
from tests.analysis.report.test_report import read


def found_in(record: StudyRecord) -> CodeFindings:
    found = code_findings(record)
    assert found is not None
    return found


def drawn(plate: Plate | None) -> Plate:
    assert plate is not None
    return plate


def values(record: StudyRecord, metric: str, arm: str) -> pd.Series:
    rows = record.measurements
    return rows.loc[(rows["metric"] == metric) & (rows["arm"] == arm), "value"]


@pytest.fixture(scope="module")
def record() -> StudyRecord:
    return study_of_code()


@pytest.fixture(scope="module")
def page(record: StudyRecord, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("code")
    return write_report(record, folder).read_text(encoding="utf-8"), folder


def test_page_has_a_section_of_code_before_the_numbers(page: tuple[str, Path]) -> None:
    text, folder = page
    parts = re.findall(r"<h2[^>]*id=\"(\w+)\"", text)
    assert parts.index("code") == parts.index("numbers") - 1
    said = read(text).text
    for words in (
        "Less text raises collapse by 36.0 points",
        "Not at equal compute with base: characters (1.30×)",
        "Vocabulary and capacity together bring more collapse than the sum of either.",
        "the primary contrast, n = 6",
        "step-down max-T with joint sign flips",
        "Likelihoods of arms that alarm are not compared.",
        "What do characters for tokens do? (1.30× the compute)",
        "(large_both − large_model) − (large_vocabulary − base)",
        "Decoded as in greedy",
        "no_mask (ALARM)",
        "not to be believed (0.038 ± 0.016)",
        "people's code, cut at as many of its tokens, parses in 71",
        "No likelihood of an arm that alarms is evidence of anything, here or below.",
    ):
        assert words in said, words
    assert "nan" not in said.lower().split()
    assert {path.stem for path in (folder / "figures").iterdir()} == {"code_classes", "code_parse"}


def test_five_completions_of_every_arm_stand_side_by_side(page: tuple[str, Path]) -> None:
    text, _ = page
    assert text.count('<pre class="code">') == 5 * len(ARMS)
    shown = [prompt for prompt in PROMPTS if f"<pre>{prompt}</pre>" in text]
    assert shown == list(PROMPTS[:10:2])
    assert "return x + 2  # hot &lt;b&gt;" in text
    assert "<b>" not in text
    assert "at seed 0: none was chosen" in read(text).text
    assert "good, parses up to a line" in text


def test_a_completion_says_whether_it_parses(record: StudyRecord, tmp_path: Path) -> None:
    rows = record.completions
    changed = rows.assign(kept="", completion="x" * 900).astype({"parses": object})
    changed.loc[changed["arm"] == "hot", "parses"] = True
    here = changed[(changed["arm"] != "beam") & (changed["seed"] > 2)]
    text = write_report(replace(record, completions=here), tmp_path).read_text(encoding="utf-8")
    assert text.count("good, parses whole") == 5
    assert text.count("good, does not parse") == 5 * (len(ARMS) - 2)
    assert text.count("no completion</p>") == 5
    assert f"{'x' * 400} […]" in text
    assert "at seed 3: none was chosen" in read(text).text


def test_answers_and_chains_are_saved_beside_the_page(page: tuple[str, Path]) -> None:
    _, folder = page
    answers = pd.read_csv(folder / "code_answers.csv")
    data = answers[(answers["question"] == "little_data") & (answers["at"] == "collapse rate")]
    assert data[["verdict", "n_seeds", "margin"]].to_numpy().tolist() == [["higher", 6, 10.0]]
    chains = pd.read_csv(folder / "code_chains.csv")
    assert len(chains) == 6 * len(ARMS)
    assert set(chains.loc[chains["alarms"], "arm"]) == {"no_mask"}


def test_summary_says_what_the_code_says(record: StudyRecord) -> None:
    text = markdown_summary(record)
    assert "What the code says:\n\n- Less text raises collapse by 36.0 points" in text
    assert "| arm | compute | collapse rate | parse rate | bits per byte |" in text
    assert "| characters | 1.30× | 44.7 ± 1.9 % |" in text
    assert "| no_mask (ALARM) | 1.00× | 96.3 ± 1.5 % | 0.9 ± 0.6 % | not to be believed (" in text


def test_a_study_without_code_says_nothing_of_it(tmp_path: Path) -> None:
    record = only(made_up_study(), "own/nll_nats")
    text = write_report(record, tmp_path).read_text(encoding="utf-8")
    assert 'id="code"' not in text
    assert not list(tmp_path.glob("code_*"))
    assert "What the code says" not in markdown_summary(record)


def test_bars_are_means_and_their_edge_the_collapse_rate(record: StudyRecord) -> None:
    plate = drawn(classes_plate(found_in(record)))
    (axes,) = plate.figure.axes
    bars = [box for box in axes.containers if not isinstance(box, ErrorbarContainer)]
    widths = np.array([[patch.get_width() for patch in box] for box in bars])
    assert widths.sum(axis=0) == pytest.approx(100)
    place = ARMS.index("little_data")
    collapse = 100 * values(record, "quality/collapse_rate", "little_data")
    assert widths[:2, place].sum() == pytest.approx(collapse.mean())
    marked = [box for box in axes.containers if isinstance(box, ErrorbarContainer)][place]
    (segment,) = marked[2][0].get_segments()
    assert segment[:, 0] == pytest.approx(t_interval(collapse))
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == "base (control)"
    assert [one for one in labels if "ALARM" in one] == ["no_mask (ALARM)"]
    assert "the model of base, decoded in other ways:" in [text.get_text() for text in axes.texts]
    assert plate.title.startswith("Less text raises collapse by 36.0 points")
    assert plate.title.endswith("(alarm: no_mask)")


def test_points_are_means_and_alarming_ones_hollow(record: StudyRecord) -> None:
    plate = drawn(parse_plate(found_in(record).tables))
    (axes,) = plate.figure.axes
    points = {}
    boxes = [box for box in axes.containers if isinstance(box, ErrorbarContainer)]
    believed = [arm for arm in ARMS if arm != "no_mask"]
    for arm, box in zip(believed, boxes, strict=True):
        line = box[0]
        assert to_hex(line.get_markerfacecolor()) != "#ffffff"
        points[arm] = (*line.get_xdata(), *line.get_ydata())
    hollow = [line for line in axes.get_lines() if to_hex(line.get_markerfacecolor()) == "#ffffff"]
    rate = 100 * values(record, "quality/parse_rate", "no_mask").mean()
    # At the margin: where its bits are, the others would be crowded into a corner.
    assert [tuple(line.get_xydata()[0]) for line in hollow] == [(axes.get_xlim()[0], rate)]
    bits, rate = points["large_model"]
    assert bits == pytest.approx(values(record, "human/bits_per_byte", "large_model").mean())
    assert rate == pytest.approx(100 * values(record, "quality/parse_rate", "large_model").mean())
    across, along = (line.get_segments()[0] for line in boxes[believed.index("large_model")][2])
    assert across[:, 0] == pytest.approx(
        t_interval(values(record, "human/bits_per_byte", "large_model"))
    )
    assert along[:, 1] == pytest.approx(
        t_interval(100 * values(record, "quality/parse_rate", "large_model"))
    )
    assert any("not to be believed" in text.get_text() for text in axes.texts)
    dashed = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
    assert dashed[0].get_ydata()[0] == pytest.approx(71)
    # One of characters is another measure of the same people.
    assert "the band spans it over the tokens of all arms" in plate.caption
    assert "Over the 8 trainings to be believed, ranks correlate by −0." in plate.caption


def test_titles_change_with_the_data() -> None:
    first = found_in(study_of_code())
    levels = EFFECTS | {"little_data": (0.2, 0.6, 1.1, 1.0)}
    other = found_in(study_of_code(made_up_code(levels)))
    for draw in (classes_plate, lambda found: parse_plate(found.tables)):
        assert drawn(draw(first)).title != drawn(draw(other)).title
    assert "is little_data (1.1" in drawn(parse_plate(other.tables)).title


@pytest.mark.parametrize("seeds", [(0,), (0, 1), (0, 1, 2)])
def test_thin_studies_still_make_a_section(seeds: tuple[int, ...], tmp_path: Path) -> None:
    rows = made_up_code(seeds=seeds)
    rows = rows[(rows["arm"] != "large_both") | (rows["seed"] > 0)]
    rows = rows[~((rows["arm"] == "distilled") & (rows["metric"] == "human/bits_per_byte"))]
    record = study_of_code(rows, arms=ARMS, seeds=seeds)
    said = read(write_report(record, tmp_path).read_text(encoding="utf-8")).text
    assert f"1 of {len(ARMS) * len(seeds)} chains have no completions: large_both seed 0." in said
    assert f"{len(seeds)} chains with completions have no bits per byte." in said
    assert "nan" not in said.lower().split()
    words = {1: "There is one seed", 2: "Error bars span two seeds.", 3: "95 % t-intervals over 3"}
    assert words[len(seeds)] in said
    assert markdown_summary(record).endswith("\n")


def test_measures_that_are_missing_leave_their_figure_out(tmp_path: Path) -> None:
    rows = made_up_code(seeds=(0, 1))
    record = study_of_code(rows[rows["metric"] == "quality/collapse_rate"])
    assert code_plates(found_in(record)) == ()
    bare = replace(record, completions=pd.DataFrame(), control_arm="")
    said = read(write_report(bare, tmp_path).read_text(encoding="utf-8")).text
    assert "The study has no control: no arm is compared." in said
    assert "Completions" not in said.replace("Completions of one model", "")


def test_an_interval_stays_within_what_a_share_can_be() -> None:
    rates = {"base": (0.99, 0.01, 1.5, 1.0), "little_data": (0.999, 0.0, 1.6, 1.0)}
    found = found_in(study_of_code(made_up_code(rates, seeds=range(3), noise=0.02, leaking=())))
    for plate, axis in ((classes_plate(found), 0), (parse_plate(found.tables), 1)):
        (axes,) = drawn(plate).figure.axes
        for box in axes.containers:
            if isinstance(box, ErrorbarContainer):
                ends = np.concatenate([line.get_segments()[0][:, axis] for line in box[2][axis:]])
                assert ends.min() >= 0
                assert ends.max() <= 100
