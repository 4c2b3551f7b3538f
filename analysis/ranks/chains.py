"""One number a chain and checkpoint: layers and heads of one model are no replicates.

A chain is one arm with one seed. Its numbers are averaged over heads and then over layers before
anything else is done with them.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.ranks.tables import RankTables
from analysis.study import is_measured

PRIMARY_SITE = "projection"
"""Where K is the same thing with and without QK-norm: W_k x, before norm and rotation."""
PRIMARY = "K"
COMPANIONS = ("K_centred", "scores_centred", "W_qk")
"""Asked the same question beside K; the last two no gauge moves."""


def chain_ranks(
    tables: RankTables, which: str = PRIMARY, measure: str = "participation_ratio"
) -> pd.Series:
    """A rank of every chain at every checkpoint, mean over heads and layers.

    Args:
        tables: as planned.
        which: K, or one of its companions.
        measure: a column of ``tables.ranks``.

    Returns:
        Index (arm, seed, tokens), sorted, at the site ``PRIMARY_SITE``.
    """
    rows = _at_site(tables, which)
    rows = rows[is_measured(rows[measure])]
    of_layers = rows.groupby(["arm", "seed", "tokens", "layer"])[measure].mean()
    return of_layers.groupby(level=["arm", "seed", "tokens"]).mean()


def chain_conditions(tables: RankTables, which: str = PRIMARY) -> pd.Series:
    """Log10 of the condition number, median over heads and layers: the median bears infinity.

    Returns:
        As `chain_ranks`; infinite where most heads are rank-deficient.
    """
    rows = _at_site(tables, which)
    numbers = rows["condition_number"].where(is_measured(rows["condition_number"]), np.inf)
    logs = np.log10(numbers[rows["condition_number"].notna()])
    return logs.groupby([rows[key] for key in ("arm", "seed", "tokens")]).median()


def layer_ranks(tables: RankTables, tokens: float) -> pd.Series:
    """Participation ratio of K by (arm, seed, layer) at one checkpoint, mean over heads."""
    rows = _at_site(tables, PRIMARY)
    rows = rows[(rows["tokens"] == tokens) & is_measured(rows["participation_ratio"])]
    return rows.groupby(["arm", "seed", "layer"])["participation_ratio"].mean()


def chain_losses(tables: RankTables) -> pd.Series:
    """Held-out loss, nats a token, by (arm, seed, tokens)."""
    rows = tables.losses[is_measured(tables.losses["nll_nats"])]
    return rows.set_index(["arm", "seed", "tokens"])["nll_nats"].sort_index()


def trajectory(values: pd.Series, arm: str, seed: int) -> pd.Series:
    """One chain's values by tokens, out of those by (arm, seed, tokens)."""
    chosen = (values.index.get_level_values("arm") == arm) & (
        values.index.get_level_values("seed") == seed
    )
    return values[chosen].droplevel(["arm", "seed"])


def schedule(tables: RankTables) -> tuple[float, ...]:
    """Tokens of all checkpoints at which any chain's K was measured."""
    return tuple(sorted(set(_at_site(tables, PRIMARY)["tokens"].astype(float))))


def positions(tokens: ArrayLike) -> NDArray[np.float64]:
    """Where checkpoints lie on an axis of doublings that has a place for 0 tokens.

    ``log2(1 + tokens / first)``, first being the first checkpoint after 0: like the logarithm
    beyond it, like the tokens themselves before it.
    """
    tokens_T = np.asarray(tokens, dtype=float)
    return np.log2(1 + tokens_T / tokens_T[tokens_T > 0].min(initial=np.inf))


@dataclass(frozen=True)
class EqualLoss:
    """The ranks of two chains where both have just reached the same loss.

    Attributes:
        loss_nats: the lowest loss that both reach, nats a token.
        first: the first chain's rank there.
        second: the second's.
    """

    loss_nats: float
    first: float
    second: float


def at_equal_loss(
    ranks: tuple[pd.Series, pd.Series], losses: tuple[pd.Series, pd.Series]
) -> EqualLoss | None:
    """Compare two chains where they are equally good, not equally old.

    A chain has reached a loss at the first checkpoint with a loss as low; its losses up to there
    are a falling curve (a bump on the way is passed over). Between two checkpoints after 0 tokens,
    loss and rank are straight lines in the logarithm of tokens.

    Args:
        ranks: of either chain, by tokens.
        losses: of either chain, by tokens.

    Returns:
        At the end of the range of losses that both chains pass through; None where they share no
        loss, or one has fewer than two checkpoints with both numbers.
    """
    both = [_both(rank, loss) for rank, loss in zip(ranks, losses, strict=True)]
    if any(len(chain) < 2 for chain in both):
        return None
    loss = max(float(chain["reached"].iloc[-1]) for chain in both)
    if loss > min(float(chain["reached"].iloc[0]) for chain in both):
        return None
    return EqualLoss(loss, *(_rank_where_reached(chain, loss) for chain in both))


def _both(ranks: pd.Series, losses: pd.Series) -> pd.DataFrame:
    """Rank and lowest loss so far at each checkpoint after 0 tokens that has both."""
    chain = pd.DataFrame({"rank": ranks, "loss": losses}).dropna().sort_index()
    chain = chain[chain.index > 0]
    return chain.assign(reached=chain["loss"].cummin())


def _rank_where_reached(chain: pd.DataFrame, loss: float) -> float:
    logs, reached = np.log(chain.index.to_numpy(float)), chain["reached"].to_numpy()
    after = int(np.argmax(reached <= loss))
    if after == 0:
        return float(chain["rank"].iloc[0])
    share = (reached[after - 1] - loss) / (reached[after - 1] - reached[after])
    where = logs[after - 1] + share * (logs[after] - logs[after - 1])
    return float(np.interp(where, logs, chain["rank"].to_numpy()))


def halfway(values: pd.Series) -> float | None:
    """Where half of a chain's change from first to last is done, on the axis of `positions`.

    Args:
        values: by tokens, from 0.

    Returns:
        The first crossing, on straight lines between checkpoints; None where nothing changed, or
        there are fewer than two checkpoints.
    """
    chain = values.sort_index()
    if len(chain) < 2 or chain.iloc[0] == chain.iloc[-1]:
        return None
    places = positions(chain.index)
    done = (chain.to_numpy() - chain.iloc[0]) / (chain.iloc[-1] - chain.iloc[0])
    after = int(np.argmax(done >= 0.5))
    share = (0.5 - done[after - 1]) / (done[after] - done[after - 1])
    return float(places[after - 1] + share * (places[after] - places[after - 1]))


def _at_site(tables: RankTables, which: str) -> pd.DataFrame:
    rows = tables.ranks
    return rows[(rows["which"] == which) & (rows["site"] == PRIMARY_SITE)]
