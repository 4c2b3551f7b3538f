import json

import numpy as np
import pytest

from collapse.stages.quality.copied import measure_copied, training_texts
from collapse.stages.quality.measures import Measures
from collapse.stages.texts import write_texts


def artifacts(folder, sources, **texts):
    """What a training leaves of its text."""
    folder.mkdir()
    (folder / "ledger.json").write_text(json.dumps({"sources": {name: {} for name in sources}}))
    for name, some in texts.items():
        write_texts(some, folder / name)
    return folder


def test_training_texts_come_from_where_each_source_lies(tmp_path):
    zero = artifacts(tmp_path / "0", ["human_fresh"], human_text=["a", "b"])
    one = artifacts(tmp_path / "1", ["synthetic_gen1"], synthetic_text=["c"])
    two = artifacts(
        tmp_path / "2",
        ["human_static", "synthetic_gen1", "synthetic_gen2"],
        synthetic_text=["d"],
    )
    assert list(training_texts([zero])) == ["a", "b"]
    assert list(training_texts([zero, one])) == ["c"]
    assert list(training_texts([zero, one, two])) == ["a", "b", "c", "d"]
    taught = artifacts(
        tmp_path / "t", ["human_fresh", "teacher"], human_text=["e"], teacher_text=["f"]
    )
    assert list(training_texts([taught])) == ["e", "f"]


def test_copies_of_the_newest_training_text_are_counted_beside_those_of_people(tmp_path):
    rng = np.random.default_rng(0)

    def text(words=40):
        return " ".join(f"w{k}" for k in rng.integers(0, 5000, words))

    read, never_read = [text() for _ in range(20)], [text() for _ in range(20)]
    zero = artifacts(tmp_path / "0", ["human_fresh"], human_text=never_read)
    one = artifacts(tmp_path / "1", ["synthetic_gen1"], synthetic_text=read)
    half = " ".join(read[3].split()[:25]) + " " + text(15)
    little = " ".join(read[4].split()[:10]) + " " + text(30)
    measures = Measures(np.random.default_rng(1))
    measure_copied(
        measures, [read[0], half, little, text()], [text() for _ in range(9)], [zero, one]
    )
    assert measures.values["quality/copied_fraction"] == 0.5
    assert measures.values["quality/copied_fraction_human"] == 0.0
    assert measures.values["quality/longest_copy_words"] == pytest.approx(
        (40 + 25 + 10 + 1) / 4, abs=0.75
    )
