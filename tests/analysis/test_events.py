from collections.abc import Sequence

import pandas as pd

from analysis.events import chain_events, event_rule, first_events
from analysis.study import StudyRecord
from tests.analysis.made_up_study import made_up_study


def chains(metric: str, **values: Sequence[float | None]) -> StudyRecord:
    rows = [
        (arm, 0, generation, metric, value)
        for arm, chain in values.items()
        for generation, value in enumerate(chain)
        if value is not None
    ]
    columns = ["arm", "seed", "generation", "metric", "value"]
    return made_up_study(
        arms=tuple(values), seeds=(0,), measurements=pd.DataFrame(rows, columns=columns)
    )


def only_event(record: StudyRecord) -> tuple[object, object, str]:
    (row,) = first_events(record).to_dict("records")
    seen = tuple(
        None if pd.isna(row[key]) else row[key] for key in ("generation", "observed_until")
    )
    return (*seen, row["status"])


def test_excess_over_the_control_makes_the_event() -> None:
    # The control rises too: an excess of 0.04 at generation 2 is none, 0.06 at 3 is one.
    record = chains("human/nll_nats", replace=[1.0, 1.1, 1.24, 1.36], fresh=[1.0, 1.1, 1.2, 1.3])
    assert only_event(record) == (3, 3, "seen")


def test_valid_stories_have_to_fall_by_more_than_ten_points() -> None:
    metric = "truth/valid_fraction"
    fresh = [0.7, 0.7, 0.7, 0.7]
    assert only_event(chains(metric, replace=[0.7, 0.65, 0.6, 0.5], fresh=fresh))[0] == 3
    # Exactly ten points are not more than ten, whatever binary fractions say.
    assert only_event(chains(metric, replace=[0.7, 0.6, 0.6, 0.6], fresh=fresh))[2] == "not seen"
    assert only_event(chains(metric, replace=[0.7, 0.9, 0.9, 0.9], fresh=fresh))[2] == "not seen"


def test_what_came_before_the_first_look_is_unresolved() -> None:
    fresh = [1.0, 1.0, 1.0, 1.0]
    at_one = chains("human/nll_nats", replace=[1.0, 1.2, 1.3, 1.4], fresh=fresh)
    assert only_event(at_one) == (1, 3, "unresolved")
    gap = chains("human/nll_nats", replace=[1.0, 1.0, None, 1.4], fresh=fresh)
    assert only_event(gap) == (3, 3, "unresolved")


def test_a_chain_that_stopped_is_observed_only_until_then() -> None:
    fresh = [1.0, 1.0, 1.0, 1.0]
    stopped = chains("human/nll_nats", replace=[1.0, 1.01, None, None], fresh=fresh)
    assert only_event(stopped) == (None, 1, "not seen")
    never = chains("human/nll_nats", replace=[1.0, None, None, None], fresh=fresh)
    assert only_event(never) == (None, None, "not measured")


def test_no_control_no_event() -> None:
    assert first_events(chains("human/nll_nats", replace=[1.0, 2.0])).empty


def test_diversity_falls_by_a_tenth_of_the_controls() -> None:
    metric = "quality/distinct_4"
    # The same step of 0.02 is a tenth of 0.2 and a fortieth of 0.8.
    fall = chains(metric, replace=[0.2, 0.2, 0.179, 0.1], fresh=[0.2, 0.2, 0.2, 0.2])
    assert only_event(fall) == (2, 3, "seen")
    exactly = chains(metric, replace=[0.2, 0.2, 0.18, 0.18], fresh=[0.2, 0.2, 0.2, 0.2])
    assert only_event(exactly)[2] == "not seen"
    large = chains(metric, replace=[0.8, 0.8, 0.78, 0.75], fresh=[0.8, 0.8, 0.8, 0.8])
    assert only_event(large)[2] == "not seen"
    rise = chains(metric, replace=[0.2, 0.2, 0.3, 0.4], fresh=[0.2, 0.2, 0.2, 0.2])
    assert only_event(rise)[2] == "not seen"
    nothing = chains(metric, replace=[0.2, 0.0, 0.0, 0.0], fresh=[0.2, 0.0, 0.0, 0.0])
    assert only_event(nothing)[2] == "not seen"


def test_only_planned_seeds_have_events() -> None:
    record = made_up_study(("replace", "mixed", "fresh"), range(4), arm_seeds={"mixed": 2})
    events = first_events(record)
    assert (events["event"].value_counts() == 6).all()
    assert set(events.loc[events["arm"] == "mixed", "seed"]) == {0, 1}


def test_the_control_may_be_another_arm_than_the_studys() -> None:
    record = chains(
        "human/nll_nats", replace=[1, 1, 1.1, 1.1], static=[1, 1, 1.08, 1.1], fresh=[1] * 4
    )
    rule = event_rule("human/nll_nats")
    assert rule is not None
    assert list(chain_events(record, rule, "replace", "fresh")["status"]) == ["seen"]
    assert list(chain_events(record, rule, "replace", "static")["status"]) == ["not seen"]
