"""A study's record as a folder: all that its report is made from, to be read anywhere.

``record.json`` says what the study is, its claims and their hash; each ``.parquet`` file is a table
of what was measured.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.ranks.tables import RankTables
from analysis.study import StudyRecord
from collapse.claims import Claim, claims_hash
from collapse.errors import BadInput, StoreError

DESCRIPTION = "record.json"
RANKS = "ranks_"


def write_record(record: StudyRecord, folder: Path) -> None:
    """Write a record into a folder, made if it is not there.

    Raises:
        StoreError: the folder cannot be written.
    """
    description = {
        one.name: getattr(record, one.name)
        for one in fields(record)
        if one.name != "ranks" and not isinstance(getattr(record, one.name), pd.DataFrame)
    }
    description["claims"] = [asdict(claim) for claim in record.claims]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(description, indent=1, sort_keys=True, default=dict)
        (folder / DESCRIPTION).write_text(text, encoding="utf-8")
        for name, frame in _frames(record):
            path = folder / f"{name}.parquet"
            path.unlink(missing_ok=True)  # of an earlier writing
            if not frame.empty:
                frame.to_parquet(path, compression="zstd", index=False)
    except OSError as error:
        raise StoreError(f"cannot write the record to {folder}: {error}") from error


def read_record(folder: Path) -> StudyRecord:
    """Read what `write_record` wrote.

    A record whose claims are not those that were hashed before the first chain, if any were, is
    marked so.

    Raises:
        BadInput: it is not there, or not a record.
    """
    path = folder / DESCRIPTION
    try:
        description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        claims = tuple(
            Claim(**{**claim, "contrast": tuple(claim["contrast"])})
            for claim in description.pop("claims")
        )
        description["claims_changed"] |= description["claims_hash"] not in {"", claims_hash(claims)}
        tables = {one.stem: pd.read_parquet(one) for one in sorted(folder.glob("*.parquet"))}
        ranks = {k.removeprefix(RANKS): v for k, v in tables.items() if k.startswith(RANKS)}
        own: dict[str, Any] = {k: v for k, v in tables.items() if not k.startswith(RANKS)}
        needed = {"measurements", "samples", "runs"}
        own |= {name: pd.DataFrame() for name in needed - set(own)}
        description |= {name: tuple(description[name]) for name in ("arms", "seeds")}
        return StudyRecord(**description, **own, claims=claims, ranks=RankTables(**ranks))
    except OSError as error:
        raise BadInput(f"{folder} holds no record of a study ({DESCRIPTION}): {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is not a study's record: {type(error).__name__} {error}") from None


def _frames(record: StudyRecord) -> Iterator[tuple[str, pd.DataFrame]]:
    for one in fields(record):
        if isinstance(frame := getattr(record, one.name), pd.DataFrame):
            yield one.name, frame
    for one in fields(record.ranks):
        yield RANKS + one.name, getattr(record.ranks, one.name)
