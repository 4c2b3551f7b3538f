"""What the analysis of ranks is handed: five data frames, and which arm plays which role."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

import pandas as pd

from collapse.errors import BadInput

_CHAIN = ("arm", "seed", "generation")
_KEYS = {
    "ranks": (*_CHAIN, "tokens", "layer", "head", "which", "site"),
    "losses": (*_CHAIN, "tokens"),
    "singular_values": (*_CHAIN, "tokens", "layer", "head", "which", "rank"),
    "gains": (*_CHAIN, "layer", "head", "coordinate"),
    "surgery": (*_CHAIN, "strategy", "basis", "draw", "percent"),
}
_VALUES = {
    "ranks": ("participation_ratio", "participation_ratio_sq", "rank_90", "condition_number"),
    "losses": ("nll_nats",),
    "singular_values": ("value",),
    "gains": ("gain", "key_rms", "unit_rms"),
    "surgery": ("nll_nats",),
}
_WHOLE = ("seed", "generation", "layer", "head", "rank", "coordinate")


@dataclass(frozen=True, eq=False)
class RankTables:
    """What the chains of a study measured of ranks; each frame may be empty.

    All have the columns arm, seed and generation. ``tokens`` are training tokens that generation 0
    had seen at a checkpoint, 0 for random weights; the last is the trained model.

    Attributes:
        ranks: tokens, layer, head, which (as in ``collapse/probes/heads/spectra.py``), site,
            participation_ratio, participation_ratio_sq, rank_90, condition_number (may be
            infinite).
        losses: tokens, nll_nats: nats a token on held-out human text, the same for all arms.
        singular_values: tokens, layer, head, which, rank (from 1), value: of K and W_k, at the
            first and the last checkpoint.
        gains: layer, head, coordinate, gain, key_rms, unit_rms (as in ``GainPairs`` of
            ``collapse/numerics/pruning.py``), at the last checkpoint; models with QK-norm alone.
        surgery: strategy (svd, gamma, random), basis, draw, percent, nll_nats, at the last
            checkpoint.

    Raises:
        BadInput: a column is missing, a seed or place is no whole number, or one measurement is
            there twice.
    """

    ranks: pd.DataFrame = field(default_factory=pd.DataFrame)
    losses: pd.DataFrame = field(default_factory=pd.DataFrame)
    singular_values: pd.DataFrame = field(default_factory=pd.DataFrame)
    gains: pd.DataFrame = field(default_factory=pd.DataFrame)
    surgery: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __post_init__(self) -> None:
        """Check the frames once, so that no other function has to."""
        for name in _KEYS:
            object.__setattr__(self, name, _checked(getattr(self, name), name))

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was measured."""
        return all(getattr(self, name).empty for name in _KEYS)

    def planned(self, arms: Iterable[str], seeds: Iterable[int]) -> "RankTables":
        """Only the trained models (generation 0) of these arms and seeds."""
        kept = {}
        for name in _KEYS:
            frame = getattr(self, name)
            known = frame["arm"].isin(list(arms)) & frame["seed"].isin(list(seeds))
            kept[name] = frame[known & (frame["generation"] == 0)]
        return RankTables(**kept)


@dataclass(frozen=True)
class Roles:
    """Which arm of a study plays which role in the questions of R5.7.

    Attributes:
        qknorm_muon: A1, QK-norm, Muon and AdamW.
        plain_muon: A2, the same without QK-norm.
        qknorm_adamw: B1, QK-norm, AdamW alone.
        plain_adamw: B2, neither.
        simple: C1, as A1 on simple text.
        complex: C2, as A1 on complex text.
        frozen_muon: as A1 with the gains of QK-norm frozen at 1.
    """

    qknorm_muon: str = "qknorm_muon"
    plain_muon: str = "plain_muon"
    qknorm_adamw: str = "qknorm_adamw"
    plain_adamw: str = "plain_adamw"
    simple: str = "simple"
    complex: str = "complex"
    frozen_muon: str = "frozen_muon"

    def label(self, arm: str) -> str:
        """An arm in words; its own name where it plays no role."""
        for one in fields(self):
            if getattr(self, one.name) == arm:
                return _LABELS[one.name]
        return arm


_LABELS = {
    "qknorm_muon": "QK-norm, Muon",
    "plain_muon": "no norm, Muon",
    "qknorm_adamw": "QK-norm, AdamW",
    "plain_adamw": "no norm, AdamW",
    "simple": "simple text",
    "complex": "complex text",
    "frozen_muon": "frozen gains, Muon",
}


def roles_of(settings: Mapping[str, object]) -> Roles:
    """The roles that a study names in ``settings["roles"]``, else those of the study file.

    Args:
        settings: what the study was run with; ``roles`` maps a role to an arm's name.

    Raises:
        BadInput: ``roles`` is no mapping, or names a role that there is not.
    """
    given = settings.get("roles", {})
    known = [one.name for one in fields(Roles)]
    if not isinstance(given, Mapping) or not set(given) <= set(known):
        raise BadInput(f"roles are {given!r}; they must map some of {', '.join(known)} to arms")
    return Roles(**{str(role): str(arm) for role, arm in given.items()})


def _checked(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """A copy with its columns and no others, numbers where they belong."""
    keys, values = list(_KEYS[name]), list(_VALUES[name])
    if frame.empty:
        return pd.DataFrame({column: [] for column in (*keys, *values)})
    missing = [column for column in (*keys, *values) if column not in frame]
    if missing:
        raise BadInput(
            f"{name} has no column {', '.join(missing)}; it must have {', '.join((*keys, *values))}"
        )
    rows = frame[[*keys, *values]].drop_duplicates(ignore_index=True)
    if "basis" in keys:
        # A file cannot tell an empty word from a missing one.
        rows["basis"] = rows["basis"].astype(object).fillna("").astype(str)
    whole = [column for column in keys if column in _WHOLE]
    try:
        rows = rows.astype(dict.fromkeys(whole, int) | dict.fromkeys(values, float))
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"{name}: {', '.join(whole)} must be whole numbers and {', '.join(values)} numbers"
        ) from error
    twice = rows.duplicated(keys)
    if twice.any():
        place = ", ".join(f"{key} {value}" for key, value in rows.loc[twice, keys].iloc[0].items())
        raise BadInput(f"{name} has two different values at {place}; there must be one")
    return rows
