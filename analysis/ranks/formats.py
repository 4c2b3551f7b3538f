"""How numbers of ranks are written in sentences and tables."""

from analysis.metrics import MINUS
from analysis.ranks.answers import Answer
from collapse.figures.view import written


def numbers(answer: Answer) -> str:
    """Effect size, interval and p's of an answer, or why there are none."""
    if answer.mean is None:
        return " ".join(answer.reasons)
    asked = answer.asked
    share = f" ({percent(answer)})" if asked.reference else ""
    parts = [f"{signed(answer.mean)} {asked.unit}{share}"]
    if answer.interval:
        parts.append(f"95 % {signed(answer.interval[0])} to {signed(answer.interval[1])}")
    if answer.g is not None:
        parts.append(f"g = {signed(answer.g)}")
    parts.append(f"p = {answer.p:.2g}")
    if asked.is_primary:
        parts.append("the primary contrast")
    elif answer.p_corrected is not None:
        parts.append(f"corrected {answer.p_corrected:.2g}")
    return ", ".join([*parts, f"n = {answer.n_seeds}"])


def signed(value: float) -> str:
    """A difference in three digits, with its sign."""
    return f"+{written(value)}" if value > 0 else written(value)


def percent(answer: Answer) -> str:
    """A mean difference as a share of what is compared with; empty where that means nothing."""
    if answer.mean is None or not answer.asked.reference:
        return ""
    share = 100 * answer.mean / answer.asked.reference
    return f"{share:+.{0 if abs(share) >= 10 else 1}f}\N{NO-BREAK SPACE}%".replace("-", MINUS)


def tokens_in_words(tokens: float) -> str:
    """A number of tokens as one says it: 0, 31K, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if tokens >= size:
            return f"{tokens / size:.3g}{letter}"
    return f"{tokens:.0f}"


def correlation(value: float) -> str:
    """Two decimals and a sign."""
    return f"{value:+.2f}".replace("-", MINUS)


def between(interval: tuple[float, float] | None) -> str:
    """A correlation's interval in brackets; empty without one."""
    if interval is None:
        return ""
    return f" (95 % {correlation(interval[0])} to {correlation(interval[1])})"
