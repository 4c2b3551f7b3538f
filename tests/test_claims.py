"""Claims that make no sense are refused; whatever changes in one changes the hash."""

from dataclasses import replace

import pytest

from collapse.claims import Claim, claims_hash
from collapse.errors import BadParameter

LEAD = Claim(
    id="lead",
    statement="The ratio falls two generations before the loss rises.",
    indicator="hessian/human/spectral_ratio",
    direction="decrease",
    margin=2,
    contrast=("replace", "fresh"),
    refuted_if="the interval lies below two generations",
    event="human/nll_nats",
)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"direction": "up"}, "direction is 'up'; it must be one of increase"),
        ({"margin": -1.0}, "margin is -1.0; it must be 0 or more"),
        ({"margin": float("nan")}, "margin is nan"),
        ({"contrast": ("a", "a")}, "two different arms"),
        ({"contrast": ()}, "two different arms"),
        ({"contrast": ("a",)}, "needs an arm and its control"),
        ({"direction": "similar"}, "must be that of the alarm"),
        ({"direction": "similar", "event": None, "contrast": ("a",)}, "needs an arm"),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused(change, says: str) -> None:
    with pytest.raises(BadParameter, match=says):
        replace(LEAD, **change)


def test_every_field_counts_in_the_hash() -> None:
    changes = [
        {"id": "other"},
        {"statement": "s"},
        {"indicator": "i"},
        {"direction": "increase"},
        {"margin": 3.0},
        {"contrast": ("mixed", "fresh")},
        {"refuted_if": "r"},
        {"generation": 4},
        {"event": None},
    ]
    assert {next(iter(change)) for change in changes} == set(LEAD.__dataclass_fields__)
    hashes = [claims_hash([LEAD]), *(claims_hash([replace(LEAD, **one)]) for one in changes)]
    assert len(set(hashes)) == len(hashes)
    assert claims_hash([]) != claims_hash([LEAD]) != claims_hash([LEAD, LEAD])


def test_what_a_claim_is_about() -> None:
    assert LEAD.is_lead
    assert not LEAD.is_level
    assert replace(LEAD, event=None, contrast=("base",)).is_level


def test_a_claim_on_no_event_keeps_the_digest_it_had_before_there_were_leads() -> None:
    changes = {"id": "a", "statement": "b", "indicator": "quality/collapse_rate", "margin": 0.5}
    changes |= {"direction": "increase", "contrast": ("x", "y"), "refuted_if": "c", "event": None}
    assert claims_hash([replace(LEAD, **changes)]) == "3d31119c57bb5b43"
