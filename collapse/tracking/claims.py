"""What a study claims, written down before its first chain runs."""

from collections.abc import Mapping
from typing import Any

from collapse.tracking.runs import client, experiment_id

CLAIMS_TAG = "claims_hash"


def fix_claims(experiment: str, claims_hash: str) -> None:
    """Write down the digest of a study's claims, once, before its first chain runs."""
    number = experiment_id(experiment)
    if CLAIMS_TAG not in client().get_experiment(number).tags:
        client().set_experiment_tag(number, CLAIMS_TAG, claims_hash)


def fixed_claims(experiment: str) -> str:
    """The digest of the claims that was written down first; empty where none was."""
    known = client().get_experiment_by_name(experiment)
    return known.tags.get(CLAIMS_TAG, "") if known else ""


def keep_hypothesis(run_id: str, content: Mapping[str, Any]) -> None:
    """Write what a chain is to put to the test among its artifacts, before its first stage runs."""
    client().log_dict(run_id, dict(content), "hypothesis.json")
