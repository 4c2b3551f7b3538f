"""Answers in sentences and in the cells of a table."""

from analysis.comparisons.answers import Answer
from analysis.metrics import MINUS
from analysis.statistics import ALPHA, least_pairs
from collapse.figures.view import written


def few_seeds(n_seeds: int) -> tuple[str, ...]:
    """What so few seeds can say of answers that are corrected together; of more nothing.

    Where all seeds of the least number agree the exact p is at most 0.05, corrected or not; where
    one does not it is above.
    """
    enough = least_pairs()
    if n_seeds > enough:
        return ()
    seeds = f"With {n_seeds} seed{'s' * (n_seeds != 1)}"
    if n_seeds < enough:
        return (f"{seeds} no difference can be told, however large: that takes {enough}.",)
    return (f"{seeds} a corrected p of {ALPHA} takes that all of them agree.",)


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


def ended(text: str) -> str:
    """A clause as a sentence."""
    return text if text.endswith((".", "?")) else f"{text}."


def answer_cells(answer: Answer) -> dict[str, str]:
    """One answer as a row of the report's tables of answers."""
    asked = answer.asked
    row = {
        "compared": f"{asked.first} {MINUS} {asked.second}",
        "at": asked.at,
        "unit": asked.unit,
        "verdict": answer.verdict,
        "reasons": " ".join(answer.reasons),
        "margin": f"±{asked.margin:.3g}",
        "n": str(answer.n_seeds),
        "share": percent(answer),
        **dict.fromkeys(("mean", "interval", "g", "p", "corrected"), "–"),
    }
    if answer.mean is None or answer.p is None or answer.p_corrected is None:
        return row | {"margin": "–"}
    row |= {"mean": signed(answer.mean), "p": f"{answer.p:.2g}"}
    row["corrected"] = "primary" if asked.is_primary else f"{answer.p_corrected:.2g}"
    if answer.interval:
        row["interval"] = " to ".join(signed(end) for end in answer.interval)
    if answer.g is not None:
        row["g"] = signed(answer.g)
    return row
