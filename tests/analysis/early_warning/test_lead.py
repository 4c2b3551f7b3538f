import numpy as np
import pytest
from scipy import stats

from analysis.early_warning.lead import (
    chains_ahead,
    lead_bounds,
    median_lead,
    order_of_interval,
)
from analysis.early_warning.lead_words import signed, span

INF = np.inf
LAST = 6


@pytest.mark.parametrize(
    ("alarm", "event", "lead"),
    [
        # The five rows of the definition, with the last generation 6.
        ((3, 3), (5, 5), (2, 2)),
        ((5, 5), (3, 3), (-2, -2)),
        ((3, 3), (LAST + 1, INF), (4, INF)),
        ((LAST + 1, INF), (5, 5), (-INF, -2)),
        ((LAST + 1, INF), (LAST + 1, INF), (-INF, INF)),
        # An alarm that may have come while nobody looked.
        ((2, 4), (5, 5), (1, 3)),
    ],
)
def test_lead_is_known_as_far_as_event_and_alarm_are(
    alarm: tuple[float, float], event: tuple[float, float], lead: tuple[float, float]
) -> None:
    alarms, events = (tuple(np.array([end]) for end in ends) for ends in (alarm, event))
    shortest, longest = lead_bounds((alarms[0], alarms[1]), (events[0], events[1]))
    assert (shortest[0], longest[0]) == lead


def test_six_chains_are_the_fewest_with_an_interval() -> None:
    leads = np.array([1.0, 2.0, 2.0, 3.0, 3.0])
    assert median_lead(leads, leads).interval is None
    found = median_lead(np.append(leads, 5.0), np.append(leads, 5.0))
    assert found.interval == (1, 5)
    assert found.coverage == pytest.approx(1 - 2 / 2**6)
    assert (found.n, found.value) == (6, 2.5)
    assert median_lead(leads[:0], leads[:0]).value is None


def test_order_of_the_interval_is_the_tightest_with_95_per_cent() -> None:
    for n in range(1, 60):
        k = order_of_interval(n)
        assert 1 - 2 * stats.binom.cdf(k, n, 0.5) < 0.95
        assert k == 0 or 1 - 2 * stats.binom.cdf(k - 1, n, 0.5) >= 0.95
    # A table's value: the sign test's interval of 12 goes from the 3rd to the 10th.
    assert order_of_interval(12) == 3


def test_the_interval_holds_the_median_of_what_leads_are_drawn_from() -> None:
    rng = np.random.default_rng(0)
    for n in (6, 9, 12):
        drawn = rng.geometric(0.3, size=(2000, n)) - 3.0
        held = 0
        for leads in drawn:
            interval = median_lead(leads, leads).interval
            assert interval is not None
            held += interval[0] <= -1.0 <= interval[1]  # the median: 1 - 0.7^2 = 0.51
        assert held / 2000 >= 0.95


def test_censoring_only_widens() -> None:
    rng = np.random.default_rng(1)
    leads = rng.integers(-2, 5, size=12).astype(float)
    exact = median_lead(leads, leads)
    assert exact.interval is not None
    for hidden in range(12):
        shortest, longest = leads.copy(), leads.copy()
        shortest[: hidden // 2], longest[hidden // 2 : hidden] = -INF, INF
        found = median_lead(shortest, longest)
        assert found.interval is not None
        assert found.interval[0] <= exact.interval[0]
        assert exact.interval[1] <= found.interval[1]


def test_median_that_censoring_touches_is_no_single_number() -> None:
    shortest = np.array([-INF, 1.0, 2.0, 2.0, 4.0])
    longest = np.array([0.0, 1.0, 2.0, INF, INF])
    assert median_lead(shortest, longest).value == 2
    shortest[2] = -INF
    found = median_lead(shortest, longest)
    assert (found.least, found.most, found.value) == (1, 2, None)


def test_chains_ahead_are_counted_at_either_end() -> None:
    assert chains_ahead(np.array([-INF, 1.0, 2.0]), 1) == 2
    assert chains_ahead(np.array([INF, 1.0, 2.0]), 2) == 2


def test_leads_in_words() -> None:
    minus = "\N{MINUS SIGN}"
    assert [signed(lead) for lead in (2.0, 0.0, -1.5)] == ["+2", "0", f"{minus}1.5"]
    assert span((2.0, 2.0)) == "+2"
    assert span((-1.0, 3.0)) == f"{minus}1 to +3"
    assert span((2.0, INF)) == "+2 or more"
    assert span((-INF, -1.0)) == f"{minus}1 or less"
    assert span((-INF, INF)) == "any number"
