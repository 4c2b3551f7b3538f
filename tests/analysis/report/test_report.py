import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from analysis.report.writing import markdown_summary, write_report
from analysis.study import StudyRecord
from collapse.errors import StoreError
from tests.analysis.made_up_study import KL_CLAIM, made_up_study, only

VOID = {"meta", "img", "br"}


class Balanced(HTMLParser):
    """Fails on a tag that is not closed, and gathers the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Balanced:
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    parser.text = " ".join(parser.text.split())
    return parser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("report")
    path = write_report(made_up_study(), folder)
    return path.read_text(encoding="utf-8"), folder


def without_figures(record: StudyRecord, folder: Path) -> Balanced:
    """The page of a study whose numbers are no figure's, to save drawing."""
    path = write_report(only(record, "own/nll_nats"), folder)
    return read(path.read_text(encoding="utf-8"))


def test_page_holds_every_figure_and_needs_nothing_else(page: tuple[str, Path]) -> None:
    text, folder = page
    embedded = [base64.b64decode(code) for code in re.findall(r"base64,([^\"]+)\"", text)]
    saved = {path.name: path.read_bytes() for path in (folder / "figures").glob("*.png")}
    assert len(embedded) == len(saved) == 6
    assert set(embedded) == set(saved.values())
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert "<script" not in text
    assert "url(" not in text


def test_the_page_in_short_shows_the_figures_beside_it(page: tuple[str, Path]) -> None:
    _, folder = page
    in_short = (folder / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[.+\]\((figures/\w+\.png)\)", in_short)
    assert {folder / one for one in shown} == set((folder / "figures").glob("*.png"))
    assert "Nothing failed." in in_short
    assert "mlflow run ." in in_short.split("## Again")[1]


def test_page_has_its_parts_in_order(page: tuple[str, Path]) -> None:
    text, _ = page
    found = re.findall(r"<h2[^>]*id=\"(\w+)\"", text)
    assert found == [
        "verdict", "control", "warnings", "inference", "figures", "numbers", "samples", "runs",
        "settings", "methods", "again",
    ]  # fmt: skip
    said = read(text).text
    for words in (
        "2 claims under test: 2 undecided.",
        "Undecided: Training on one's own text raises the KL from the truth. KL from the truth",
        "Sign-flip test Exact p of paired differences over seeds",
        "2 seeds: the smallest p a sign-flip test can reach is 0.5; 6 would reach 0.031",
        "there is no second arm of human text",
        "Met by every chain.",
        "32 finished, 0 failed",
        "mlflow run . --env-manager local -P study=quickstart",
        "shared by all arms",
    ):
        assert words in said


def test_numbers_are_saved_as_they_came(page: tuple[str, Path]) -> None:
    _, folder = page
    rows = pd.read_csv(folder / "measurements.csv", float_precision="round_trip")
    pd.testing.assert_frame_equal(rows, made_up_study().measurements)


def test_the_same_study_gives_the_same_page(tmp_path: Path) -> None:
    record = only(made_up_study(), "human/nll_nats")
    first, again = (write_report(record, tmp_path / name).read_bytes() for name in "ab")
    assert b"base64," in first
    assert first == again


def test_html_in_the_data_stays_text(tmp_path: Path) -> None:
    attack = "<script>alert('x')</script><b>&amp;"
    record = made_up_study()
    record = replace(
        record,
        name=attack,
        question=attack,
        claims=(replace(KL_CLAIM, statement=attack, refuted_if=attack),),
        settings={"note": attack, "commands": [attack]},
        samples=record.samples.assign(text=attack),
        runs=record.runs.assign(stage=attack),
    )
    parsed = without_figures(record, tmp_path)
    assert not {"script", "b"} & set(parsed.tags)
    assert parsed.text.count(attack) > 10


def test_runs_of_whole_chains_have_neither_stage_nor_generation(tmp_path: Path) -> None:
    record = made_up_study()
    runs = record.runs.astype(object)
    runs.loc[0, ["stage", "generation", "seconds", "fingerprint"]] = None
    text = without_figures(replace(record, runs=runs), tmp_path).text
    assert "All 32 runs" in text
    assert "None" not in text.split()


def test_failed_runs_and_broken_chains_are_shown_and_counted(tmp_path: Path) -> None:
    record = made_up_study()
    runs = record.runs.astype(object)
    runs.loc[5, ["status", "seconds", "fingerprint"]] = ["FAILED", None, None]
    rows = record.measurements
    stopped = (rows["arm"] == "replace") & (rows["seed"] == 0) & (rows["generation"] > 1)
    record = replace(record, runs=runs, measurements=rows[~stopped])
    parsed = without_figures(record, tmp_path)
    assert "31 finished, 1 failed" in parsed.text
    assert "1 of 4 chains did not reach generation 3" in parsed.text
    assert "replace, seed 0: last measured at generation 1" in parsed.text
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count('<tr class="broken">') == 2
    in_short = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert in_short.count("- FAILED: ") == 1


def test_chains_that_were_not_planned_are_not_missed(tmp_path: Path) -> None:
    record = replace(made_up_study(), arm_seeds={"replace": 1})
    rows = record.measurements
    absent = (rows["arm"] == "replace") & (rows["seed"] == 1)
    stopped = (rows["arm"] == "fresh") & (rows["seed"] == 0) & (rows["generation"] > 1)
    parsed = without_figures(replace(record, measurements=rows[~absent & ~stopped]), tmp_path)
    assert "1 of 3 chains did not reach generation 3" in parsed.text
    assert "replace seed 1" not in parsed.text
    assert "replace (1 seed), fresh (control)" in parsed.text


def test_paper_shows_what_is_folded_up_but_for_what_only_a_screen_can_hold(tmp_path: Path) -> None:
    without_figures(made_up_study(), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "details:not(.screen)::details-content" in page
    assert '<details class="screen"><summary>All 32 runs' in page


@pytest.mark.parametrize(
    "record",
    [
        made_up_study(arms=("replace",), seeds=(0,), control_arm=""),
        made_up_study(arms=("replace",), seeds=(0, 1)),
        made_up_study(generations=0),
        made_up_study(
            claims=(), settings={}, samples=pd.DataFrame(), runs=pd.DataFrame(), claims_hash=""
        ),
        made_up_study(measurements=pd.DataFrame()),
    ],
    ids=["one chain", "no control", "baseline alone", "numbers alone", "no numbers"],
)
def test_thin_studies_still_make_a_page(record: StudyRecord, tmp_path: Path) -> None:
    parsed = without_figures(record, tmp_path)
    assert "nan" not in parsed.text.lower().split()
    assert markdown_summary(record).endswith("\n")


def test_one_chain_of_one_generation_is_drawn(tmp_path: Path) -> None:
    record = made_up_study(arms=("replace",), seeds=(0,), control_arm="", generations=0)
    write_report(only(record, "human/nll_nats"), tmp_path)
    drawn = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert drawn == ["human_loss.csv", "human_loss.png"]


def test_a_metric_outside_the_catalogue_is_in_the_table(tmp_path: Path) -> None:
    record = made_up_study()
    rows = record.measurements
    renamed = rows["metric"].mask(rows["metric"] == "own/nll_nats", "gradient/unheard_of")
    path = write_report(
        replace(
            record,
            measurements=rows.assign(metric=renamed).query("metric == 'gradient/unheard_of'"),
        ),
        tmp_path,
    )
    said = read(path.read_text(encoding="utf-8")).text
    assert "1 other metric " in said
    assert "gradient/unheard_of" in said


def test_summary_has_verdict_and_numbers() -> None:
    text = markdown_summary(made_up_study(seeds=range(6)))
    assert text.startswith("# quickstart\n")
    assert "**2 claims under test: 2 supported.**" in text
    assert "| metric | arm | generation 0 | generation 3 |" in text
    assert re.search(r"\| truth/valid_fraction \| replace \| \d\d\.\d ± \d\.\d % \|", text)
    assert "Mean ± sd over 6 seeds." in text
    assert "0 incomplete chains" in text


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StoreError, match="taken"):
        write_report(made_up_study(measurements=pd.DataFrame()), tmp_path / "taken")


def test_the_means_that_are_drawn_lie_beside_their_pictures(page: tuple[str, Path]) -> None:
    _, folder = page
    drawn = {path.stem for path in (folder / "figures").glob("*.png")}
    tables = {path.stem: pd.read_csv(path) for path in (folder / "figures").glob("*.csv")}
    assert {"overview", "human_loss"} <= set(tables) <= drawn
    rows = made_up_study().measurements
    own = rows.query("metric == 'human/nll_nats' and arm == 'replace' and generation == 3")
    one = tables["human_loss"].query("arm == 'replace' and generation == 3").iloc[0]
    assert one["mean"] == pytest.approx(own["value"].mean())
    assert one["n"] == 2


def test_runs_link_to_where_they_can_be_seen(tmp_path: Path) -> None:
    record = made_up_study()
    pages = "http://127.0.0.1:5000/#/experiments/1/runs/" + record.runs["run_id"]
    linked = replace(record, runs=record.runs.assign(url=pages))
    text = write_report(linked, tmp_path).read_text(encoding="utf-8")
    for url in pages:
        assert f'<a href="{url}">' in text


def test_methods_are_those_of_the_study(page: tuple[str, Path]) -> None:
    text, _ = page
    said = read(text).text
    assert "KL from the truth The grammar" in said
    assert "distinct-n" in said
    assert "Stochastic Lanczos" not in said
    assert "MAUVE" not in said


def test_samples_of_the_first_seed_show_start_and_end_and_fold_the_rest(
    page: tuple[str, Path],
) -> None:
    text, _ = page
    record = made_up_study()
    samples = text[text.index('id="samples"') : text.index('id="runs"')]
    first = samples[: samples.index("<details")]
    generations = range(record.generations + 1)
    shown = [one for one in generations if f"<h3>Generation {one}</h3>" in first]
    assert shown == [0, record.generations]
    for one in generations:
        assert samples.count(f"<h3>Generation {one}</h3>") == len(record.seeds)
