"""What a study says of where its distance from the truth comes from, from planted parts."""

import numpy as np
import pandas as pd
import pytest

from analysis.origins.figures import origin_plates
from analysis.origins.findings import OriginFindings, origin_findings, parts_table
from analysis.origins.section import origin_files, origin_lines, origin_section
from analysis.report.page import environment
from analysis.report.sections import sections
from analysis.study import StudyRecord
from collapse.figures.view import written
from tests.analysis.made_up_origins import LAST, SEEDS, STEPS, made_up_origins, parts
from tests.analysis.made_up_study import made_up_study
from tests.analysis.report.test_report import read


def found_in(record: StudyRecord) -> OriginFindings:
    found = origin_findings(record)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def found() -> OriginFindings:
    return found_in(made_up_origins())


def said(found: OriginFindings) -> str:
    template = environment().get_template("origins/section.html.j2")
    return read(template.render(part=origin_section(found), figures=[])).text


def without(record: StudyRecord, arm: str, generation: int, metric: str) -> StudyRecord:
    rows = record.measurements
    gone = (rows["arm"] == arm) & (rows["generation"] == generation) & (rows["metric"] == metric)
    return made_up_origins(measurements=rows[~gone])


def test_parts_of_means_add_up_to_the_mean_whole(found: OriginFindings) -> None:
    table = parts_table(found)
    assert len(table) == len(STEPS) * (LAST + 1)
    added = table["sampling"] + table["fitting"] + table["decoding"]
    np.testing.assert_allclose(added, table["total"])
    np.testing.assert_allclose(table["not_learned"] + table["made_up"], table["fitting"])
    np.testing.assert_allclose(table["passed"] + table["added"], table["total"])
    np.testing.assert_allclose(table["inherited"] + table["drawn"], table["sampling"])


def test_a_chain_that_lacks_a_part_is_in_no_mean() -> None:
    record = made_up_origins()
    rows = record.measurements
    lacks = (
        (rows["arm"] == "replace")
        & (rows["seed"] == 1)
        & (rows["generation"] == LAST)
        & (rows["metric"] == "origin/fitting_nats")
    )
    found = found_in(made_up_origins(measurements=rows[~lacks]))
    own = found.at("replace", "total", LAST)
    assert own.index.tolist() == [0, 2, 3]
    means = found.means("replace", LAST)
    assert means[["sampling", "fitting", "decoding"]].sum() == pytest.approx(means["total"])


def test_the_arm_furthest_from_the_control_is_told_part_by_part(found: OriginFindings) -> None:
    assert found.told == "replace"
    # 4 generations of 0.2, and of 0.3 + 0.2, with a jitter that cancels over the seeds
    assert found.beside("replace").mean == pytest.approx(2.8)
    assert found.beside("replace", "sampling").mean == pytest.approx(0.8)
    assert found.beside("replace", "fitting").mean == pytest.approx(2.0)
    text = said(found)
    for words in (
        "By generation 4 replace is +2.80 (95 % +2.78 to +2.82) nats a story further from the "
        "truth than fresh: sampling +0.800",
        "Under fresh the distance goes from 0.580 nats a story at generation 0 to 0.580 at ",
        "What generation 4 of replace read was 2.68 nats a story from the truth already; the "
        "generation itself adds +0.700",
        "the generation itself adds +0.580",
        "+1.88 nats a story were lost before by the writers of those stories; from there to the "
        "counted sample it is −0.996 (below 0: counting by the grammar",
        # 0.511 is minus the logarithm of 0.6
        "1.10 nats a story are mass on texts that are no stories (those it read had 0.511 of it), "
        "and +1.40 what the network did not learn",
    ):
        assert words in text, (words, text)
    assert "nan" not in text.lower()
    assert "0.0001" not in text  # nothing is outside where there are no filters


def test_the_table_tells_a_part_from_its_difference(found: OriginFindings) -> None:
    part = origin_section(found)
    columns = part["columns"]
    assert columns[:2] == ["replace", "replace \N{MINUS SIGN} fresh"]
    assert columns[-1] == "fresh"
    rows = {row["label"]: dict(zip(columns, row["cells"], strict=True)) for row in part["rows"]}
    sampling = rows["sampling"]
    assert sampling["replace"] == written(found.means("replace", LAST)["sampling"])
    assert sampling["replace \N{MINUS SIGN} fresh"].startswith("+0.800 (95 % +")
    assert sampling["fresh"] == written(found.means("fresh", LAST)["sampling"])


def test_an_arm_that_was_chosen_for_its_size_is_cautioned_against(found: OriginFindings) -> None:
    assert "replace is in the titles as it came out furthest" in said(found)
    two = made_up_origins(arms=("replace", "fresh"))
    assert "in the titles as" not in said(found_in(two))


def test_titles_say_the_finding_and_pictures_show_the_numbers(found: OriginFindings) -> None:
    parts_plate, passed_plate = origin_plates(found)
    assert parts_plate.title == (
        "Generation 4 of replace is 2.80 nats a story further from the truth than fresh: 2.00 by "
        "fitting, 0.800 by sampling"
    )
    assert "read was 2.68 nats a story from the truth; it ends at 3.38" in passed_plate.title
    panels = [axes for axes in parts_plate.figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == [
        *("replace", "mixed", "accumulate"),
        "fresh (control)",
    ]
    tops = {}
    for bar in panels[0].patches:
        place = round(bar.get_x() + bar.get_width() / 2)
        tops[place] = max(tops.get(place, 0.0), bar.get_y() + bar.get_height())
    for generation, top in tops.items():
        whole = np.mean([parts("replace", seed, generation)["total"] for seed in SEEDS])
        assert top == pytest.approx(whole)


def test_parts_below_zero_hang_down_and_decoding_is_shown_where_there_is_one() -> None:
    rows = made_up_origins(decoding=0.1).measurements
    shift = {"origin/fitting_nats": -2.6, "origin/sampling_nats": 2.6}
    rows = rows.assign(value=rows["value"] + rows["metric"].map(shift).fillna(0.0))
    found = found_in(made_up_origins(measurements=rows))
    assert not found.has("not_learned")
    plate = origin_plates(found)[0]
    panel = plate.figure.axes[0]
    bottoms = {round(bar.get_y() + min(bar.get_height(), 0), 6) for bar in panel.patches}
    assert min(bottoms) == pytest.approx(0.5 - 2.6, abs=0.03)
    labels = [text.get_text() for text in plate.figure.legends[0].get_texts()]
    assert "decoding" in labels
    assert "keep a mass of 0.0001" in said(found)


def test_without_a_control_an_arm_is_held_beside_its_own_beginning() -> None:
    found = found_in(made_up_origins(control_arm="nobody"))
    assert found.beside("replace").mean == pytest.approx(2.8)
    assert origin_plates(found)[0].title.startswith(
        "By generation 4 replace is 2.80 nats a story further from the truth than at generation 0"
    )


def test_starts_and_missing_arms_are_cautioned() -> None:
    starts = dict.fromkeys(STEPS, "parent")
    assert "fitting may be negative" in said(found_in(made_up_origins(starts=starts)))
    record = without(made_up_origins(), "mixed", LAST, "origin/decoding_nats")
    found = found_in(record)
    assert found.arms == ("replace", "accumulate", "fresh")
    assert "Without all parts at generation 4: mixed" in said(found)


def test_without_what_was_read_there_is_one_figure_and_no_sentence_of_it() -> None:
    found = found_in(made_up_origins(origins=pd.DataFrame()))
    assert [plate.name for plate in origin_plates(found)] == ["origins"]
    assert "read was" not in said(found)
    assert "inherited" not in " ".join(origin_lines(found))


def test_the_report_has_the_section_where_the_truth_is_known(found: OriginFindings) -> None:
    assert "origins" in sections(made_up_origins())
    assert "origins" not in sections(made_up_study())
    files = origin_files(found)
    assert set(files) == {"origins.csv", "origins_chains.csv"}
    assert len(files["origins_chains.csv"]) == len(STEPS) * len(SEEDS) * (LAST + 1)
