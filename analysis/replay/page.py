"""The page of the replay: the published table, what it hid, and what may not be concluded."""

from collections.abc import Callable
from textwrap import fill

import pandas as pd

from analysis.metrics import MINUS
from analysis.trends import LEAST_TAU

NO_CONCLUSION = "One chain and no control: nothing can be concluded."


def page(table: pd.DataFrame, trends: pd.DataFrame, picture: str) -> str:
    """The page as Markdown.

    Args:
        table: from `analysis.replay.published.replay`.
        trends: from `analysis.replay.published.replay_trends`.
        picture: file name of the figure beside the page.

    Returns:
        Text that ends in a newline.
    """
    parts = [
        "# The published six generations, replayed",
        "    python -m analysis.replay ../shared/data/published/recursion_102m "
        "--to docs/results/published_recursion",
        _wrapped(
            "The first seed trained a model of 102 million parameters on its own text for five "
            "generations and published a table of a falling spectral ratio. Its spectral rows are "
            "worked out here again from the Ritz values and top eigenvalues that it kept of every "
            "generation; eigenvalues are in nats per squared unit of a parameter."
        ),
        f"**{NO_CONCLUSION}**",
        f"![The published Ritz values of all generations]({picture})",
        _wrapped(
            "Ticks are the published Ritz values, which came without weights; grey bars are the "
            "seed's own bulk, centre and width. Nothing was published that could certify an end."
        ),
        "## The published table",
        _published(table),
        _wrapped(_remarks(table)),
        "## What the table hid",
        _hidden(table),
        _wrapped(_reading(table)),
        "## The four indicators of collapse",
        _trends(trends),
        _wrapped(
            "Slopes are medians over all pairs of generations (Theil and Sen), with a 95 % "
            "interval that takes the generations for independent, which they are not; a trend is "
            f"named from a Kendall tau of {LEAST_TAU} on. Below the four stands what the seed did "
            f"not look at. {NO_CONCLUSION} Whether a chain on human text would have shown the same "
            "was not measured, no eigenvalue has a certificate, and all generations of one chain "
            "are one observation."
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _wrapped(text: str) -> str:
    return fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _row(label: str, values: pd.Series, write: Callable[[float], str]) -> str:
    cells = ["–" if pd.isna(value) else write(float(value)) for value in values]
    return f"| {label} | {' | '.join(cells)} |".replace("-", MINUS)


def _head(table: pd.DataFrame) -> str:
    names = " | ".join(f"gen. {generation}" for generation in table.index)
    return f"| | {names} |\n| --- |{' ---: |' * len(table)}"


def _published(table: pd.DataFrame) -> str:
    later = table["degradation"].where(table.index > 0)
    return "\n".join(
        [
            _head(table),
            _row("loss, nats (quoted)", table["quoted_loss"], "{:.2f}".format),
            _row("improvement, % (quoted)", table["quoted_improvement"], "{:.0f}".format),
            _row("spectral ratio", table["spectral_ratio"], "{:.2f}".format),
            _row("degradation, %", later, "{:.0f}".format),
            _row("largest eigenvalue", table["lambda_max"], "{:.2f}".format),
            _row("bulk centre", table["bulk_center"], "{:.2f}".format),
            _row("bulk width", table["bulk_width"], "{:.2f}".format),
        ]
    )


def _remarks(table: pd.DataFrame) -> str:
    first, last = table.iloc[0], table.iloc[-1]
    loss = table["quoted_loss"]
    improvement = 100 * (1 - float(loss.loc[1]) / float(loss.loc[0]))
    printed = int(table["quoted_improvement"].loc[1])
    deviation = float(table["largest_deviation"].max())
    stored = "to the last bit" if deviation == 0 else f"to a relative {deviation:.0e}"
    odd = ", ".join(str(generation) for generation in table.index[~table["is_as_printed"]])
    digits = (
        f"but not with the printed digits of generation {odd}"
        if odd
        else ("and with every printed digit of ratio and degradation")
    )
    return (
        f"Everything but the two quoted rows is recomputed; it agrees with what the seed stored "
        f"{stored}, {digits}. The largest eigenvalue grows "
        f"{last['lambda_max'] / first['lambda_max']:.2f} times. Losses and improvements are "
        "quoted, as no raw losses were published; the printed losses give "
        f"{improvement:.1f} % for generation 1, where the table prints {printed}. They are not "
        "comparable either: generation 0's is a mean over all steps on human text, the later ones "
        "are the last minibatch on the generation's own text, so that their fall is no improvement "
        "on anything."
    )


def _hidden(table: pd.DataFrame) -> str:
    count = int(table["ritz_values"].iloc[0])
    return "\n".join(
        [
            _head(table),
            _row("smallest eigenvalue", table["lambda_min"], "{:.1f}".format),
            _row("largest / \\|smallest\\|", table["lambda_max_over_abs_min"], "{:.2f}".format),
            _row(
                f"negative Ritz values of {count}", table["negative_ritz_values"], "{:.0f}".format
            ),
            _row("ratio by quartiles", table["iqr_ratio"], "{:.2f}".format),
        ]
    )


def _reading(table: pd.DataFrame) -> str:
    first, last = table.iloc[0], table.iloc[-1]
    down, up = (last[end] / first[end] for end in ("lambda_min", "lambda_max"))
    return (
        f"The smallest eigenvalue grows {down:.0f} times while the largest grows {up:.1f} times: "
        "the ratio falls as its denominator, the spread of unweighted Ritz values, follows the "
        "negative end. What was called spectral collapse is, on this chain, growing negative "
        "curvature. Without weights the Ritz values are no density: their spread says where the "
        "ends lie, and nothing of the bulk, in which nearly all eigenvalues are. Of the "
        f"{first['negative_ritz_values']:.0f} negative ones at generation 0, "
        f"{first['negative_zeros']:.0f} is zero within rounding."
    )


def _trends(trends: pd.DataFrame) -> str:
    lines = [
        "| indicator | claimed | gen. 0 | gen. 5 | slope a generation | tau | trend |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in trends.to_dict("records"):
        name = str(row["indicator"]).replace("|", "\\|")
        slope = f"{row['slope']:+.3g} ({row['lower']:+.3g} to {row['upper']:+.3g})"
        numbers = [f"{row['start']:.4g}", f"{row['end']:.4g}", slope, f"{row['tau']:+.2f}"]
        cells = [name, row["claimed"] or "–", *(n.replace("-", MINUS) for n in numbers)]
        lines.append(f"| {' | '.join([*cells, row['trend']])} |")
    return "\n".join(lines)
