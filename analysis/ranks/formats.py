"""How numbers of ranks are written in sentences and tables, beside `analysis.comparisons.words`."""

from analysis.metrics import MINUS


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
