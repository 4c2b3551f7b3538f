"""What changed settings do to what recursion costs, in sentences, and what that does not say."""

from analysis.ablations.findings import METRIC, Ablation, AblationFindings
from analysis.ablations.settings import changes_in_words, said_alone
from analysis.claims.effects import Effect
from analysis.metrics import metric_info
from analysis.statistics import ALPHA

NOTHING = "nothing changed"
_UNIT = "nats a token"


def title(found: AblationFindings) -> str:
    """The cost as it stands, and which changes are told from none, without a full stop."""
    cost = found.reference.cost.mean
    stands = f"Recursion costs {_bare(cost)} {_UNIT}" if cost is not None else "Recursion's cost"
    held = [one for one in found.ablations if one.holds]
    if not held:
        return f"{stands}; none of {len(found.ablations)} changes is told from none"
    most = sorted(held, key=_mean_change)
    parts = []
    if _mean_change(most[0]) < 0:
        parts.append(f"{_bare(most[0].cost.mean)} at {said_alone(most[0].changes)}")
    if _mean_change(most[-1]) > 0:
        parts.append(f"{_bare(most[-1].cost.mean)} at {said_alone(most[-1].changes)}")
    return f"{stands}, {' and '.join(parts)}"


def sentences(found: AblationFindings) -> tuple[str, ...]:
    """The cost with nothing changed, and a sentence a change."""
    one = found.reference
    told = [
        f"With nothing changed, {one.arm} loses {_with_interval(one.cost)} {_UNIT} on human text "
        f"beyond {one.control} by generation {found.record.generations} (n = {one.cost.n_seeds})."
    ]
    return (*told, *(_sentence(found, one) for one in found.ablations))


def cautions(found: AblationFindings) -> tuple[str, ...]:
    """What these numbers do not say."""
    candidates = (
        "A change is a change of one recipe, at the values tried: between and beyond them nothing "
        "was measured, and two changes at once may do something else than each alone.",
        "What arms write is drawn with decodings of their own, so that its variety is not compared "
        f"here: {metric_info(METRIC).label.lower()} is, which no decoding enters.",
        "Fewer texts under as many steps are read more often, and more steps read the same texts "
        "again: neither changes one thing alone."
        if {"documents", "steps"} & {name for one in found.ablations for name in one.changes}
        else "",
        _too_few(found),
        "Left out: " + "; ".join(f"{arm} ({why})" for arm, why in found.left_out.items()) + "."
        if found.left_out
        else "",
    )
    return tuple(caution for caution in candidates if caution)


def row(found: AblationFindings, one: Ablation) -> dict[str, str]:
    """A row of the report's table."""
    is_reference = one is found.reference
    return {
        "change": said(found, one),
        "arm": one.arm,
        "control": one.control,
        "n": str(one.cost.n_seeds),
        "cost": _with_interval(one.cost),
        "change_nats": "–" if is_reference else _with_interval(one.change),
        "p": "–" if is_reference or one.change.p is None else f"{one.change.p:.2g}",
        "corrected": "–" if one.p_corrected is None else f"{one.p_corrected:.2g}",
        "status": "" if is_reference else status(one),
    }


def status(one: Ablation) -> str:
    """Whether a change makes recursion cost more or less, as far as it can be told."""
    if not one.holds:
        return "not told"
    return "costs less" if _mean_change(one) < 0 else "costs more"


def said(found: AblationFindings, one: Ablation) -> str:
    """An arm's change in words."""
    return changes_in_words(one.changes, found.record.settings) or NOTHING


def _sentence(found: AblationFindings, one: Ablation) -> str:
    told = {
        "not told": "whether that is more or less cannot be told",
        "costs less": "less than with nothing changed",
        "costs more": "more than with nothing changed",
    }[status(one)]
    corrected = "" if one.p_corrected is None else f", corrected p = {one.p_corrected:.2g}"
    return (
        f"With {said(found, one)}, {one.arm} loses {_with_interval(one.cost)} beyond "
        f"{one.control}; against nothing changed {_with_interval(one.change)}{corrected}: {told}."
    )


def _too_few(found: AblationFindings) -> str:
    """That no change could hold, where so few seeds make it so."""
    least = [one.least_corrected for one in found.ablations if one.least_corrected is not None]
    if not least or min(least) <= ALPHA:
        return ""
    return (
        f"With so few seeds no change could hold: {min(least):.2g} is the least corrected p that "
        "there is."
    )


def _with_interval(what: Effect) -> str:
    if what.mean is None:
        return "–"
    info = metric_info(METRIC)
    ends = [info.write_bare(end, "+") for end in what.interval or ()]
    return info.write_bare(what.mean, "+") + (f" ({ends[0]} to {ends[1]})" if ends else "")


def _bare(nats: float | None) -> str:
    return "–" if nats is None else metric_info(METRIC).write_bare(nats)


def _mean_change(one: Ablation) -> float:
    return one.change.mean or 0.0
