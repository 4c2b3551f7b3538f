"""What ran, what failed, what is missing: the ledger of a study."""

from dataclasses import dataclass

import pandas as pd

from analysis.study import StudyRecord, is_measured

CONDITIONS = ("done", "broken", "open", "redone")
_DONE = frozenset({"finished", "reused"})
_BROKEN = frozenset({"failed", "killed"})


@dataclass(frozen=True)
class IncompleteChain:
    """A planned chain that does not reach the last generation.

    Attributes:
        arm: its arm.
        seed: its seed.
        last_generation: the last one with a measurement; None where there is none at all.
    """

    arm: str
    seed: int
    last_generation: int | None


def incomplete_chains(record: StudyRecord) -> tuple[IncompleteChain, ...]:
    """The planned chains without any measurement at the last generation."""
    rows = record.measurements[is_measured(record.measurements["value"])]
    last = rows.groupby(["arm", "seed"])["generation"].max()
    chains = []
    for arm in record.arms:
        for seed in record.seeds_of(arm):
            reached = last.get((arm, seed))
            if reached is None or reached < record.generations:
                chains.append(IncompleteChain(arm, seed, None if reached is None else int(reached)))
    return tuple(chains)


def run_condition(status: object) -> str:
    """``done``, ``broken`` or ``open``, from the status a tracking store gives."""
    word = str(status).lower()
    if word in _DONE:
        return "done"
    return "broken" if word in _BROKEN else "open"


def run_conditions(runs: pd.DataFrame) -> pd.Series:
    """The condition of every run; ``redone`` where another run of its fingerprint has finished."""
    conditions = runs["status"].map(run_condition).astype(object)
    finished = set(runs.loc[conditions == "done", "fingerprint"].dropna())
    return conditions.mask((conditions != "done") & runs["fingerprint"].isin(finished), "redone")


def run_counts(runs: pd.DataFrame) -> dict[str, int]:
    """How many runs are in each condition."""
    conditions = list(run_conditions(runs))
    return {name: conditions.count(name) for name in CONDITIONS}


def ledger(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs per stage: stage, runs, each of the conditions, seconds (sum of what is known)."""
    conditions = run_conditions(runs)
    table = pd.DataFrame(
        {
            "stage": runs["stage"].astype(object).fillna("–").astype(str),
            "runs": 1,
            **{name: (conditions == name).astype(int) for name in CONDITIONS},
            "seconds": pd.to_numeric(runs["seconds"], errors="coerce").fillna(0.0),
        }
    )
    return table.groupby("stage", as_index=False, sort=True).sum()
