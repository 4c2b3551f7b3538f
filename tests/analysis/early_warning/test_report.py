"""Tables, prices, words, page and figures of warnings."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.early_warning.cost import price
from analysis.early_warning.figures import warning_plates
from analysis.early_warning.findings import WarningFindings, warning_findings, warning_tables
from analysis.early_warning.indicators import INDICATORS, indicator_of
from analysis.early_warning.section import warning_lines, warning_section
from analysis.early_warning.tables import curve_table
from analysis.early_warning.verdict import lead_in_words
from analysis.report.page import environment
from analysis.report.sections import TEMPLATES
from analysis.study import StudyRecord
from collapse.figures.style import png_bytes
from tests.analysis.made_up_chains import (
    NLL,
    RATIO,
    SEEDS,
    VALID,
    WITH_LEAD_2,
    Course,
    chains,
    lead_claim,
)
from tests.analysis.made_up_study import made_up_study

COURSES = {
    **WITH_LEAD_2,
    "hessian/human/products": Course(65, 0),
    "quality/words_per_text": Course(50, 0),
    "svd/K/participation_ratio": Course(16, 0.2, 3, -3.0),
    "truth/kl_nats_per_token": Course(0.01, 0.0001, 1, 0.01),
}
SETTINGS = {"probe_tokens": 2048, "rank_tokens": 1000, "samples": 1000, "start": "parent"}


@pytest.fixture(scope="module")
def study() -> StudyRecord:
    return chains(COURSES, settings=SETTINGS)


@pytest.fixture(scope="module")
def found(study: StudyRecord) -> WarningFindings:
    one = warning_findings(study)
    assert one is not None
    return one


def indicators_before_the_loss(study: StudyRecord) -> pd.DataFrame:
    found = warning_findings(study)
    assert found is not None
    return found.warnings["replace", NLL].table


def test_the_table_has_the_longest_lead_first_and_oracles_last(study: StudyRecord) -> None:
    table = indicators_before_the_loss(study)
    assert len(table) == len(INDICATORS)
    judged = table[table["refusal"] == ""].set_index("indicator")
    assert list(judged.index[:2]) == [RATIO, "svd/K/participation_ratio"]
    assert judged.index[-1] == "truth/kl_nats_per_token"
    ratio = judged.loc[RATIO]
    assert ratio[["chains", "alarms", "n_leads", "ahead_2"]].tolist() == [12] * 4
    assert ratio[["median_alarm", "lead_least", "lead_most"]].tolist() == [3, 2, 2]
    assert ratio[["false_alarms", "n_healthy"]].tolist() == [0, 12]
    entropy = judged.loc["human/entropy_nats"]
    assert entropy[["alarms", "median_alarm", "lead_least", "lead_most"]].tolist() == [
        *(0, np.inf),
        *(-np.inf, -2),
    ]
    # What cannot compete or was not measured says why, and has no numbers.
    refused = table.set_index("indicator").loc["human/perplexity"]
    assert "cannot warn of itself" in refused["refusal"]
    assert np.isnan(refused["lead_least"])


def test_all_indicators_share_their_false_alarms(study: StudyRecord) -> None:
    table = indicators_before_the_loss(study)
    shared = table.loc[table["refusal"] == "", ["false_alarms", "n_healthy", "rate_bound"]]
    assert len(shared.drop_duplicates()) == 1


def test_equal_leads_stand_in_the_order_of_their_price() -> None:
    same = {**COURSES, "human/entropy_nats": Course(1.2, 0.01, 2, -0.3)}
    table = indicators_before_the_loss(chains(same, settings=SETTINGS))
    assert list(table["indicator"][:2]) == ["human/entropy_nats", RATIO]


def test_prices_by_hand(study: StudyRecord) -> None:
    gradients = {
        RATIO: 1 + 2.1 * 65,
        "human/entropy_nats": 1 / 3,
        "svd/K/participation_ratio": 1000 / 2048 / 3,
        "quality/distinct_2": 1000 * 50 / 2048 / 3,
    }
    for metric, expected in gradients.items():
        indicator = indicator_of(metric)
        assert indicator is not None
        assert price(study, indicator).gradients == pytest.approx(expected)
        assert np.isnan(price(chains(), indicator).gradients) == (metric != "human/entropy_nats")
    distinct = indicator_of("quality/distinct_2")
    assert distinct is not None
    # The made-up runs of quality take 4.25 seconds, and none is of the stage hessian.
    assert price(study, distinct).seconds == 4.25
    runs = study.runs.copy()
    runs.loc[runs["generation"] == 0, "seconds"] = 999.0
    runs.loc[0:9, "status"] = "FAILED"
    assert price(replace(study, runs=runs), distinct).seconds == 4.25
    ratio = indicator_of(RATIO)
    assert ratio is not None
    assert np.isnan(price(study, ratio).seconds)


def test_more_false_alarms_never_buy_a_shorter_lead(found: WarningFindings) -> None:
    for lead in found.warnings["replace", NLL].leads.values():
        curve = curve_table(lead)
        assert curve["threshold"].is_monotonic_decreasing
        assert curve["lead_least"].is_monotonic_increasing
        assert curve["alarms"].is_monotonic_increasing
        assert lead.refusal or curve["is_shared"].sum() == 1
        assert list(curve["false_alarms"]) == list(range(len(curve)))
        assert len(curve) == (0 if lead.refusal else len(SEEDS))


def test_the_section_says_what_warned_and_what_it_costs(found: WarningFindings) -> None:
    text, ratio = "\n".join(warning_lines(found)), "Spectral ratio, human text"
    assert text.startswith("What warned:\n\n- Under replace, the rise of the loss on human text")
    assert f"2 of 4 indicators surely lead it, the earliest first: {ratio} (+2); " in text
    assert f"{ratio} beside Next-token entropy: earlier" in text
    assert f"watch {ratio}; alarm when it lies" in text
    assert "at 138 gradients a look" in text
    assert "the best by chance, too" in text
    (verdict,) = found.verdicts
    assert verdict.status == "supported"


def test_nothing_is_recommended_where_nothing_warned() -> None:
    silent = {metric: replace(course, leaves=None) for metric, course in WITH_LEAD_2.items()}
    late = warning_findings(chains({**silent, NLL: WITH_LEAD_2[NLL]}))
    assert late is not None
    text = "\n".join(warning_lines(late))
    assert "None of 3 indicators surely lead it." in text
    assert "No indicator can be recommended" in text
    nothing = warning_findings(chains(silent))
    assert nothing is not None
    assert "came to 0 of 12 chains" in "\n".join(warning_lines(nothing))
    assert [plate.name for plate in warning_plates(nothing)] == ["warning_trajectories"]


def test_few_control_seeds_are_cautioned_against() -> None:
    few = warning_findings(chains(COURSES, seeds=range(7)))
    assert few is not None
    text = "\n".join(warning_lines(few))
    assert "False alarms are not known well enough" in text
    assert "No indicator can be recommended" in text


def test_without_a_second_healthy_arm_the_section_says_so() -> None:
    record = chains(COURSES, arms=("replace", "fresh"))
    alone = warning_findings(record)
    assert alone is not None
    assert warning_lines(alone)[2].startswith("- No alarm can be judged. It cannot be calibrated")
    assert warning_plates(alone) == ()
    html = as_html(alone)
    assert "cannot be calibrated" in html
    assert "indicators before" not in html
    assert [verdict.status for verdict in alone.verdicts] == ["undecided"]


def test_nothing_is_called_by_its_raw_name_but_in_files(found: WarningFindings) -> None:
    told = [
        as_html(found),
        *warning_lines(found),
        *(v for one in found.verdicts for v in one.reasons),
    ]
    told += [one.title + one.caption for one in warning_plates(found)]
    told += [lead_in_words(one) for one in found.verdicts]
    for indicator in INDICATORS:
        assert indicator.label != indicator.metric
        assert not any(indicator.metric in text for text in told), indicator.metric
    assert RATIO in set(warning_tables(found)["early_warning_indicators.csv"]["indicator"])


def test_healthy_chains_are_judged_by_the_rules_of_the_watch(found: WarningFindings) -> None:
    saved = warning_tables(found)["early_warning_placebo.csv"]
    # Two healthy arms, three of the four indicators are measured, four rotations of 12 seeds.
    assert len(saved) == 2 * len(saved["indicator"].unique()) * 4
    html = as_html(found)
    assert "Placebo: the rules of collapse.EarlyWarning" in html
    few = warning_findings(chains(COURSES, seeds=range(9)))
    assert few is not None
    assert "early_warning_placebo.csv" not in warning_tables(few)
    assert "Placebo" not in as_html(few)


def as_html(found: WarningFindings, *figures: tuple[str, str, str]) -> str:
    template = environment().get_template(TEMPLATES["warnings"])
    return template.render(part=warning_section(found), figures=figures)


def test_studies_with_nothing_to_judge_have_no_section() -> None:
    assert warning_findings(chains(arms=("fresh", "static"))) is None
    assert warning_findings(made_up_study(generations=0)) is None


def test_unresolved_events_are_counted_in_words() -> None:
    courses = {**COURSES, NLL: Course(1.3, 0.002, 1, 0.1)}
    early = warning_findings(chains(courses))
    assert early is not None
    text = "\n".join(warning_lines(early))
    assert "came to 0 of 12 chains, and to 12 at generation 1 or after a gap" in text
    assert "12 times an event came before anything could have been seen" in text


def told_of_event(until: dict[int, int]) -> str:
    """Of chains that lose their loss after a generation, by seed; the event comes at 5 of 6."""
    record = chains(COURSES, settings=SETTINGS)
    rows = record.measurements
    last = rows["seed"].map(until).fillna(6)
    gone = (rows["arm"] == "replace") & (rows["metric"] == NLL) & (rows["generation"] > last)
    found = warning_findings(replace(record, measurements=rows[~gone]))
    assert found is not None
    (line,) = (one for one in warning_lines(found) if one.startswith("- Under replace"))
    return line.removeprefix("- Under replace, ")


def test_chains_that_nobody_watched_are_not_said_to_have_been_spared() -> None:
    came = "the rise of the loss on human text came to"
    all_seen = f"{came} 12 of 12 chains, at generation 5 (of 6 generations)."
    assert told_of_event({}) == all_seen
    # A chain that breaks after the event had it all the same.
    assert told_of_event({0: 5, 1: 5}) == all_seen
    assert told_of_event({0: 3, 1: 4}) == (
        f"{came} 10 of 12 chains, at generation 5 (of 6 generations); 2 could be compared only "
        "until generation 3 to 4."
    )
    assert told_of_event({0: 0, 1: 0, 2: 0}) == (
        f"{came} 9 of 9 chains that could be compared, at generation 5 (of 6 generations); "
        "3 could not."
    )
    assert told_of_event({0: 0, 1: 0, 2: 0, 3: 2}) == (
        f"{came} 8 of 9 chains that could be compared, at generation 5 (of 6 generations); "
        "3 could not, and 1 only until generation 2."
    )
    assert told_of_event(dict.fromkeys(SEEDS, 0)) == (
        "nothing is known of the rise of the loss on human text: none of 12 chains could be "
        "compared."
    )


def test_the_page_escapes_what_comes_from_the_record() -> None:
    record = chains(COURSES, settings=SETTINGS)
    renamed = record.measurements.replace({"arm": {"replace": "<b>"}})
    odd = replace(
        record,
        arms=("<b>", "fresh", "static"),
        kinds={"<b>": "replace", "fresh": "fresh", "static": "static"},
        measurements=renamed,
        claims=(),
    )
    found = warning_findings(odd)
    assert found is not None
    html = as_html(found, ("<i>", "a caption", "cG5n"))
    assert "<b>" not in html
    assert "<i>" not in html
    # A head and five indicators that were judged.
    assert html.split("Placebo")[0].count("<tr>") == 6


def test_tables_to_be_saved_hold_every_arm_and_event() -> None:
    courses = {**COURSES, VALID: Course(0.7, 0.005, 4, -0.2)}
    record = chains(courses, arms=("replace", "mixed", "fresh", "static"))
    both = warning_findings(record)
    assert both is not None
    tables = warning_tables(both)
    table = tables["early_warning_indicators.csv"]
    assert len(table) == 2 * 2 * len(INDICATORS)
    assert set(table["arm"]) == {"replace", "mixed"}
    assert set(tables["early_warning_curves.csv"]["event"]) == {NLL, VALID}
    assert len(tables["early_warning_comparisons.csv"]) == 12


def test_the_event_that_most_chains_had_is_shown_first() -> None:
    rare = {**COURSES, NLL: Course(1.3, 0.03), VALID: Course(0.7, 0.005, 4, -0.2)}
    found = warning_findings(chains(rare))
    assert found is not None
    assert [one.events.rule.metric for one in found.shown] == [VALID, NLL]


def test_the_section_is_about_the_arm_that_was_claimed() -> None:
    record = chains(COURSES, arms=("replace", "mixed", "fresh", "static"))
    assert record.claims[0].contrast[0] == "replace"
    claimed = replace(record, claims=(lead_claim(contrast=("mixed", "fresh")),))
    for one, arm in ((record, "replace"), (claimed, "mixed")):
        found = warning_findings(one)
        assert found is not None
        assert found.arm == arm


def test_figures_say_the_finding_and_can_be_drawn(found: WarningFindings) -> None:
    plates = {plate.name: plate for plate in warning_plates(found)}
    assert list(plates) == ["lead_human_nll_nats", "trade_human_nll_nats", "warning_trajectories"]
    assert plates["lead_human_nll_nats"].title.startswith("Spectral ratio, human text warns")
    assert "+2 generations" in plates["lead_human_nll_nats"].title
    assert "Next-token entropy \N{MINUS SIGN}2 or less" in plates["trade_human_nll_nats"].title
    assert "12 of 12 by Spectral ratio" in plates["warning_trajectories"].title
    (axes,) = plates["lead_human_nll_nats"].figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == "Spectral ratio, human text"
    assert labels[-1] == "KL from the truth (oracle)"
    assert png_bytes(plates["warning_trajectories"].figure).startswith(b"\x89PNG")
