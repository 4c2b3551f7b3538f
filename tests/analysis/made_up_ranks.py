"""Made-up ranks of a study like `rank_collapse`, with planted effects or with none."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.ranks.tables import RankTables
from analysis.study import StudyRecord
from tests.analysis.made_up_study import made_up_study

ARMS = (
    *("qknorm_muon", "plain_muon", "qknorm_adamw", "plain_adamw"),
    *("simple", "complex", "frozen_muon"),
)
SCHEDULE = (0, 31e3, 61e3, 123e3, 246e3, 492e3, 737e3, 983e3, 1.229e6, 1.536e6)
START, WIDTH = 28.0, 32
LAYERS, HEADS = 3, 2
# Directions of K at the end of training.
EFFECTS = {
    "qknorm_muon": 18.0,
    "plain_muon": 23.0,
    "qknorm_adamw": 14.0,
    "plain_adamw": 19.0,
    "simple": 16.0,
    "complex": 21.0,
    "frozen_muon": 23.2,
}
NO_EFFECTS = dict.fromkeys(ARMS, 20.0)
FINAL_LOSS = {"qknorm_adamw": 2.6, "plain_adamw": 2.7, "plain_muon": 2.2}


def gradual_share(tokens: float) -> float:
    """How much of the change is done: a logistic curve over some four doublings."""
    at = np.log2(1 + tokens / SCHEDULE[1])
    return float((np.tanh(0.5 * (at - 3.0)) - np.tanh(-1.5)) / (np.tanh(1.35) - np.tanh(-1.5)))


def sudden_share(tokens: float) -> float:
    return float(tokens > 200e3)


def made_up_ranks(
    ends: Mapping[str, float] = EFFECTS,
    seeds: Iterable[int] = range(6),
    *,
    noise: float = 0.25,
    share: Any = gradual_share,
    gauge_free: float = 1.0,
    seed: int = 0,
) -> RankTables:
    """Ranks, losses, singular values, gains and surgery.

    Args:
        ends: directions of K at the end, by arm.
        seeds: of the chains.
        noise: standard deviation between chains and between checkpoints, in directions.
        share: how much of the change is done after so many tokens.
        gauge_free: how much of K's change the companions share; -1 turns it round.
        seed: of the noise.
    """
    drawn = np.random.default_rng(seed)
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in vars(RankTables())}
    for arm, end in ends.items():
        for chain in seeds:
            own = drawn.normal(0, noise)
            place = {"arm": arm, "seed": chain, "generation": 0}
            chain_frames = {
                "ranks": _ranks(end + own, noise, share, gauge_free, drawn),
                "losses": _losses(FINAL_LOSS.get(arm, 2.0) + own / 50),
                "singular_values": _singular_values(end + own),
                "surgery": _surgery(drawn, arm),
            }
            if arm not in {"plain_muon", "plain_adamw", "frozen_muon"}:
                chain_frames["gains"] = _gains(drawn)
            for name, frame in chain_frames.items():
                frames[name].append(frame.assign(**place))
    return RankTables(**{k: pd.concat(v) if v else pd.DataFrame() for k, v in frames.items()})


def study_of_ranks(ranks: RankTables, **changes: Any) -> StudyRecord:
    """A study with nothing but ranks."""
    empty = pd.DataFrame()
    fields: dict[str, Any] = {
        "name": "rank_collapse",
        "question": "Do keys lose rank while a model learns?",
        "control_arm": "qknorm_muon",
        "arms": ARMS,
        "seeds": tuple(range(6)),
        "generations": 0,
        "claims": (),
        "measurements": empty,
        "samples": empty,
        "runs": empty,
        "ranks": ranks,
    }
    return replace(made_up_study(), **(fields | changes))


def without(ranks: RankTables, name: str, condition: str) -> RankTables:
    """The same tables without the rows of one (or of ``all``) that meet a condition."""
    names = list(vars(ranks)) if name == "all" else [name]
    return replace(ranks, **{one: getattr(ranks, one).query(f"not ({condition})") for one in names})


def _ranks(
    end: float, noise: float, share: Any, gauge_free: float, drawn: np.random.Generator
) -> pd.DataFrame:
    rows = []
    for tokens in SCHEDULE:
        change = (end - START) * share(tokens)
        wobble = drawn.normal(0, noise)
        for which in ("K", "Q", "K_centred", "scores_centred", "W_qk"):
            part = 1.0 if which in {"K", "Q"} else gauge_free
            for layer in range(LAYERS):
                for head in range(HEADS):
                    rank = START + part * change + wobble + (layer - 1) + (head - 0.5)
                    rows.append((tokens, layer, head, which, rank, 0.8 * rank, round(0.7 * rank)))
    columns = ["tokens", "layer", "head", "which", "participation_ratio"]
    table = pd.DataFrame(rows, columns=[*columns, "participation_ratio_sq", "rank_90"])
    deficient = (table["layer"] == 0) & (table["head"] == 0)
    return table.assign(site="projection", condition_number=np.where(deficient, 1.8e308, 1e4))


def _losses(end: float) -> pd.DataFrame:
    doublings = np.log2(1 + np.array(SCHEDULE) / SCHEDULE[1])
    return pd.DataFrame(
        {"tokens": SCHEDULE, "nll_nats": end + (7.6 - end) * np.exp(-0.6 * doublings)}
    )


def _singular_values(end: float) -> pd.DataFrame:
    rows = [
        (tokens, layer, head, "K", rank, 10 * np.exp(-(rank - 1) / scale))
        for tokens, scale in ((SCHEDULE[0], START), (SCHEDULE[-1], end / 2))
        for layer in range(LAYERS)
        for head in range(HEADS)
        for rank in range(1, WIDTH + 1)
    ]
    return pd.DataFrame(rows, columns=["tokens", "layer", "head", "which", "rank", "value"])


def _gains(drawn: np.random.Generator) -> pd.DataFrame:
    """Gains that say nothing of what the coordinate carries before them."""
    rows = []
    for layer in range(LAYERS):
        gains = drawn.uniform(0.3, 1.5, WIDTH)
        for head in range(HEADS):
            unit = drawn.uniform(0.8, 1.2, WIDTH)
            rows += [(layer, head, i, gains[i], gains[i] * unit[i], unit[i]) for i in range(WIDTH)]
    return pd.DataFrame(
        rows, columns=["layer", "head", "coordinate", "gain", "key_rms", "unit_rms"]
    )


def _surgery(drawn: np.random.Generator, arm: str) -> pd.DataFrame:
    """Gains nearly as good as singular values, chance far worse."""
    strategies = [("svd", "", 1, 0.2), ("random", "coordinate", 3, 1.4)]
    strategies += [("random", "rotated", 3, 1.7)]
    if arm not in {"plain_muon", "plain_adamw", "frozen_muon"}:
        strategies.append(("gamma", "", 1, 0.22))
    rows = [
        (strategy, basis, draw, percent, 2.0 + (cost + drawn.normal(0, 0.03)) * percent / 100)
        for strategy, basis, draws, cost in strategies
        for draw in range(draws)
        for percent in (0.0, 20.0, 40.0, 60.0, 90.0)
    ]
    return pd.DataFrame(rows, columns=["strategy", "basis", "draw", "percent", "nll_nats"])
