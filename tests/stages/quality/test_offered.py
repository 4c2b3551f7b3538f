"""What a generation was offered is what its ledger counts, not all that lies beside it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from collapse.numerics.streams import numpy_stream
from collapse.parameters.doors import Quality
from collapse.stages.arms import subsample, take
from collapse.stages.quality.offered import offered_texts
from tests.stages.quality.made_up_artifacts import artifacts


def offered(lineage: list[Path], ground: Any = None, **settings: Any) -> dict[str, list[str]]:
    return dict(offered_texts(Quality(**settings), ground, lineage))


def test_each_source_is_read_from_its_start_as_far_as_the_ledger_says(tmp_path: Path) -> None:
    zero = artifacts(tmp_path / "0", {"human_fresh": 3}, human_text=["a", "b", "c"])
    one = artifacts(tmp_path / "1", {"synthetic_gen1": 1}, synthetic_text=["d", "e"])
    sources = {"human_static": 2, "synthetic_gen1": 2, "synthetic_gen2": 1}
    two = artifacts(tmp_path / "2", sources, synthetic_text=["f", "g"])

    assert offered([zero]) == {"human_fresh": ["a", "b", "c"]}
    assert offered([zero, one]) == {"synthetic_gen1": ["d"]}
    assert offered([zero, one, two], kind="accumulate") == {
        "human_static": ["a", "b"],
        "synthetic_gen1": ["d", "e"],
        "synthetic_gen2": ["f"],
    }


def test_a_teachers_text_is_a_source(tmp_path: Path) -> None:
    sources = {"human_fresh": 1, "teacher": 1}
    taught = artifacts(tmp_path / "t", sources, human_text=["a"], teacher_text=["b"])

    assert offered([taught]) == {"human_fresh": ["a"], "teacher": ["b"]}


def test_a_random_subsample_is_drawn_again_as_it_was(tmp_path: Path) -> None:
    def encode(texts: list[str]) -> list[list[int]]:
        return [[1] * len(text) for text in texts]

    human, own = [f"human {n:02}" for n in range(9)], [f"model {n:02}" for n in range(9)]
    zero = artifacts(tmp_path / "0", {"human_fresh": 9}, human_text=human)
    one = artifacts(tmp_path / "1", {"human_static": 4, "synthetic_gen1": 3}, synthetic_text=own)
    ground = SimpleNamespace(budget=lambda documents: 9 * documents, encode=encode)
    pool = [take("human_static", human, 54, encode), take("synthetic_gen1", own, 54, encode)]
    drawn = subsample(pool, 54, numpy_stream(5, "subsample", 1))

    found = offered([zero, one], ground, kind="accumulate_subsample", documents=6, seed=5)

    assert found == {portion.source: portion.texts for portion in drawn}
    assert sum(map(len, found.values())) == 6
