from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.spectra.indicators import (
    certificates,
    indicators_table,
    negative_masses,
    spectral_texts,
    with_negative_masses,
)
from analysis.spectra.section import spectral_section
from analysis.spectra.words import cautions, sentences, shown, shown_in_title
from analysis.study import StudyRecord, metric_values
from collapse.errors import BadInput
from collapse.numerics.spectrum import negative_mass
from tests.analysis.made_up_spectra import made_up_eigenvalues, with_spectra
from tests.analysis.made_up_study import made_up_study

H = "hessian/human"


@pytest.fixture(scope="module")
def record() -> StudyRecord:
    return with_spectra(made_up_study(), ("human", "own"))


def changed(record: StudyRecord, metric: str, values: dict[tuple[str, int], float]) -> StudyRecord:
    """The same study with one metric set, at all generations, by (arm, seed)."""
    rows = record.measurements.copy()
    for (arm, seed), value in values.items():
        here = (rows["metric"] == metric) & (rows["arm"] == arm) & (rows["seed"] == seed)
        rows.loc[here, "value"] = value
    return replace(record, measurements=rows)


def along(record: StudyRecord, metric: str, arm: str, chain: list[float]) -> StudyRecord:
    """The same study with one arm's metric set by generation, alike in all seeds."""
    rows = record.measurements.copy()
    here = (rows["metric"] == metric) & (rows["arm"] == arm)
    rows.loc[here, "value"] = [chain[g] for g in rows.loc[here, "generation"]]
    return replace(record, measurements=rows)


def plain(told: tuple[str, ...]) -> list[str]:
    """Sentences with plain spaces before their per cent."""
    return [sentence.replace("\N{NO-BREAK SPACE}", " ") for sentence in told]


def test_negative_mass_has_the_studys_median_as_its_reference(record: StudyRecord) -> None:
    found = negative_masses(record)
    assert list(found["metric"].unique()) == [
        f"hessian/{text}/negative_mass{end}" for text in ("human", "own") for end in ("", "_se")
    ]
    firsts = [made_up_eigenvalues("replace", seed, 0).max() for seed in (0, 1)]
    runs = record.spectra.query("text == 'human' and arm == 'replace' and seed == 1")
    runs = runs[runs["generation"] == 3]
    tridiagonals = [run for _, run in runs.groupby("probe")]
    expected = negative_mass(
        [run["alpha"] for run in tridiagonals],
        [run["beta"] for run in tridiagonals],
        float(np.median(firsts)),
    )
    here = found.query("arm == 'replace' and seed == 1 and generation == 3").set_index("metric")
    assert here.loc[f"{H}/negative_mass", "value"] == pytest.approx(expected.value)
    assert here.loc[f"{H}/negative_mass_se", "value"] == pytest.approx(expected.standard_error)
    # The bulk is centred on nearly zero and two of five ends are negative.
    assert 0.3 < expected.value < 0.7


def test_negative_mass_does_not_depend_on_the_order_of_rows(record: StudyRecord) -> None:
    shuffled = replace(record, spectra=record.spectra.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(negative_masses(shuffled), negative_masses(record))


def test_negative_mass_replaces_what_a_stage_may_have_logged(record: StudyRecord) -> None:
    once = with_negative_masses(record)
    wrong = once.measurements["metric"] == f"{H}/negative_mass"
    stale = replace(once, measurements=once.measurements.assign(
        value=once.measurements["value"].mask(wrong, 9.0)))  # fmt: skip
    again = metric_values(with_negative_masses(stale), f"{H}/negative_mass")
    pd.testing.assert_series_equal(again, metric_values(once, f"{H}/negative_mass"))
    assert again.between(0, 1).all()
    assert len(again) == 16


def test_no_negative_mass_without_generation_0_or_from_one_run(record: StudyRecord) -> None:
    rows = record.measurements
    later = replace(record, measurements=rows[rows["generation"] > 0])
    assert negative_masses(later).empty
    one = replace(record, spectra=record.spectra[record.spectra["probe"] == 0])
    assert negative_masses(one).empty
    plain = made_up_study()
    assert with_negative_masses(plain) is plain


def test_indicators_have_ends_trends_and_paired_differences(record: StudyRecord) -> None:
    record = along(record, f"{H}/lambda_max", "replace", [10, 20, 30, 40])
    record = along(record, f"{H}/lambda_max", "fresh", [10, 10, 10, 10])
    table = indicators_table(record, "human").set_index(["indicator", "arm"])
    row = table.loc[("Eigenvalue explosion", "replace")]
    assert (row["start"], row["end"], row["slope"]) == (10, 40, 10)
    assert (row["trend"], row["n_chains"], row["n_pairs"]) == ("rises", 2, 2)
    assert (row["difference"], row["p"], row["least_p"]) == (30, 0.5, 0.5)
    control = table.loc[("Eigenvalue explosion", "fresh")]
    assert (control["trend"], control["n_pairs"]) == ("no trend", 0)
    assert np.isnan(control["difference"])
    assert table.loc[("Negative eigenvalues", "replace"), "trend"] == "not measured"
    assert list(table.index.get_level_values(0).unique()) == [
        "Ratio decline", "Bulk-centre shift", "Eigenvalue explosion", "Width increase",
        "Smallest eigenvalue", "Largest / |smallest|", "Negative eigenvalues",
        "Negative curvature", "The seed's ratio",
    ]  # fmt: skip


def test_errors_of_probes_and_batches_are_joined(record: StudyRecord) -> None:
    table = indicators_table(record, "human").set_index(["indicator", "arm"])
    assert table.loc[("Width increase", "replace"), "error"] == pytest.approx(0.005)
    assert np.isnan(table.loc[("Eigenvalue explosion", "replace"), "error"])


def test_every_metric_keeps_its_own_text(record: StudyRecord) -> None:
    assert spectral_texts(record) == ("human", "own")
    assert spectral_texts(made_up_study()) == ()
    rows = record.measurements
    own = replace(record, measurements=rows[~rows["metric"].str.startswith("hessian/human")])
    assert spectral_texts(own) == ("own",)


def test_certificates_count_a_shared_generation_0_once(record: StudyRecord) -> None:
    assert len(certificates(record, "human")) == 2 * (1 + 2 * 3)
    bad = changed(record, f"{H}/certified", {("replace", 1): 0.0})
    assert certificates(bad, "human").sum() == 14 - 4
    # Without the metric the marks themselves are asked.
    rows = record.measurements
    marks = record.outliers.copy()
    off = (marks["arm"] == "replace") & (marks["generation"] == 3) & (marks["seed"] == 0)
    marks["certified"] = True
    marks.loc[off & (marks["rank"] == "lambda_min"), "certified"] = False
    bare = replace(record, measurements=rows[rows["metric"] != f"{H}/certified"], outliers=marks)
    found = certificates(bare, "human")
    assert (len(found), int(found.sum())) == (14, 13)
    assert not found[("replace", 0, 3)]


def test_generations_0_that_differ_are_two_spectra(record: StudyRecord) -> None:
    """As of arms with models of their own, in a study of one training."""
    rows = record.measurements
    is_other = (rows["arm"] == "replace") & (rows["generation"] == 0)
    is_end = is_other & (rows["metric"] == f"{H}/lambda_min")
    moved = rows.assign(value=rows["value"].where(~is_end, rows["value"] * 2))
    assert len(certificates(replace(record, measurements=moved), "human")) == 14 + 2


def going_back(record: StudyRecord) -> StudyRecord:
    """A third arm, back, that is replace until generation 2, in one seed of two."""
    frames = {"measurements": record.measurements, "outliers": record.outliers}
    for name, rows in frames.items():
        before = rows[(rows["arm"] == "replace") & (rows["generation"] < 2)]
        after = rows[(rows["arm"] == "replace") & (rows["generation"] >= 2)].copy()
        if "metric" in after:
            moved = after["metric"].isin([f"{H}/lambda_min", f"{H}/products"])
            after.loc[moved, "value"] *= 2
        own = pd.concat([before, after]).assign(arm="back")
        frames[name] = pd.concat([rows, own[own["seed"] == 0]], ignore_index=True)
    return replace(record, arms=(*record.arms, "back"), arm_seeds={"back": 1}, **frames)


def test_a_spectrum_that_arms_share_counts_once(record: StudyRecord) -> None:
    """Generations 0 and 1 of back are those of replace; 2 and 3 are its own."""
    shared = going_back(record)
    assert len(certificates(shared, "human")) == 14 + 2
    rows = shared.measurements
    bare = replace(shared, measurements=rows[rows["metric"] != f"{H}/certified"])
    assert len(certificates(bare, "human")) == 14 + 2
    told = sentences(shared, "human")
    assert "All 16 spectra have certified outliers and ends." in told
    # Fourteen of 48 products and two of 96.
    assert "A spectrum took 54 products with the Hessian (48 to 96)." in told
    one = changed(record, f"{H}/certified", {("replace", 0): 0.0})
    assert int((~certificates(going_back(one), "human")).sum()) == 4 + 2


def test_a_study_under_way_is_told_by_the_last_generation_measured(record: StudyRecord) -> None:
    under_way = replace(record, generations=5)
    pd.testing.assert_frame_equal(
        indicators_table(under_way, "human"), indicators_table(record, "human")
    )
    assert spectral_section(under_way)[0]["last"] == "gen. 3"
    rows = record.measurements
    late = (rows["metric"] == f"{H}/spectral_ratio") & (rows["generation"] == 3)
    uncertified = replace(record, measurements=rows[~late])
    assert spectral_section(uncertified)[0]["last"] == "last gen."
    table = indicators_table(uncertified, "human").set_index(["indicator", "arm"])
    assert table.loc[("Ratio decline", "replace"), "n_pairs"] == 2


def test_a_report_makes_its_table_of_indicators_once(record: StudyRecord) -> None:
    assert indicators_table(record, "human") is indicators_table(record, "human")
    again = replace(record)
    assert indicators_table(again, "human") is not indicators_table(record, "human")


def test_without_a_negative_end_no_sign_is_said_to_change(record: StudyRecord) -> None:
    record = along(record, f"{H}/lambda_min", "replace", [1.0, 1.1, 1.2, 1.2])
    record = along(record, f"{H}/lambda_max", "replace", [10, 11, 12, 20])
    told = sentences(record, "human")[0]
    assert "the smallest from 1.00 to 1.20 (1.20×" in told
    assert told.endswith(": on average the positive end grows, and there is no negative one.")
    level = along(record, f"{H}/lambda_max", "replace", [10, 10, 10, 10])
    assert "the positive end does not grow" in sentences(level, "human")[0]


def test_sentences_say_which_end_grows_and_in_how_many_chains(record: StudyRecord) -> None:
    record = along(record, f"{H}/lambda_max", "replace", [10, 11, 12, 20])
    record = along(record, f"{H}/lambda_min", "replace", [-1, -5, -20, -50])
    record = along(record, f"{H}/lambda_max", "fresh", [10, 10, 10, 10.2])
    record = along(record, f"{H}/lambda_min", "fresh", [-1, -1, -1, -1])
    first, second, *_ = sentences(record, "human")
    assert first == (
        "Under replace the largest eigenvalue goes from 10.0 to 20.0 (2.00×, growing in 2 of 2 "
        "chains) and the smallest from −1.00 to −50.0 (50×, growing in 2 of 2 chains): on "
        "average both ends grow, the negative one more."
    )
    assert second.startswith("Under fresh, the control,")
    assert "(1.02×, growing in 0 of 2 chains)" in second
    assert second.endswith("on average neither end grows.")
    flipped = along(record, f"{H}/lambda_min", "replace", [1, 0.5, -1, -2])
    assert "an end changes its sign" in sentences(flipped, "human")[0]


def test_sentences_say_what_the_control_does(record: StudyRecord) -> None:
    for name, chain in {
        "spectral_ratio": [5, 4, 3, 2],
        "bulk_center": [1, 2, 3, 4],
        "lambda_max": [1, 1, 1, 1],
        "bulk_width": [1, 2, 3, 4],
    }.items():
        record = along(record, f"{H}/{name}", "replace", chain)
        record = along(record, f"{H}/{name}", "fresh", [1, 1, 1, 1])
    told = plain(sentences(record, "human"))
    assert (
        "Of the four indicators of collapse, replace shows ratio decline (it falls by 60 %, under "
        "fresh it stays level), bulk-centre shift (it rises by 300 %, under fresh it stays level) "
        "and width increase (it rises by 300 %, under fresh it stays level); the control, fresh, "
        "shows none."
    ) in told
    table = indicators_table(record, "human")
    assert shown(table, "fresh") == ({}, 4)
    assert shown_in_title(record, "human") == (
        "Indicators of collapse on human text: replace shows 3 of 4, fresh (control) shows 0 of 4"
    )
    # A shift the other way is not the same shift.
    other = along(record, f"{H}/bulk_center", "fresh", [4, 3, 2, 1])
    assert "shows bulk-centre shift (it falls by 75 %)." in plain(sentences(other, "human"))[2]
    same = along(record, f"{H}/bulk_width", "fresh", [1, 2, 3, 4])
    assert (
        "fresh, shows width increase as well: not recursion's alone."
        in (sentences(same, "human")[2])
    )
    alone = replace(record, arms=("replace",))
    assert "There is no control" in sentences(alone, "human")[1]


def seed_by_seed(
    record: StudyRecord, metric: str, ends: dict[tuple[str, int], float]
) -> StudyRecord:
    """The same study with straight lines from 1 to these ends, by arm and seed."""
    rows = record.measurements.copy()
    for (arm, seed), end in ends.items():
        here = (rows["metric"] == metric) & (rows["arm"] == arm) & (rows["seed"] == seed)
        rows.loc[here, "value"] = 1 + (end - 1) * rows.loc[here, "generation"] / 3
    return replace(record, measurements=rows)


@pytest.fixture(scope="module")
def moved_bulk(record: StudyRecord) -> StudyRecord:
    """What quickstart measured: the bulk moves under replace, and next to nothing under fresh."""
    for name in ("spectral_ratio", "lambda_max"):
        for arm in record.arms:
            record = along(record, f"{H}/{name}", arm, [1, 1, 1, 1])
    centre = {("replace", 0): 1.40, ("replace", 1): 1.48, ("fresh", 0): 0.97, ("fresh", 1): 1.01}
    width = {("replace", 0): 1.23, ("replace", 1): 1.29, ("fresh", 0): 1.02, ("fresh", 1): 1.03}
    record = seed_by_seed(record, f"{H}/bulk_center", centre)
    return seed_by_seed(record, f"{H}/bulk_width", width)


def test_a_small_trend_of_the_control_is_told_and_does_not_count(moved_bulk: StudyRecord) -> None:
    table = indicators_table(moved_bulk, "human")
    rises = table.set_index(["indicator", "arm"])["trend"]
    assert rises["Width increase", "fresh"] == "rises"
    assert shown(table, "fresh") == ({}, 4)
    told = plain(sentences(moved_bulk, "human"))
    assert told[2:4] == [
        "Of the four indicators of collapse, replace shows bulk-centre shift (it rises by 44 %, "
        "under fresh it falls by 1.0 %) and width increase (it rises by 26 %, under fresh by "
        "2.5 %); the control, fresh, shows none.",
        "Not counted under fresh, as less than 25 % of the steepest arm's slope or within the "
        "error of one spectrum: width increase (it rises by 2.5 %).",
    ]
    assert shown_in_title(moved_bulk, "human") == (
        "Indicators of collapse on human text: replace shows 2 of 4, fresh (control) shows 0 of 4"
    )


@pytest.mark.parametrize(("end", "counts"), [(1.04, False), (1.06, False), (1.07, True)])
def test_a_trend_counts_from_a_quarter_of_the_steepest_on(
    moved_bulk: StudyRecord, end: float, counts: bool
) -> None:
    """A quarter of 26 % is 6.5 %."""
    ends = {("fresh", 0): end, ("fresh", 1): end}
    record = seed_by_seed(moved_bulk, f"{H}/bulk_width", ends)
    assert ("Width increase" in shown(indicators_table(record, "human"), "fresh")[0]) == counts
    alone = "not recursion's alone" not in sentences(record, "human")[2]
    assert alone == (not counts)


def test_a_trend_within_the_error_of_one_spectrum_does_not_count(moved_bulk: StudyRecord) -> None:
    """Nobody's, however steep beside the others: here 26 and 2.5 % with an error of 30."""
    rows = moved_bulk.measurements.copy()
    rows.loc[rows["metric"] == f"{H}/bulk_width_se", "value"] = 0.3
    table = indicators_table(replace(moved_bulk, measurements=rows), "human")
    assert list(shown(table, "replace")[0]) == ["Bulk-centre shift"]


def test_a_number_that_changes_its_sign_or_grows_many_times_is_told_by_its_ends(
    moved_bulk: StudyRecord,
) -> None:
    record = along(moved_bulk, f"{H}/bulk_center", "replace", [-1, 0, 1, 2])
    record = along(record, f"{H}/bulk_width", "replace", [1, 4, 8, 16])
    said = plain(sentences(record, "human"))[2]
    assert "bulk-centre shift (it rises from −1.00 to 2.00, under fresh it falls by 1.0 %)" in said
    assert "width increase (it rises from 1.00 to 16.0, under fresh by 2.5 %)" in said


def test_sentences_tell_certificates_and_cost(record: StudyRecord) -> None:
    told = sentences(record, "human")
    assert "All 14 spectra have certified outliers and ends." in told
    assert "A spectrum took 48 products with the Hessian." in told
    uncertain = changed(record, f"{H}/certified", {("fresh", 0): 0.0})
    assert "10 of 14 spectra have certified outliers and ends." in sentences(uncertain, "human")
    assert cautions(uncertain, "human")[0].startswith(
        "4 of 14 spectra are not certified and have no spectral ratio"
    )


def test_the_two_ratios_are_kept_apart(record: StudyRecord) -> None:
    assert any("another quantity" in caution for caution in cautions(record, "human"))
    rows = record.measurements
    without = replace(record, measurements=rows[rows["metric"] != f"{H}/legacy_ratio"])
    assert not any("another quantity" in caution for caution in cautions(without, "human"))
    assert "no loss of quality by itself" in cautions(without, "human")[-1]


def test_damaged_frames_are_refused(record: StudyRecord) -> None:
    with pytest.raises(BadInput, match="spectra has no column beta"):
        replace(record, spectra=record.spectra.drop(columns="beta"))
    with pytest.raises(BadInput, match="outliers has no column certified"):
        replace(record, outliers=record.outliers.drop(columns="certified"))
