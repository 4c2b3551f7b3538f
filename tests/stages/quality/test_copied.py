import numpy as np
import pytest

from collapse.stages.quality.copied import measure_copied
from collapse.stages.quality.measures import Measures


def test_copies_of_the_offered_text_are_counted_beside_those_of_people():
    rng = np.random.default_rng(0)

    def text(words=40):
        return " ".join(f"w{k}" for k in rng.integers(0, 5000, words))

    read = [text() for _ in range(20)]
    half = " ".join(read[3].split()[:25]) + " " + text(15)
    little = " ".join(read[4].split()[:10]) + " " + text(30)
    measures = Measures(np.random.default_rng(1))
    measure_copied(measures, [read[0], half, little, text()], [text() for _ in range(9)], read)
    assert measures.values["quality/copied_fraction"] == 0.5
    assert measures.values["quality/copied_fraction_human"] == 0.0
    assert measures.values["quality/longest_copy_words"] == pytest.approx(
        (40 + 25 + 10 + 1) / 4, abs=0.75
    )
