import csv
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from collapse.language.corpora.stories import world
from collapse.language.corpora.stories.refit import refit
from collapse.numerics.streams import numpy_stream
from collapse.parameters.doors import Quality
from collapse.probes.likelihood import token_nll
from collapse.stages.arms import subsample, take
from collapse.stages.quality.measures import Measures
from collapse.stages.quality.origins import measure_origins
from tests.stages.quality.made_up_artifacts import artifacts

STORIES = world("stories")

DRAWN = STORIES.sample(400, np.random.default_rng(0))
TEST, HUMAN, FIRST, SECOND = DRAWN[:40], DRAWN[40:160], DRAWN[160:280], DRAWN[280:]
END = 127


class Letters(nn.Module):
    """Next-letter logits that depend on the last letter alone."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.logits = nn.Parameter(torch.tensor(rng.normal(size=(128, 128)), dtype=torch.float32))

    def forward(self, input_ids):
        return SimpleNamespace(logits=self.logits[input_ids])


def encode(texts):
    return [list(text.encode("ascii")) for text in texts]


def ground():
    return SimpleNamespace(
        human=SimpleNamespace(heldout=lambda split: TEST if split == "test" else []),
        sequences=lambda texts: [[END, *ids, END] for ids in encode(texts)],
        encode=encode,
        budget=lambda documents: 200 * documents,
    )


def measured(tmp_path, lineage, spoken, **settings):
    """Metrics, reasons, and both tables."""
    out = tmp_path / "out"
    out.mkdir()
    workspace = SimpleNamespace(inputs=SimpleNamespace(lineage=lineage), folder=out)
    model, measures = Letters(), Measures(np.random.default_rng(2))
    human = token_nll(model, ground().sequences(TEST), batch_size=8)
    parameters = Quality(generation=len(lineage) - 1, **settings)
    measure_origins(measures, parameters, STORIES, ground(), model, workspace, human, spoken)
    tables = [
        list(csv.DictReader((out / name).open())) for name in ("origins.csv", "origins_read.csv")
    ]
    return measures, *tables


def sampling_nats(*read):
    """Of the held-out stories, when these texts were counted."""
    learnt = refit(
        STORIES.machine, map(STORIES.recognise, [text for texts in read for text in texts])
    )
    told = [STORIES.recognise(text) for text in TEST]
    return np.mean([one.log_probability_nats - learnt.log_probability_nats(one) for one in told])


def mixed(tmp_path):
    zero = artifacts(tmp_path / "0", {"human_fresh": 120}, human_text=HUMAN)
    sources = {"synthetic_gen1": 52, "human_static": 30}
    texts = [*FIRST[:25], "No story.", *FIRST[25:]]
    return [zero, artifacts(tmp_path / "1", sources, synthetic_text=texts)]


def test_the_refit_reads_what_was_offered_and_counts_what_is_no_story(tmp_path):
    spoken = [STORIES.recognise(text) for text in (*TEST[:3], "Nothing of the kind.")]
    measures, scores, read = measured(tmp_path, mixed(tmp_path), spoken)
    assert read == [
        {"source": "synthetic_gen1", "texts": "52", "stories": "51"},
        {"source": "human_static", "texts": "30", "stories": "30"},
    ]
    found = measures.values
    assert found["origin/sampling_nats"] == pytest.approx(sampling_nats(FIRST[:51], HUMAN[:30]))
    assert found["origin/read_valid_fraction"] == 81 / 82
    assert found["origin/decoding_nats"] == 0
    assert "origin/outside_fraction" not in found
    assert found["origin/made_up_nats"] == pytest.approx(np.log(4 / 3))
    made_up = measures.intervals["origin/made_up_nats"]
    assert 0 < made_up.low < made_up.value < made_up.high
    # The share's own error, sqrt(3/4 * 1/4 / 4), over the share.
    assert made_up.standard_error == pytest.approx(np.sqrt(3 / 64) / 0.75)
    assert [row["model"] for row in scores] == [row["decoded"] for row in scores]


def test_the_parts_of_a_decoding_with_filters_add_up_for_every_story(tmp_path):
    settings = {"temperature": 0.7, "top_k": 20, "top_p": 0.9}
    measures, scores, _ = measured(tmp_path, mixed(tmp_path), [None, None], **settings)
    found = measures.values
    parts = [found[f"origin/{part}_nats"] for part in ("sampling", "fitting", "decoding")]
    assert sum(parts) == pytest.approx(found["origin/total_nats"])
    assert found["origin/decoding_nats"] > 100  # an unlearnt model's filters hit every story
    assert found["origin/outside_fraction"] == 1
    assert "none of 2 samples is a story" in measures.left_out["origin/made_up_nats"]
    logs = [{name: float(nats) for name, nats in row.items()} for row in scores]
    assert [row["story"] for row in logs] == list(range(len(TEST)))
    whole = np.mean([row["truth"] - row["decoded"] for row in logs])
    assert whole == pytest.approx(found["origin/total_nats"], abs=1e-5)


def test_greedy_decoding_leaves_the_whole_open_and_says_why(tmp_path):
    measures, scores, _ = measured(tmp_path, mixed(tmp_path), [None], temperature=0.0)
    assert {"origin/sampling_nats", "origin/fitting_nats"} <= set(measures.values)
    assert not {"origin/decoding_nats", "origin/total_nats", "origin/made_up_nats"} & set(
        measures.values
    )
    assert "greedy" in measures.left_out["origin/decoding_nats"]
    assert "decoded" not in scores[0]


def test_a_random_subsample_is_drawn_again_as_it_was_for_the_training(tmp_path):
    zero = artifacts(tmp_path / "0", {"human_fresh": 120}, human_text=HUMAN)
    one = artifacts(tmp_path / "1", {"human_static": 1}, synthetic_text=FIRST)
    two = artifacts(tmp_path / "2", {"human_static": 1}, synthetic_text=SECOND)
    settings = {"kind": "accumulate_subsample", "documents": 30, "seed": 5}
    measures, _, read = measured(tmp_path, [zero, one, two], [None], **settings)
    names = ("human_static", "synthetic_gen1", "synthetic_gen2")
    pool = [
        take(name, texts, 6000, encode)
        for name, texts in zip(names, (HUMAN, FIRST, SECOND), strict=True)
    ]
    drawn = subsample(pool, 6000, numpy_stream(5, "subsample", 2))
    assert [row["source"] for row in read] == list(names)
    assert [int(row["texts"]) for row in read] == [len(one.texts) for one in drawn]
    expected = sampling_nats(*(one.texts for one in drawn))
    assert measures.values["origin/sampling_nats"] == pytest.approx(expected)
