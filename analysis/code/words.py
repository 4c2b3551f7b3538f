"""What the completions of a study say, in sentences made from its answers."""

from collections.abc import Sequence

from analysis.code.arms import DECODINGS, DRIVERS, change_of, trained
from analysis.code.findings import CodeFindings
from analysis.code.questions import INTERACTION, OUTCOMES, RATE_MARGIN_POINTS
from analysis.code.tables import BITS, COLLAPSE, PARSE, PARSE_HUMAN, CodeTables
from analysis.comparisons.answers import Answer
from analysis.comparisons.words import ended, numbers
from analysis.metrics import metric_info
from collapse.figures.view import percent, written

MUCH_COMPUTE = 0.10
"""Share of the control's compute from which an arm is said to be off it."""
_COLLAPSE = OUTCOMES[0].label
_ADDING_UP = {
    "higher": "Vocabulary and capacity together bring more collapse than the sum of either",
    "lower": "Vocabulary and capacity together bring less collapse than the sum of either",
    "similar": "Vocabulary and capacity add up: together they do what either does, summed",
    "undecided": "Undecided whether vocabulary and capacity add up",
    "not measured": "Not measured: whether vocabulary and capacity add up",
}


def sentences(found: CodeFindings) -> tuple[str, ...]:
    """The findings: what drives collapse, every arm by itself, people's code, decoding."""
    tables = found.tables
    told = (
        f"{drivers_lead(found)}.",
        compute_in_words(tables),
        *(_arm_in_words(found, arm) for arm in trained(tables.arms, tables.control)),
        _interaction_in_words(found),
        ceiling_in_words(tables),
        *doubts(tables),
        _decodings_in_words(found),
    )
    return tuple(sentence for sentence in told if sentence)


def short(found: CodeFindings) -> tuple[str, ...]:
    """What matters most of it."""
    tables = found.tables
    told = (
        f"{drivers_lead(found)}.",
        compute_in_words(tables),
        _interaction_in_words(found),
        ceiling_in_words(tables),
        *doubts(tables),
    )
    return tuple(sentence for sentence in told if sentence)


def drivers_lead(found: CodeFindings) -> str:
    """Whether data, vocabulary or capacity moves the collapse rate, in a clause."""
    told = [(arm, found.answer(arm, _COLLAPSE)) for arm in DRIVERS.values()]
    control = found.tables.control
    by_verdict: dict[str, list[str]] = {}
    clauses = []
    for arm, answer in told:
        if answer is None or answer.mean is None:
            continue
        if answer.verdict in {"higher", "lower"}:
            clauses.append(_moved(found.tables, arm, answer))
        else:
            by_verdict.setdefault(answer.verdict, []).append(_lowered(change_of(arm).words))
    if alike := by_verdict.get("similar"):
        leave = "leaves" if len(alike) == 1 else "leave"
        named = _listed(alike)
        clauses.append(
            f"{named} {leave} collapse within {RATE_MARGIN_POINTS:.0f} points of {control}"
        )
    if open_ones := by_verdict.get("undecided"):
        clauses.append(
            f"undecided for {_listed(open_ones)}"
            if clauses
            else f"undecided whether {_listed(open_ones, 'or')} moves collapse"
        )
    lead = "; ".join(_lowered(clause) for clause in clauses)
    return f"{lead[0].upper()}{lead[1:]}" if lead else _range_lead(found.tables)


def _moved(tables: CodeTables, arm: str, answer: Answer) -> str:
    verb = "raises" if answer.verdict == "higher" else "lowers"
    clause = f"{change_of(arm).words} {verb} collapse by {written(abs(answer.mean or 0))} points"
    ratio = tables.compute(arm)
    return f"{clause} at {_times(ratio)} the compute" if ratio and _is_off(ratio) else clause


def _range_lead(tables: CodeTables) -> str:
    """Where none of the three was asked: how often completions collapse."""
    means = tables.means(COLLAPSE)
    least, most = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    if least == most:
        return f"{percent(means[least])} of completions collapse under {least}"
    return (
        f"Of completions collapse from {percent(means[least])} ({least}) to "
        f"{percent(means[most])} ({most})"
    )


def compute_in_words(tables: CodeTables) -> str:
    """Whether the arms are compared at equal compute; empty where nothing is compared."""
    arms = trained(tables.arms, tables.control) if tables.control else ()
    ratios = {arm: tables.compute(arm) for arm in arms}
    known = {arm: ratio for arm, ratio in ratios.items() if ratio is not None}
    if not known:
        return "Compute was not counted: whether it is equal is not known." if arms else ""
    off = [f"{arm} ({_times(ratio)})" for arm, ratio in known.items() if _is_off(ratio)]
    unknown = [arm for arm in arms if arm not in known]
    rest = f" Of {_listed(unknown)} it is not known." if unknown else ""
    if off:
        return (
            f"Not at equal compute with {tables.control}: {', '.join(off)}. A difference of such "
            f"an arm may be one of compute.{rest}"
        )
    return (
        f"Compute is equal to within {100 * MUCH_COMPUTE:.0f} %: {_times(min(known.values()))} to "
        f"{_times(max(known.values()))} that of {tables.control}.{rest}"
    )


def _is_off(ratio: float) -> bool:
    return abs(ratio - 1) > MUCH_COMPUTE


def _times(ratio: float) -> str:
    return f"{ratio:.2f}×"


def _arm_in_words(found: CodeFindings, arm: str) -> str:
    """One arm against the control in all outcomes; empty where it was measured in none."""
    asked = [found.answer(arm, outcome.label) for outcome in OUTCOMES]
    told = [one for one in asked if one is not None]
    if not any(one.n_seeds for one in told):
        return ""
    parts = [f"{one.asked.at} {_verdict_and_numbers(one)}" for one in told]
    return f"{change_of(arm).words} ({arm}): {ended('; '.join(parts))}"


def _verdict_and_numbers(answer: Answer) -> str:
    if answer.mean is None:
        reasons = " ".join(answer.reasons).removesuffix(".")
        return f"not compared ({_lowered(reasons)})"
    return f"{answer.verdict}, {numbers(answer)}"


def _interaction_in_words(found: CodeFindings) -> str:
    asked = [found.answer(INTERACTION, outcome.label) for outcome in OUTCOMES]
    told = [one for one in asked if one is not None]
    if not told:
        return ""
    parts = [f"{one.asked.at} {_verdict_and_numbers(one)}" for one in told]
    return f"{_ADDING_UP[told[0].verdict]}. Interaction: {ended('; '.join(parts))}"


def ceiling_in_words(tables: CodeTables) -> str:
    """The arm that parses most often, beside people's code; empty where either is missing."""
    rates, people = tables.means(PARSE), tables.means(PARSE_HUMAN)
    both = [arm for arm in rates if arm in people]
    if not both:
        return ""
    best = max(both, key=rates.__getitem__)
    return (
        f"Most completions parse under {best}: {percent(rates[best])}, where people's code, cut at "
        f"as many of its tokens, parses in {percent(people[best])}."
    )


def doubts(tables: CodeTables) -> list[str]:
    """Of every arm that alarms, the number that is no evidence, and what it writes."""
    told = []
    for arm in tables.alarming:
        bits, rate = tables.mean(BITS, arm), tables.mean(COLLAPSE, arm)
        parse = tables.mean(PARSE, arm)
        number = "Its likelihoods" if bits is None else f"The {written(bits)} bits per byte"
        writes = [
            f"{percent(share)} of its completions {verb}"
            for share, verb in ((rate, "collapse"), (parse, "parse"))
            if share is not None
        ]
        rest = f": {' and '.join(writes)}" if writes else ""
        told.append(f"{number} of {arm} are not to be believed (see the alarm){rest}.")
    return told


def _decodings_in_words(found: CodeFindings) -> str:
    """What decoding does to the control's model; empty where no other decoding was measured."""
    tables = found.tables
    rates = tables.means(COLLAPSE)
    arms = [arm for arm in rates if arm in DECODINGS and arm != tables.control]
    if not arms or tables.control not in rates:
        return ""
    by_verdict: dict[str, list[str]] = {}
    for one in found.decodings:
        if one.asked.at == _COLLAPSE and one.mean is not None:
            by_verdict.setdefault(one.verdict, []).append(one.asked.question)
    verdicts = "; ".join(f"{word} under {_listed(some)}" for word, some in by_verdict.items())
    listed = ", ".join(f"{percent(rates[arm])} under {arm}" for arm in arms)
    return (
        f"The model of {tables.control}, decoded in other ways, collapses in {listed}, against "
        f"{percent(rates[tables.control])}: {verdicts}."
    )


def classes_title(found: CodeFindings) -> str:
    """The finding on collapse, and the arms that alarm."""
    lead, alarming = drivers_lead(found), found.tables.alarming
    return f"{lead} (alarm: {', '.join(alarming)})" if alarming else lead


def parse_title(tables: CodeTables) -> str:
    """The best arm by bits per byte that is to be believed, and how often it parses."""
    bits, rates, people = (tables.means(one) for one in (BITS, PARSE, PARSE_HUMAN))
    trusted = [arm for arm in bits if arm in rates and arm not in tables.alarming]
    doubted = [arm for arm in bits if arm in tables.alarming]
    aside = f"; {_listed(doubted)} not to be believed" if doubted else ""
    if not trusted:
        return "No arm's bits per byte are to be believed"
    best = min(trusted, key=bits.__getitem__)
    number = metric_info(BITS).write(bits[best])
    beside = f", people's code in {percent(people[best])}" if best in people else ""
    only = "Lowest in bits per byte is" if len(trusted) > 1 else "The bits per byte are those of"
    return f"{only} {best} ({number}): it parses in {percent(rates[best])}{beside}{aside}"


def _listed(words: Sequence[str], joint: str = "and") -> str:
    """Words as one lists them: a, b and c."""
    *firsts, last = words
    return f"{', '.join(firsts)} {joint} {last}" if firsts else last


def _lowered(text: str) -> str:
    """Its first word as in the middle of a sentence."""
    return text if text[1:2].isupper() else f"{text[0].lower()}{text[1:]}"
