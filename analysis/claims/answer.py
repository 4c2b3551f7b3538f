"""The answer to a study's question in a sentence or two, each with its uncertainty."""

from collections.abc import Sequence

from analysis.claims.effects import Verdict
from analysis.claims.verdicts import estimate_in_words
from analysis.early_warning.verdict import LeadVerdict


def answer(found: Sequence[Verdict | LeadVerdict]) -> tuple[str, ...]:
    """What the primary claim came to, and the first claim of a lead where there is one.

    The primary claim is the first of the study file; the others stand in the list of verdicts.
    """
    leads = [verdict for verdict in found if verdict.claim.is_lead]
    told = dict.fromkeys((*found[:1], *leads[:1]))
    return tuple(_sentence(verdict) for verdict in told)


def _sentence(verdict: Verdict | LeadVerdict) -> str:
    # Not yes or no: a question may be which of three, and the claim one of them.
    statement = " ".join(verdict.claim.statement.split())
    return f"{verdict.status.capitalize()}: {statement} {estimate_in_words(verdict)}"
