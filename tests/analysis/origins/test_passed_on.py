"""What was read had lost so much before: by hand, from the scores of all generations."""

import numpy as np
import pandas as pd
import pytest

from analysis.origins.passed_on import passed_on

STORIES = 5
RNG = np.random.default_rng(0)
TRUTH = RNG.normal(-18, 2, STORIES)
MADE_UP = {0: 0.4, 1: 0.9, 2: 1.5}


def scores(generation, **more):
    rng = np.random.default_rng(generation + 1)
    refit, decoded = TRUTH - rng.uniform(0, 1, (2, STORIES))
    columns = {"truth": TRUTH, "refit": refit, "model": decoded, "decoded": decoded} | more
    frame = pd.DataFrame({"story": range(STORIES)} | columns)
    return frame.assign(arm="a", seed=0, generation=generation)


def read(generation, *sources):
    frame = pd.DataFrame(sources, columns=["source", "texts", "stories"])
    return frame.assign(arm="a", seed=0, generation=generation)


def measured(made_up):
    rows = [("a", 0, g, "origin/made_up_nats", value) for g, value in made_up.items()]
    rows += [("b", 0, 0, "origin/made_up_nats", 99.0), ("a", 0, 0, "origin/total_nats", 99.0)]
    return pd.DataFrame(rows, columns=["arm", "seed", "generation", "metric", "value"])


ZERO = read(0, ("human_fresh", 100, 100))


def found(*reads, generations=2, made_up=MADE_UP, replaced=()):
    of = {g: scores(g) for g in range(generations)} | dict(replaced)
    shuffled = pd.concat(list(of.values())).sample(frac=1, random_state=0)
    table = passed_on(shuffled, pd.concat([ZERO, *reads]), measured(made_up))
    return table.set_index("generation")


def test_people_pass_on_nothing_and_all_sampling_is_the_draw():
    table = found(generations=1)
    expected = np.mean(TRUTH - scores(0)["refit"])
    assert table.loc[0, ["passed_nats", "inherited_nats"]].tolist() == [0.0, 0.0]
    assert table.loc[0, "drawn_nats"] == pytest.approx(expected)


def test_a_chain_of_its_own_text_inherits_its_parents_whole_distance():
    table = found(read(1, ("synthetic_gen1", 90, 60)))
    total = np.mean(TRUTH - scores(0)["decoded"])
    assert table.loc[1, "passed_nats"] == pytest.approx(total)
    assert table.loc[1, "inherited_nats"] == pytest.approx(total - MADE_UP[0])
    sampling = np.mean(TRUTH - scores(1)["refit"])
    both = table.loc[1, "inherited_nats"] + table.loc[1, "drawn_nats"]
    assert both == pytest.approx(sampling)


def test_sources_are_mixed_by_their_texts_and_by_their_stories():
    sources = (
        ("human_static", 40, 40),
        ("synthetic_gen1", 40, 30),
        ("synthetic_gen2", 40, 10),
    )
    table = found(read(1, ("synthetic_gen1", 1, 1)), read(2, *sources), generations=3)
    p = [np.exp(TRUTH), np.exp(scores(0)["decoded"]), np.exp(scores(1)["decoded"])]
    by_texts = sum(p) / 3
    assert table.loc[2, "passed_nats"] == pytest.approx(np.mean(TRUTH - np.log(by_texts)))
    of_stories = (
        40 / 80 * p[0] + 30 / 80 * np.exp(MADE_UP[0]) * p[1] + 10 / 80 * np.exp(MADE_UP[1]) * p[2]
    )
    assert table.loc[2, "inherited_nats"] == pytest.approx(np.mean(TRUTH - np.log(of_stories)))


def test_without_a_valid_share_of_the_writer_only_its_stories_are_unknown():
    table = found(read(1, ("synthetic_gen1", 90, 60)), made_up={})
    assert np.isfinite(table.loc[1, "passed_nats"])
    assert np.isnan(table.loc[1, "inherited_nats"])
    assert np.isnan(table.loc[1, "drawn_nats"])


def test_who_read_no_story_inherited_none_that_are_known():
    table = found(read(1, ("synthetic_gen1", 90, 0)))
    assert np.isfinite(table.loc[1, "passed_nats"])
    assert np.isnan(table.loc[1, "inherited_nats"])


@pytest.mark.parametrize("column", ["gone", "empty", "another source"])
def test_what_nobody_knows_has_no_row(column):
    greedy = scores(0)
    if column == "gone":
        greedy = greedy.drop(columns="decoded")
    elif column == "empty":
        greedy = greedy.assign(decoded=np.nan)
    source = "teacher" if column == "another source" else "synthetic_gen1"
    table = found(read(1, ("human_static", 10, 10), (source, 90, 60)), replaced={0: greedy}.items())
    assert list(table.index) == [0]
