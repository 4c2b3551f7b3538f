"""Where the distance from the truth comes from, in sentences, and what they do not say."""

import pandas as pd

from analysis.claims.effects import Effect
from analysis.comparisons.words import signed
from analysis.origins.findings import PARTS, WHOLE, OriginFindings
from collapse.figures.view import written

NAMES = {
    "total": "the whole distance from the truth",
    "sampling": "sampling",
    "inherited": "of it lost before by the writers of those stories",
    "drawn": "of it from the writers to the counted sample",
    "fitting": "fitting",
    "made_up": "of it texts that are no stories",
    "not_learned": "of it what was not learnt",
    "read_made_up": "texts that are no stories among those it read",
    "decoding": "decoding",
    "passed": "what it read was from the truth already",
    "added": "what it added itself",
}
"""Every part in words, in the order of the report's table."""
_LITTLE_NATS = 0.001
"""Smaller parts are not named in a title."""


def parts_title(found: OriginFindings) -> str:
    """Which part carries the arm that went furthest, without a full stop."""
    arm = found.told
    effects = {part: found.beside(arm, part).mean or 0.0 for part in _shown_parts(found)}
    whole = found.beside(arm).mean or 0.0
    told = [part for part in effects if abs(effects[part]) >= _LITTLE_NATS]
    most = sorted(told, key=lambda part: -abs(effects[part]))
    is_one_way = len({effects[part] > 0 for part in most}) == 1
    write = _size if is_one_way else signed
    parts = ", ".join(f"{write(effects[part])} by {part}" for part in most) or "no part of note"
    where = "further from" if whole >= 0 else "nearer to"
    distance = f"{written(abs(whole))} nats a story {where} the truth"
    control = found.control_of(arm)
    if control in (None, arm):
        return f"By generation {found.last} {arm} is {distance} than at generation 0: {parts}"
    return f"Generation {found.last} of {arm} is {distance} than {control}: {parts}"


def passed_title(found: OriginFindings) -> str:
    """How much of the distance was read, and how much is new, without a full stop."""
    arm = found.told
    parts = found.means(arm, found.last)
    return (
        f"What generation {found.last} of {arm} read was {written(parts['passed'])} nats a story "
        f"from the truth; it ends at {written(parts['total'])}"
    )


def sentences(found: OriginFindings) -> tuple[str, ...]:
    """The findings, with intervals over seeds."""
    arm = found.told
    told = [_with_intervals(found, arm)]
    told += [_over_generations(found, one) for one in found.shown]
    parts = found.means(arm, found.last)
    control = found.control_of(arm)
    if pd.notna(parts["passed"]):
        others = [arm, *([control] if control not in (None, arm) else [])]
        told += [passed for one in others if (passed := _passed_on(found, one))]
    if pd.notna(parts["inherited"]):
        told.append(
            f"Of the sampling part of {arm} at generation {found.last}, "
            f"{signed(parts['inherited'])} nats a story were lost before by the writers of those "
            f"stories; from there to the counted sample it is {signed(parts['drawn'])}"
            f"{_put_right(parts['drawn'])}."
        )
    if pd.notna(parts["not_learned"]):
        told.append(
            f"Of the fitting part of {arm} at generation {found.last}, {written(parts['made_up'])} "
            f"nats a story are mass on texts that are no stories{_read_already(parts)}, and "
            f"{signed(parts['not_learned'])} what the network did not learn among stories."
        )
    return tuple(told)


def cautions(found: OriginFindings) -> tuple[str, ...]:
    """What these numbers do not say."""
    candidates = (
        "Sampling is what a reader would miss that knows the whole grammar but for its "
        "probabilities. A network has to learn the grammar, too, from as few texts: what it misses "
        "for lack of text beyond the probabilities counts as fitting.",
        "Generations start from their parent's weights, which remember earlier text: sampling is "
        "about the new text alone, so that fitting may be negative."
        if "parent" in {found.record.starts.get(arm) for arm in found.arms}
        else "",
        ""
        if found.decodes_plainly
        else "Tokens outside top-k or top-p keep a mass of 0.0001 together: the decoding part of a "
        "story that needs them is finite, and grows with the logarithm of that choice.",
        f"{found.told} is in the titles as it came out furthest from what it is held beside, of "
        f"{len(found.others)} arms: the largest of several differences is the largest by chance, "
        "too, and its interval is not corrected for that."
        if len(found.others) > 1
        else "",
        "Intervals are over seeds; the held-out stories are the same for all.",
        _missing_arms(found),
    )
    return tuple(caution for caution in candidates if caution)


def _size(nats: float) -> str:
    return written(abs(nats))


def _shown_parts(found: OriginFindings) -> tuple[str, ...]:
    return PARTS[:2] if found.decodes_plainly else PARTS


def _with_intervals(found: OriginFindings, arm: str) -> str:
    control = found.control_of(arm)
    beside = f"than {control}" if control not in (None, arm) else "than generation 0"
    told = ", ".join(
        f"{part} {interval_of(found.beside(arm, part))}" for part in _shown_parts(found)
    )
    whole = found.beside(arm, WHOLE)
    return (
        f"By generation {found.last} {arm} is {interval_of(whole)} nats a story further from the "
        f"truth {beside}: {told} (n = {whole.n_seeds})."
    )


def interval_of(one: Effect) -> str:
    """A mean with its interval, where there is one."""
    if one.mean is None:
        return "–"
    ends = f" (95 % {signed(one.interval[0])} to {signed(one.interval[1])})" if one.interval else ""
    return f"{signed(one.mean)}{ends}"


def _over_generations(found: OriginFindings, arm: str) -> str:
    first = found.generations_of(arm)[0]
    # Chains that ended on the way would else be in the first mean and not in the last.
    both = found.at(arm, WHOLE, first).index.intersection(found.at(arm, WHOLE, found.last).index)
    start, end = found.means(arm, first, both), found.means(arm, found.last, both)
    planned = len(found.record.seeds_of(arm))
    few = f" ({len(both)} of {planned} seeds have both)" if len(both) < planned else ""
    parts = ", ".join(
        f"{part} {written(start[part])} to {written(end[part])}" for part in _shown_parts(found)
    )
    return (
        f"Under {arm} the distance goes from {written(start['total'])} nats a story at generation "
        f"{first} to {written(end['total'])} at generation {found.last}{few}: {parts}."
    )


def _passed_on(found: OriginFindings, arm: str) -> str:
    parts = found.means(arm, found.last)
    if pd.isna(parts["passed"]):
        return ""
    return (
        f"What generation {found.last} of {arm} read was {written(parts['passed'])} nats a story "
        f"from the truth already; the generation itself adds {signed(parts['added'])}."
    )


def _read_already(parts: pd.Series) -> str:
    """How much of the made up was in the text already."""
    if pd.isna(parts["read_made_up"]):
        return ""
    return f" (those it read had {written(parts['read_made_up'])} of it)"


def _put_right(drawn_nats: float) -> str:
    if drawn_nats >= 0:
        return ""
    return (
        " (below 0: counting by the grammar puts right more of what the writers had distorted "
        "than the draw costs)"
    )


def _missing_arms(found: OriginFindings) -> str:
    missing = [arm for arm in found.record.arms if arm not in found.arms]
    if not missing:
        return ""
    return (
        f"Without all parts at generation {found.last}: {', '.join(missing)} (chains that ended, "
        "or that write greedily, which has no likelihood)."
    )
