from dataclasses import replace

import pytest

from analysis.inference.figures import forest_plate, inference_plates
from analysis.inference.findings import InferenceFindings, inference_findings
from analysis.inference.section import inference_files, inference_lines, inference_section
from analysis.inference.words import family_in_words
from analysis.study import StudyRecord
from collapse.figures.style import png_bytes
from tests.analysis.made_up_inference import METRIC, claim, study

ARMS = {"up": 0.5, "flat": 0.0, "base": 0.0}


def found_in(record: StudyRecord) -> InferenceFindings:
    found = inference_findings(record)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def found() -> InferenceFindings:
    claims = (claim("increase", 0.05, ("up", "base")), claim("similar", 1, ("flat", "base"), "s"))
    record = study(ARMS, claims=claims)
    rows = record.measurements
    gone = (rows["arm"] == "flat") & (rows["seed"] == 5) & (rows["generation"] > 2)
    return found_in(replace(record, measurements=rows[~gone]))


def test_lines_tell_every_part(found: InferenceFindings) -> None:
    told = "\n".join(inference_lines(found))
    assert "Primary contrast, up − base, Loss on human text at generation 4: +" in told
    assert "sign-flip p = 0.031, n = 6" in told
    assert "Of the other 5 contrasts of an arm with base" in told
    assert "by a mixed model" in told or "chains' own slopes" in told
    assert "F(2, 12) = " in told
    assert "no verdict rests on it" in told
    assert "move together beyond" in told
    assert "1 of 18 planned chains did not reach generation 4: flat seed 5 (until 2)" in told


def test_section_has_rows_of_words(found: InferenceFindings) -> None:
    section = inference_section(found)
    contrasts = section["contrasts"]
    assert isinstance(contrasts, list)
    assert contrasts[0]["corrected"] == "primary"
    assert contrasts[0]["p"] == "0.031"
    assert {row["n"] for row in contrasts if row["compared"] == "flat − base"} == {"5"}
    assert section["missing"] == [{"arm": "flat", "seed": "5", "reached": "2"}]
    (similar,) = section["equivalences"]  # type: ignore[misc]
    assert (similar["claim"], similar["n"]) == ("s", "5")
    for rows in ("slopes", "anova", "post_hoc", "links"):
        assert section[rows]
        assert all(isinstance(cell, str) for row in section[rows] for cell in row.values())  # type: ignore[attr-defined]


def test_files_have_the_numbers(found: InferenceFindings) -> None:
    files = inference_files(found)
    assert set(files) == {"contrasts.csv", "slopes.csv", "anova.csv", "post_hoc.csv", "links.csv"}
    slopes = files["slopes.csv"].set_index(["metric", "arm"])
    assert slopes.loc[(METRIC, "up"), "chain_slope"] == pytest.approx(0.5, abs=0.2)
    assert set(files["anova.csv"]["design"]) == {"one-way", "seeds as blocks"}
    assert len(files["post_hoc.csv"]) == 3 * len(found.leading)


def test_figures_say_the_finding_and_are_the_same_twice(found: InferenceFindings) -> None:
    plates = inference_plates(found)
    assert [plate.name for plate in plates] == ["effects_forest", "links"]
    assert plates[0].title == (
        "Against base, of 3 leading metrics differ: up in 3; flat has too few seeds"
    )
    assert "of 2 pairs" in plates[1].title
    assert png_bytes(plates[0].figure) == png_bytes(inference_plates(found)[0].figure)


def test_few_seeds_beside_many_say_what_they_cannot() -> None:
    slopes = {"up": 0.5, **{f"arm_{n}": 0.0 for n in range(6)}, "few": 9.0, "base": 0.0}
    found = found_in(study(slopes, seeds=12, generations=2, arm_seeds={"few": 6}))
    few = [one for one in found.family if one.has_too_few]
    assert {one.arm for one in few} == {"few"}
    least = f"a corrected p of {few[0].least_corrected:.2g} is the least that 6 seeds can reach"
    told = family_in_words(found)
    assert told.endswith(
        f". 3 of the 23 could not, however large the effect: {least} beside others of 12."
    )
    plate = forest_plate(found)
    assert plate is not None
    assert plate.title.endswith("; few has too few seeds")
    assert f"dotted: it could not, as {least} beside others of 12." in plate.caption
    (axes,) = plate.figure.axes
    # Of the lines of 8 arms in 3 metrics those of few alone are dashes of a point each.
    assert sum(line.get_linestyle() == "--" for line in axes.lines) == 3
    labels = [text.get_text() for text in plate.figure.legends[0].get_texts()]
    assert labels[-2:] == ["open: does not hold", "dotted: too few seeds to hold"]
    # With all seeds nothing is said of it.
    alike = found_in(study(ARMS))
    assert "could not" not in family_in_words(alike)
    plate = forest_plate(alike)
    assert plate is not None
    assert plate.title.endswith("; flat in none")
    assert "dotted" not in plate.caption
    assert len(plate.figure.legends[0].get_texts()) == 3


def test_variance_across_arms_says_which_seeds_it_saw(found: InferenceFindings) -> None:
    assert "seeds as blocks, over the 5 of 6 seeds that all arms have, the other 1 left out; " in (
        "\n".join(inference_lines(found))
    )
    assert set(inference_files(found)["anova.csv"]["left_out"]) == {"5"}
    alike = "\n".join(inference_lines(found_in(study(ARMS))))
    assert "seeds as blocks; " in alike


def test_the_correction_is_named_by_the_seeds_that_were_compared() -> None:
    """Of 18 planned seeds 6 are there so far: few enough for joint flips."""
    record = study(ARMS, seeds=18, generations=2)
    begun = record.measurements[record.measurements["seed"] < 6]
    found = found_in(replace(record, measurements=begun))
    assert "(max-T with joint sign flips)" in family_in_words(found)
    assert "(Holm)" in family_in_words(found_in(record))


def test_few_seeds_say_what_they_cannot() -> None:
    few = found_in(study(ARMS, seeds=4))
    told = " ".join(inference_lines(few))
    assert "with 4 seeds none could (p = 0.125 at the least)" in told
    plate = forest_plate(few)
    assert plate is not None
    assert plate.title == "4 seeds are too few to tell any arm from base, however far apart"
    two = found_in(study(ARMS, seeds=2))
    assert "mixed model not fitted: 2 of at least 3 seeds" in " ".join(inference_lines(two))
    assert inference_plates(two) == ()


def test_fewer_seeds_of_an_arm_are_planned_and_not_missing() -> None:
    record = study(ARMS, arm_seeds={"flat": 3})
    rows = record.measurements
    unplanned = (rows["arm"] == "flat") & (rows["seed"] > 2)
    found = found_in(replace(record, measurements=rows[~unplanned]))
    assert (found.missing, found.n_planned) == ((), 15)
    assert "All 15 planned chains reached the last generation." in inference_lines(found)[-2]


def test_studies_without_generations_control_or_seeds_have_none() -> None:
    assert inference_findings(study(ARMS, seeds=1)) is None
    assert inference_findings(study(ARMS, control_arm="none")) is None
    record = study(ARMS)
    rows = record.measurements.query("generation == 0")
    only = replace(record, measurements=rows, generations=0)
    assert inference_findings(only) is None
