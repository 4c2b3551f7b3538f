"""Metrics of Python that a model completed (R4.3, R4.4)."""

from analysis.metrics.metric import SHARE, Metric
from analysis.metrics.texts import beside_human

_OF_ALL = "% of completions"


def _share(name: str, label: str, reading: str) -> Metric:
    return Metric(f"quality/{name}", label, _OF_ALL, reading=reading, **SHARE)


CODE_METRICS = (
    _share("collapse_rate", "Collapse rate", "Mode collapse or repetitive, see there."),
    _share("class_mode_collapse", "Mode collapse", "One character is over 80 % of it."),
    _share("class_repetitive", "Repetitive", "Fewer than 5 different characters, or none."),
    _share("class_good", "Good by its characters", "A keyword and an operator; it need not parse."),
    _share("class_partial", "Partial", "Both parentheses or an operator, and not good."),
    _share("class_noise", "Noise", "No operator, not both parentheses."),
    _share("keyword_rate", "With a keyword", "One of eight keywords anywhere, even in a word."),
    _share("operator_rate", "With an operator", "One of = + - * / > < anywhere."),
    _share("parentheses_rate", "With parentheses", "Both of them, in any order."),
    Metric(
        "quality/commonest_character_share",
        "Commonest character",
        "% of a completion",
        reading="Higher is more repetitive; code has much white space.",
        **SHARE,
    ),
    Metric(
        "quality/distinct_characters",
        "Different characters",
        "characters a completion",
        decimals=1,
        floor=0.0,
        reading="Lower is more repetitive.",
    ),
    *beside_human(
        "quality/parse_rate",
        "Parse rate",
        "A first line or more of it is Python after its prompt; people's code, cut at as many "
        "tokens, is the ceiling.",
        unit=_OF_ALL,
        **SHARE,
    ),
    *beside_human(
        "quality/parse_rate_whole",
        "Parse rate, to the last character",
        "Strict: good code fails for being cut.",
        unit=_OF_ALL,
        **SHARE,
    ),
    *beside_human(
        "quality/parsed_share",
        "Parsed part",
        "How much of a completion its lines that parse are.",
        unit="% of a completion",
        **SHARE,
    ),
    *beside_human(
        "quality/identifier_diversity",
        "Diversity of names",
        "Different names over the square root of all names; lower is poorer.",
        floor=0.0,
    ),
    Metric(
        "quality/completion_entropy_nats",
        "Next-token entropy along completions",
        "nats a token",
        floor=0.0,
        reading="Near 0 the model is sure of every token it writes, as in a loop.",
    ),
    Metric(
        "quality/completion_top1",
        "Likeliest token along completions",
        "probability",
        floor=0.0,
        ceiling=1.0,
        reading="Near 1 the model is sure of every token it writes, as in a loop.",
    ),
)
