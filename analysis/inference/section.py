"""The report's section on tests beyond single claims: its sentences, tables in words, files."""

import numpy as np
import pandas as pd

from analysis.comparisons.words import signed
from analysis.inference import words
from analysis.inference.anova import ArmsCompared
from analysis.inference.family import Contrast, contrasts_table
from analysis.inference.findings import InferenceFindings
from analysis.inference.links import LinkTable, links_table
from analysis.inference.mixed import Estimate, SlopeContrast
from analysis.metrics import MINUS, metric_info
from collapse.figures.view import written

_NONE = "–"


def inference_section(found: InferenceFindings) -> dict[str, object]:
    """What the template shows: all in words, one dict a row."""
    return {
        "sentences": words.sentences(found),
        "contrasts": [_contrast_cells(one) for one in found.contrasts],
        "slopes": [_slope_cells(one) for one in found.slopes],
        "anova": [row for one in found.arms for row in _anova_rows(one)],
        "post_hoc": [row for one in found.arms for row in _post_hoc_rows(one)],
        "equivalences": _equivalence_rows(found),
        "links": _link_rows(found.links) if found.links else [],
        "missing": [
            {
                "arm": one.arm,
                "seed": str(one.seed),
                "reached": _NONE if one.last_generation is None else str(one.last_generation),
            }
            for one in found.missing
        ],
    }


def inference_lines(found: InferenceFindings) -> list[str]:
    """The section in Markdown."""
    told = words.sentences(found)
    return ["What the tests over seeds say:", "", *(f"- {sentence}" for sentence in told), ""]


def inference_files(found: InferenceFindings) -> dict[str, pd.DataFrame]:
    """Tables to be saved beside the report, by the name of their file."""
    files = {
        "contrasts.csv": contrasts_table(found.contrasts),
        "slopes.csv": slopes_table(found),
        "anova.csv": anova_table(found),
        "post_hoc.csv": post_hoc_table(found),
    }
    return files | ({"links.csv": links_table(found.links)} if found.links else {})


def slopes_table(found: InferenceFindings) -> pd.DataFrame:
    """Mixed models and slopes of chains, one row a metric and arm."""
    rows = []
    for one in found.slopes:
        row: dict[str, object] = {
            "metric": one.metric,
            "arm": one.arm,
            "control": one.control,
            "n_seeds": len(one.pairs.seeds),
            "left_out": " ".join(map(str, one.pairs.left_out)),
            "mixed_status": one.fit.status,
            "mixed_why": one.fit.why,
        }
        for name, estimate in (("mixed_slope", one.fit.slope), ("mixed_last", one.fit.last)):
            row |= _estimate_columns(name, estimate)
        low, high = one.interval or (np.nan, np.nan)
        row |= {"chain_slope": one.mean, "chain_slope_lower": low, "chain_slope_upper": high}
        rows.append(row | {"chain_slope_p": one.p, "chain_slope_p_sign_flip": one.p_flip})
    return pd.DataFrame(rows)


def anova_table(found: InferenceFindings) -> pd.DataFrame:
    """One row a metric and design."""
    rows = [
        {
            "metric": one.metric,
            "arms": " ".join(one.arms),
            "left_out": " ".join(map(str, one.left_out)),
            **vars(table),
        }
        for one in found.arms
        for table in one.tables
    ]
    return pd.DataFrame(rows)


def post_hoc_table(found: InferenceFindings) -> pd.DataFrame:
    """One row a metric and pair of arms."""
    rows = []
    for one in found.arms:
        for pair in one.post_hoc:
            low, high = pair.interval or (np.nan, np.nan)
            differences_N = pair.pairs.differences
            rows.append(
                {
                    "metric": one.metric,
                    "first": pair.first,
                    "second": pair.second,
                    "n_seeds": len(pair.pairs.seeds),
                    "mean": differences_N.mean() if differences_N.size else np.nan,
                    "lower": low,
                    "upper": high,
                    "p": pair.p,
                    "p_holm": pair.p_holm,
                }
            )
    return pd.DataFrame(rows)


def _estimate_columns(name: str, one: Estimate | None) -> dict[str, object]:
    ends = one.interval if one else (np.nan, np.nan)
    return {
        name: one.value if one else np.nan,
        f"{name}_lower": ends[0],
        f"{name}_upper": ends[1],
        f"{name}_p": one.p if one else np.nan,
    }


def _contrast_cells(one: Contrast) -> dict[str, str]:
    info = metric_info(one.metric)
    row = {
        "metric": info.label,
        "compared": f"{one.arm} {MINUS} {one.control}",
        "n": str(one.found.n_seeds),
        **dict.fromkeys(("mean", "interval", "g", "g_interval", "d_av", "p", "corrected"), _NONE),
        "least": _p(one.least_corrected),
    }
    if one.found.mean is None:
        return row
    row |= {"mean": info.write_difference(one.found.mean), "p": _p(one.found.p)}
    row["corrected"] = "primary" if one.is_primary else _p(one.p_corrected)
    if one.found.interval:
        row["interval"] = " to ".join(info.write_bare(end, "+") for end in one.found.interval)
    if one.in_differences:
        row["g"] = signed(one.in_differences.g)
        row["g_interval"] = " to ".join(signed(end) for end in one.in_differences.interval)
    if one.in_arms:
        row["d_av"] = signed(one.in_arms.g)
    return row


def _slope_cells(one: SlopeContrast) -> dict[str, str]:
    info = metric_info(one.metric)
    row = {
        "metric": info.label,
        "compared": f"{one.arm} {MINUS} {one.control}",
        "n": str(len(one.pairs.seeds)),
        "status": one.fit.status,
        "why": one.fit.why,
        **dict.fromkeys(("mixed", "mixed_p", "last", "chains", "chains_p"), _NONE),
    }
    if one.fit.slope and one.fit.last:
        row |= {"mixed": _with_interval(one.metric, one.fit.slope), "mixed_p": _p(one.fit.slope.p)}
        row["last"] = _with_interval(one.metric, one.fit.last)
    if one.mean is not None:
        row |= {"chains": info.write_difference(one.mean), "chains_p": _p(one.p)}
    return row


def _with_interval(metric: str, one: Estimate) -> str:
    info = metric_info(metric)
    low, high = (info.write_bare(end, "+") for end in one.interval)
    return f"{info.write_difference(one.value)} ({low} to {high})"


def _anova_rows(one: ArmsCompared) -> list[dict[str, str]]:
    return [
        {
            "metric": metric_info(one.metric).label,
            "arms": str(len(one.arms)),
            "n": str(table.n_seeds),
            "design": table.design,
            "f": _NONE if table.f is None else written(table.f),
            "df": f"{table.df_arms}, {table.df_rest}",
            "p": _p(table.p),
            "share": f"{table.share:.2f}",
        }
        for table in one.tables
    ]


def _post_hoc_rows(one: ArmsCompared) -> list[dict[str, str]]:
    info, rows = metric_info(one.metric), []
    for pair in one.post_hoc:
        if not pair.pairs.seeds:
            continue
        interval = _NONE
        if pair.interval:
            interval = " to ".join(info.write_bare(end, "+") for end in pair.interval)
        rows.append(
            {
                "metric": info.label,
                "compared": f"{pair.first} {MINUS} {pair.second}",
                "n": str(len(pair.pairs.seeds)),
                "mean": info.write_difference(float(pair.pairs.differences.mean())),
                "interval": interval,
                "p": _p(pair.p),
                "holm": _p(pair.p_holm),
            }
        )
    return rows


def _equivalence_rows(found: InferenceFindings) -> list[dict[str, str]]:
    return [
        {
            "claim": one.claim.id,
            "n": str(one.n_seeds),
            "margin": metric_info(one.claim.indicator).write_difference(one.claim.margin),
            "sign_flip": _p(one.p_flip),
            "t": _p(one.p_t),
        }
        for one in found.equivalences
    ]


def _link_rows(found: LinkTable) -> list[dict[str, str]]:
    rows = []
    for row in links_table(found).to_dict("records"):
        interval = f"{_r(row['lower'])} to {_r(row['upper'])}" if row["r"] == row["r"] else _NONE
        rows.append(
            {
                "spectral": metric_info(row["spectral"]).label,
                "traditional": metric_info(row["traditional"]).label,
                "naive": _r(row["r_repeated_measures"]),
                "r": _r(row["r"]),
                "interval": interval,
                "p": _p(row["p"]),
                "corrected": _p(row["p_corrected"]),
                "changes": _r(row["r_changes"]),
                "changes_corrected": _p(row["p_changes_corrected"]),
            }
        )
    return rows


def _p(p: float | None) -> str:
    return _NONE if p is None or np.isnan(p) else f"{p:.2g}"


def _r(r: float) -> str:
    return _NONE if np.isnan(r) else f"{r:+.2f}".replace("-", MINUS)
