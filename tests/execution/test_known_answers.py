"""Chains whose decline is known: learners in closed form through the doors of the language models.

Plan, executor, stages, arms, packing, ledger, sampler, registry and the decoder itself are those of
every study; only how the weights come from the text is not. Each position of a document is a
population of its own, so that one chain is hundreds of independent ones. The laws are expectations
over them, relative to the truth that the human text was drawn from.

The text is short: n documents a generation, drawn without bias by the generation before.
"""

import functools
import json
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from scipy.special import digamma

from collapse.language.pretrained import load_model
from collapse.language.tokenizer import train_tokenizer
from tests.conftest import open_door

POSITIONS = 500
SYMBOLS = "abcdefgh"
CHANCES = 1 / np.arange(1, 9) / (1 / np.arange(1, 9)).sum()
NUMBERS, MIDDLE, DEVIATION = 1001, 500, 16.0
FIRST_NUMBER = 0x4E00  # of a long row of characters that all can be written
GENERATIONS = range(4)
DRAWS = {"categorical": 6, "gaussian": 10}

STUDY = f"""
question: does a chain do what is known of it
arms:
  replace: {{}}
  fresh: {{}}
  static: {{}}
  accumulate: {{}}
  sharpened: {{kind: replace, temperature: 0.8}}
  likelihood: {{kind: replace, preset: gaussian, documents: 10, baseline_documents: 10,
               corpus: numbers.jsonl, tokenizer: numbers}}
  unbiased: {{kind: replace, preset: gaussian-unbiased, documents: 10, baseline_documents: 10,
             corpus: numbers.jsonl, tokenizer: numbers}}
control: fresh
settings:
  corpus: symbols.jsonl
  tokenizer: characters
  preset: categorical
  preset_overrides: max_position_embeddings={POSITIONS + 2}
  documents: {DRAWS["categorical"]}
  baseline_documents: {DRAWS["categorical"]}
  max_new_tokens: {POSITIONS + 1}
  seeds: 1
  generations: {GENERATIONS[-1]}
"""


def write_corpus(path: Path, characters: str, chances: np.ndarray) -> None:
    """Three hundred documents of independent characters."""
    rng = np.random.default_rng(20)
    drawn = rng.choice(len(characters), size=(300, POSITIONS), p=chances / chances.sum())
    texts = ["".join(characters[k] for k in row) for row in drawn]
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("known")
    row = "".join(chr(FIRST_NUMBER + k) for k in range(NUMBERS))
    density = np.exp(-np.square((np.arange(NUMBERS) - MIDDLE) / DEVIATION) / 2)
    write_corpus(folder / "symbols.jsonl", SYMBOLS, CHANCES)
    write_corpus(folder / "numbers.jsonl", row, density)
    # From the whole row, as the corpus does not hold its ends.
    numbers = train_tokenizer([row], kind="characters", vocabulary_size=None)
    numbers.save_pretrained(folder / "numbers")
    (folder / "known.yaml").write_text(STUDY)
    made = open_door(folder, "experiment", "--study", "known.yaml", "--workers", "1")
    assert made.returncode == 0, made.stderr
    return folder


def run_of(folder: Path, arm: str, generation: int) -> tuple[mlflow.entities.Run, Path]:
    """The run of a generation, and its registered model on disk."""
    uri = f"sqlite:///{folder}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    version = client.get_model_version_by_alias(f"known.{arm}.seed0", f"gen-{generation}")
    files = client.get_model_version_download_uri(version.name, version.version)
    model = mlflow.artifacts.download_artifacts(files, tracking_uri=uri)
    return client.get_run(version.run_id), Path(model) / "model"


@functools.cache
def distribution(folder: Path, arm: str, generation: int) -> np.ndarray:
    """What a registered generation says at each position, ``(POSITIONS, V)``."""
    model = load_model(run_of(folder, arm, generation)[1])
    with torch.no_grad():
        ids = torch.zeros(1, POSITIONS + 1, dtype=torch.long)
        logits = model(input_ids=ids, use_cache=False).logits[0].double()
    said = logits.softmax(-1).numpy()
    assert said[-1, 0] == pytest.approx(1)  # then the document ends
    assert said[:-1, :3].max() < 1e-12  # and not before
    return said[:-1]


def diversity(folder: Path, arm: str) -> np.ndarray:
    """Gini-Simpson diversity over that of the truth, ``(generation, position)``."""
    truth = 1 - np.square(CHANCES).sum()
    said = [distribution(folder, arm, generation) for generation in GENERATIONS]
    return np.stack([1 - np.square(one).sum(1) for one in said]) / truth


def variance(folder: Path, arm: str) -> np.ndarray:
    """Variance over that of the truth, ``(generation, position)``."""
    values = np.arange(NUMBERS + 3)
    found = []
    for generation in GENERATIONS:
        said = distribution(folder, arm, generation)
        mean = said @ values
        found.append((said * np.square(values - mean[:, None])).sum(1))
    return np.stack(found) / DEVIATION**2


def off(values: np.ndarray, expected: float = 0.0) -> float:
    """How many standard errors the mean over positions lies above what is expected."""
    return float((values.mean() - expected) / (values.std(ddof=1) / np.sqrt(len(values))))


def kept(arm: str, generation: int) -> float:
    """Share of the diversity that this generation's own drawing leaves of the one before it."""
    n = DRAWS["categorical"]
    return 1 - 1 / (n * (generation + 1) ** 2) if arm == "accumulate" else 1 - 1 / n


def law(arm: str, generation: int) -> float:
    """Share of the truth's diversity that is left at a generation."""
    if arm == "fresh":
        return kept(arm, 0)
    return float(np.prod([kept(arm, g) for g in range(generation + 1)]))


@pytest.mark.parametrize("arm", ["replace", "fresh", "accumulate"])
def test_diversity_follows_its_law_at_every_generation(study: Path, arm: str) -> None:
    found = diversity(study, arm)
    for generation in GENERATIONS:
        assert abs(off(found[generation], law(arm, generation))) < 4, (arm, generation)


def test_standard_errors_see_an_exponent_that_is_off_by_one(study: Path) -> None:
    found = diversity(study, "replace")
    for generation in GENERATIONS:
        assert off(found[generation], law("replace", generation - 1)) < -4, generation
        if generation:  # and the law of another arm
            assert off(found[generation], law("fresh", generation)) < -4
            assert off(found[generation], law("accumulate", generation)) < -4


@pytest.mark.parametrize("arm", ["replace", "accumulate"])
def test_each_generation_loses_its_share_of_what_the_one_before_had(study: Path, arm: str) -> None:
    """The sharper test: positions paired with themselves, one generation earlier."""
    found = diversity(study, arm)
    for generation in GENERATIONS[1:]:
        before, after = found[generation - 1], found[generation]
        assert abs(off(after - kept(arm, generation) * before)) < 4, generation
    assert off(found[-1] - found[0]) < -4  # nothing lost would be seen


def test_a_pool_that_is_one_generation_short_would_be_seen(study: Path) -> None:
    found = diversity(study, "accumulate")
    for generation in (1, 2):
        short = kept("accumulate", generation - 1) * found[generation - 1]
        assert off(found[generation] - short) > 4, generation


def test_static_reads_the_same_text_for_ever(study: Path) -> None:
    first = distribution(study, "static", 0)
    for generation in GENERATIONS[1:]:
        assert np.array_equal(distribution(study, "static", generation), first)
    assert not np.array_equal(distribution(study, "fresh", 1), first)


def test_a_biased_sampler_breaks_the_law(study: Path) -> None:
    found = diversity(study, "sharpened")
    assert abs(off(found[0], law("replace", 0))) < 4  # generation 0 has read human text
    for generation in GENERATIONS[2:]:  # it adds up
        assert off(found[generation], law("replace", generation)) < -4


@pytest.mark.parametrize("arm", ["likelihood", "unbiased"])
def test_variance_follows_its_law_at_every_generation(study: Path, arm: str) -> None:
    n = DRAWS["gaussian"]
    share = 1.0 if arm == "unbiased" else 1 - 1 / n
    log_share = digamma((n - 1) / 2) - np.log((n - 1) / 2) + np.log(share)
    found = variance(study, arm)
    ratios = found / np.vstack([np.ones(POSITIONS), found[:-1]])  # independent: they pool
    for generation in GENERATIONS:
        times = generation + 1
        assert abs(off(found[generation], share**times)) < 4, generation
        assert abs(off(np.log(found[generation]), log_share * times)) < 4, generation
        assert abs(off(ratios[generation], share)) < 4, generation
        assert abs(off(np.log(ratios[generation]), log_share)) < 4, generation
    # Nothing lost, one generation more or less, and the other estimator would be seen.
    assert off(np.log(ratios).ravel()) < -4
    assert off(np.log(found[0])) < -4
    assert abs(off(ratios.ravel(), 1 - 1 / n if arm == "unbiased" else 1.0)) > 4


@pytest.mark.parametrize("arm", ["replace", "fresh", "accumulate", "likelihood"])
def test_every_generation_learns_from_exactly_n_documents_once(study: Path, arm: str) -> None:
    n = DRAWS["gaussian" if arm == "likelihood" else "categorical"]
    client = mlflow.MlflowClient(f"sqlite:///{study}/mlflow.db")
    for generation in GENERATIONS:
        run, _ = run_of(study, arm, generation)
        path = client.download_artifacts(run.info.run_id, "ledger.json")
        account = json.loads(Path(path).read_text())
        documents = n * (generation + 1) if arm == "accumulate" else n
        assert account["documents"] == account["distinct_documents"] == documents
        assert account["tokens_offered"] == documents * (POSITIONS + 1)
        assert account["epochs"] == 1


def test_what_is_logged_is_what_is_registered(study: Path) -> None:
    truth = 1 - np.square(CHANCES).sum()
    diverse, wide = diversity(study, "replace") * truth, variance(study, "unbiased") * DEVIATION**2
    for generation in GENERATIONS:
        metrics = run_of(study, "replace", generation)[0].data.metrics
        assert metrics["learner/gini_simpson"] == pytest.approx(diverse[generation].mean(), 1e-5)
        metrics = run_of(study, "unbiased", generation)[0].data.metrics
        assert metrics["learner/variance"] == pytest.approx(wide[generation].mean(), 1e-4)
        logs = np.log(wide[generation]).mean()
        assert metrics["learner/log_variance"] == pytest.approx(logs, 1e-4)
