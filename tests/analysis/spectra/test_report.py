import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.metrics import metric_info
from analysis.report.writing import markdown_summary, write_report
from analysis.spectra.figures import spectral_plates, spectrum_view
from analysis.spectra.indicators import with_negative_masses
from analysis.study import StudyRecord
from collapse.numerics.spectrum import negative_share
from tests.analysis.made_up_spectra import made_up_eigenvalues, with_spectra
from tests.analysis.made_up_study import made_up_study, only
from tests.analysis.report.test_report import read


@pytest.fixture(scope="module")
def record() -> StudyRecord:
    return with_negative_masses(with_spectra(made_up_study(), ("human", "own")))


@pytest.fixture(scope="module")
def page(record: StudyRecord, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("spectra")
    # Its other figures are another test's.
    rows = record.measurements
    spectral = replace(record, measurements=rows[rows["metric"].str.startswith("hessian/")])
    return write_report(spectral, folder).read_text(encoding="utf-8"), folder


def test_page_has_a_section_of_spectra_before_the_figures(page: tuple[str, Path]) -> None:
    text, folder = page
    parts = re.findall(r"<h2[^>]*id=\"(\w+)\"", text)
    assert parts.index("spectra") == parts.index("figures") - 1
    said = read(text).text
    for words in (
        "What the spectra say",
        "nats per squared unit of a parameter",
        "Under replace the largest eigenvalue goes from",
        "All 14 spectra have certified outliers and ends.",
        "A spectrum took 48 products with the Hessian.",
        "What the spectra do not say",
        "a chain counts once",
        "claimed: falls",
        "The same on own text",
    ):
        assert words in said, words
    names = {path.name for path in (folder / "figures").iterdir()}
    assert {"spectra.png", "spectra_own.png", "spectral_indicators.png"} <= names
    assert "nan" not in said.lower().split()


def test_page_of_a_study_without_spectra_says_nothing_of_them(tmp_path: Path) -> None:
    plain = only(made_up_study(), "own/nll_nats")
    text = write_report(plain, tmp_path).read_text(encoding="utf-8")
    assert "spectr" not in text.lower()
    assert "spectra" not in markdown_summary(plain)


def test_errors_are_not_listed_as_metrics(page: tuple[str, Path]) -> None:
    said = read(page[0]).text
    assert "bulk_width_se" not in said
    assert "trace_se" not in said
    assert "Trace of the Hessian, human text" in said
    assert "hessian/human/bulk_width_data_se" in (page[1] / "measurements.csv").read_text()


def test_spectral_metrics_have_words_and_units() -> None:
    info = metric_info("hessian/own/lambda_min")
    assert (info.label, info.unit) == ("Smallest eigenvalue, own text", "nats per unit²")
    assert info.write(-123.884849) == "−123.9"
    assert metric_info("hessian/human/negative_mass").write(0.123) == "12.3 %"
    assert metric_info("hessian/human/bulk_width_se").label == "hessian/human/bulk_width_se"


def test_summary_says_what_the_spectra_say_and_what_warned_once(record: StudyRecord) -> None:
    text = markdown_summary(record)
    assert "What the spectra say (human text):" in text
    assert "- Under replace the largest eigenvalue goes from" in text
    assert text.count("What warned:") == 1


def test_view_holds_the_stored_spectrum(record: StudyRecord) -> None:
    view = spectrum_view(record, "human", "replace", 1, 3)
    assert view is not None
    truth = made_up_eigenvalues("replace", 1, 3)
    assert view.title == "Generation 3 (replace, seed 1), human text"
    assert view.top.value == pytest.approx(truth.max())
    assert view.bottom.value == pytest.approx(truth.min())
    assert view.top.certified
    assert view.bottom.certified
    assert [len(nodes) for nodes in map(np.asarray, view.nodes)] == [16, 16, 16]
    share = negative_share(view.nodes, view.weights)
    assert share is not None
    assert share.value == pytest.approx(-truth[truth < 0].sum() / np.abs(truth).sum(), abs=0.15)
    assert [round(value) for value, _, _ in view.outliers] == [
        round(value) for value in sorted(truth, key=abs)[::-1][:3]
    ]
    assert spectrum_view(record, "human", "replace", 1, 9) is None


def test_a_view_without_certificates_is_uncertified(record: StudyRecord) -> None:
    bare = replace(record, outliers=record.outliers[:0])
    view = spectrum_view(bare, "human", "fresh", 0, 0)
    assert view is not None
    assert not view.top.certified
    assert not view.bottom.certified
    assert view.outliers == []


def test_figure_of_spectra_shows_the_arms_of_the_fullest_seed(record: StudyRecord) -> None:
    gone = (record.spectra["seed"] == 0) & (record.spectra["generation"] == 2)
    plate, own, panels = spectral_plates(replace(record, spectra=record.spectra[~gone]))
    assert plate.title.startswith(
        "Seed 1, human text: under replace the ends of the spectrum go from "
    )
    assert ", under fresh (control) to " in plate.title
    assert [axes.get_title(loc="left") for axes in plate.figure.axes] == [
        "replace", "fresh (control)",
    ]  # fmt: skip
    assert "valleys" in plate.caption
    assert (plate.name, own.name) == ("spectra", "spectra_own")
    assert own.title.startswith("Seed 1, own text: under replace the ends")
    assert "on own text" in own.caption
    assert panels.name == "spectral_indicators"
    assert len(panels.figure.axes) == 6


def test_numbers_without_raw_runs_still_have_their_panels(record: StudyRecord) -> None:
    (panels,) = spectral_plates(replace(record, spectra=record.spectra[:0]))
    assert panels.name == "spectral_indicators"


@pytest.mark.parametrize(
    "thin",
    [
        made_up_study(arms=("replace",), seeds=(0,), control_arm=""),
        made_up_study(generations=0),
        made_up_study(generations=1),
    ],
    ids=["one chain", "baseline alone", "one generation"],
)
def test_thin_studies_of_spectra_make_a_page(thin: StudyRecord, tmp_path: Path) -> None:
    thin = only(thin, "own/nll_nats")
    text = write_report(with_spectra(thin), tmp_path).read_text(encoding="utf-8")
    assert "nan" not in read(text).text.lower().split()
    assert markdown_summary(with_spectra(thin)).count("What the spectra say") == 1


def test_no_label_over_a_panel_leaves_the_figure(record: StudyRecord) -> None:
    """The longest is that of the smallest eigenvalue, whose ticks take room at the left, too."""
    rows = record.measurements
    least = rows["metric"] == "hessian/human/lambda_min"
    values = rows["value"].where(~least, rows["value"].abs() * -0.001)
    wide = replace(record, measurements=rows.assign(value=values))
    plates = {one.name: one.figure for one in spectral_plates(wide)}
    figure = plates["spectral_indicators"]
    figure.draw_without_rendering()
    edges = [axes._left_title.get_window_extent().x1 for axes in figure.axes]
    assert len(edges) == 6
    assert max(edges) <= figure.bbox.x1
