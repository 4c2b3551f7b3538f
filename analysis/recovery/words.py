"""What going back to human text mends, in sentences, and what that does not say."""

from analysis.claims.effects import Effect
from analysis.metrics import MINUS, metric_info
from analysis.recovery.findings import LINE, LOSSES, Recovery, RecoveryFindings

_SAID = {
    "heals": "more than half of it is undone",
    "stays": "more than half of it stays",
    "undecided": "these seeds cannot tell whether more than half of it is undone",
    "not told": "whether anything was lost by then cannot be told",
    "nothing lost": "nothing was lost by then",
}


def title(found: RecoveryFindings) -> str:
    """How far what was lost comes back, without a full stop."""
    told = [one for one in found.recoveries if one.share_left and one.status != "nothing lost"]
    if not told and any(one.status == "not told" for one in found.recoveries):
        return "Whether anything was lost before chains went back to human text cannot be told"
    if not told:
        return "Nothing was lost before chains went back to human text"
    metric = told[0].metric
    first, *later = [one for one in told if one.metric == metric]
    shares = [f"{_left(first)} of what was lost by generation {first.switch - 1}"]
    shares += [f"{_left(one)} of that by generation {one.switch - 1}" for one in later]
    return f"{metric_info(metric).label}: human text again leaves {' and '.join(shares)}"


def sentences(found: RecoveryFindings) -> tuple[str, ...]:
    """A sentence an arm and metric, and one on each metric's threshold."""
    told = []
    for metric in found.metrics:
        told += [_sentence(one, str(found.record.control_of(one.arm))) for one in found.of(metric)]
        told.append(_threshold(found.of(metric)))
    return tuple(told)


def cautions(found: RecoveryFindings) -> tuple[str, ...]:
    """What these numbers do not say."""
    spans = sorted({one.last - one.switch + 1 for one in found.recoveries})
    candidates = (
        f"Later switches had less time: from {spans[0]} to {spans[-1]} generations of human text. "
        "What stays after few of them may heal after more."
        if len(spans) > 1
        else "",
        f"Half of what was lost ({_percent(LINE)}) is the line between healing and staying: a "
        "convention that was set before any chain ran, and not a law.",
        "Every arm and metric is judged at the 5 % level by itself; nothing here is corrected for "
        "their number.",
        "Generations go on from their parent's weights. Whether a model that is trained anew on "
        "human text would do better is not asked."
        if "parent" in {found.record.starts.get(one.arm) for one in found.recoveries}
        else "",
    )
    return tuple(caution for caution in candidates if caution)


def row(one: Recovery) -> dict[str, str]:
    """A row of the report's table."""
    share = one.share_left
    gone_on = "–"
    if one.gone_on and (known := one.gone_on_N[one.gone_on_N == one.gone_on_N]).size:
        gone_on = _signed(one, float(known.mean()))
    return {
        "metric": metric_info(one.metric).label,
        "arm": one.arm,
        "switch": str(one.switch),
        "n": str(len(one.seeds)),
        "lost": _with_interval(one, one.lost),
        "left": _with_interval(one, one.left),
        "share": f"{_percent(share[0])} ({_range(share[1])})" if share else "–",
        "gone_on": gone_on,
        "status": one.status,
    }


def _sentence(one: Recovery, control: str) -> str:
    spans = one.last - one.switch + 1
    lead = (
        f"{metric_info(one.metric).label}, {one.arm} {MINUS} {control}: "
        f"{_with_interval(one, one.lost)} at generation {one.switch - 1}, its last on own text; "
        f"{_with_interval(one, one.left)} after {spans} generation{'s' * (spans > 1)} of human text"
    )
    share = one.share_left
    left = "" if share is None else f" ({_percent(share[0])} of it; {_range(share[1])})"
    went = ""
    if one.gone_on and (known := one.gone_on_N[one.gone_on_N == one.gone_on_N]).size:
        went = f"; {one.gone_on}, which went on, is at {_signed(one, float(known.mean()))}"
    return f"{lead}{left if one.status != 'nothing lost' else ''}{went}: {_SAID[one.status]}."


def _threshold(some: tuple[Recovery, ...]) -> str:
    """From which switch on a loss stays."""
    label = metric_info(some[0].metric).label
    stays = [one.switch - 1 for one in some if one.status == "stays"]
    heals = [one.switch - 1 for one in some if one.status == "heals"]
    if not stays and not heals:
        return f"{label}: no threshold of no return can be told."
    if not stays:
        return (
            f"{label}: no threshold of no return was met; if there is one, it lies after "
            f"generation {max(heals)}."
        )
    if not heals:
        is_earliest = min(stays) == min(one.switch for one in some) - 1
        rest = ", the earliest tried" if is_earliest else "; of earlier ones it cannot be told"
        return f"{label}: the loss stays from generation {min(stays)} on{rest}."
    if max(heals) < min(stays):
        return (
            f"{label}: the threshold of no return lies between generation {max(heals)}, which "
            f"heals, and {min(stays)}, which does not."
        )
    return f"{label}: later switches heal and earlier ones do not, so that there is no threshold."


def _with_interval(one: Recovery, what: Effect) -> str:
    assert what.mean is not None, "a recovery has seeds"
    if what.interval is None:
        return _signed(one, what.mean)
    sign, info = LOSSES[one.metric], metric_info(one.metric)
    ends = sorted(sign * end for end in what.interval)
    return (
        f"{_signed(one, what.mean)} ({info.write_bare(ends[0], '+')} to "
        f"{info.write_bare(ends[1], '+')})"
    )


def _signed(one: Recovery, loss: float) -> str:
    """A loss with the metric's own sign and unit."""
    return metric_info(one.metric).write_difference(LOSSES[one.metric] * loss)


def _left(one: Recovery) -> str:
    return _percent(one.left_N.mean() / one.lost_N.mean())


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %".replace("-", MINUS)


def _range(ends: tuple[float, float]) -> str:
    return f"{100 * ends[0]:.0f} to {_percent(ends[1])}".replace("-", MINUS)
