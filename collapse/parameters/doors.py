"""One frozen dataclass a door; its fields are the door's parameters.

The groups (`Text`, `Model`, ...) hold the settings that several doors share. Their defaults are
those of the study `quickstart`. Whatever is marked as a setting can be set in a study file.

A door also has the settings of the stages before its own, so that it can build what is missing;
`OWN` names the groups that decide what its own stage computes. The others reach it through the
fingerprints of its inputs.
"""

from dataclasses import dataclass

from collapse.parameters.fields import (
    fraction,
    named,
    not_negative,
    one_line,
    one_of,
    option,
    positive,
    setting,
    study_named,
)

ARM_KINDS = ("replace", "fresh", "static", "mixed", "accumulate", "accumulate_subsample")
PROBES = ("quality",)

_POSITIVE = {"check": positive, "right": "above 0"}
_NOT_NEGATIVE = {"check": not_negative, "right": "0 or more"}
_FRACTION = {"check": fraction, "right": "from 0 to 1"}


@dataclass(frozen=True, kw_only=True)
class Study:
    """Which study a call belongs to."""

    study: str = option(
        "quickstart",
        "a study of studies/, or the path of a study file",
        study_named,
        "letters, digits, - and _, or a path that ends in .yaml",
    )
    scale: str = option(
        "full",
        "a scale of the study file, such as cpu",
        named,
        "letters, digits, - and _",
    )
    name: str = option(
        "study",
        "name of the MLflow experiment and prefix of the registered models; default: the study's",
        named,
        "letters, digits, - and _",
    )
    rerun: bool = option(False, "true: run again what the registry already holds")


@dataclass(frozen=True, kw_only=True)
class Text:
    """Human text, its splits and its tokenizer."""

    corpus: str = setting(
        "stories",
        "stories, python, python:PACKAGE,..., a path (.txt .jsonl .parquet or a folder of them), "
        "or a Hugging Face dataset name",
        one_line,
        "a name or a path",
        identity=False,  # the content's fingerprint is what counts, not where it lies
    )
    corpus_documents: int = setting(
        0, "documents to read of the corpus, 0 for all of it", **_NOT_NEGATIVE
    )
    heldout_documents: int = setting(1000, "documents of each held-out split at most", **_POSITIVE)
    tokenizer: str = setting(
        "bpe",
        "bpe, characters, or a pretrained one by path or name",
        one_line,
        "bpe, characters, a path or a name",
    )
    vocabulary_size: int = setting(1024, "entries of a bpe trained on the corpus", **_POSITIVE)
    tokenizer_documents: int = setting(
        20_000, "training documents that a tokenizer is made from, at most", **_POSITIVE
    )
    study_seed: int = setting(
        0, "seed of what all chains share: held-out text, tokenizer, probes", **_NOT_NEGATIVE
    )


@dataclass(frozen=True, kw_only=True)
class Model:
    """The model that generation 0 starts from."""

    preset: str = setting(
        "pocket",
        "a preset, or a Hugging Face causal language model by path or name",
        one_line,
        "a preset, a path or a name",
    )
    preset_overrides: str = setting("", "changes to a preset's configuration: KEY=VALUE,KEY=VALUE")


@dataclass(frozen=True, kw_only=True)
class First:
    """What only generation 0 is trained with."""

    baseline_steps: int = setting(800, "optimizer steps of generation 0", **_POSITIVE)
    baseline_documents: int = setting(
        48_000, "human documents offered to generation 0", **_POSITIVE
    )


@dataclass(frozen=True, kw_only=True)
class Later:
    """What only the generations after 0 are trained with."""

    steps: int = setting(100, "optimizer steps of each later generation", **_POSITIVE)
    documents: int = setting(4_000, "documents offered to each later generation", **_POSITIVE)


@dataclass(frozen=True, kw_only=True)
class Training:
    """How every generation is trained."""

    tokens_per_step: int = setting(4096, "tokens in one optimizer step", **_POSITIVE)
    sequence_length: int = setting(256, "tokens in one training sequence", **_POSITIVE)
    micro_batch: int = setting(
        0, "sequences that a device takes at once, 0 for all of a step", **_NOT_NEGATIVE
    )
    optimizer: str = setting(
        "muon", "muon (matrices; AdamW for the rest) or adamw", **one_of("muon", "adamw")
    )
    learning_rate: float = setting(3e-3, "AdamW's peak learning rate", **_POSITIVE)
    muon_learning_rate: float = setting(0.02, "Muon's peak learning rate", **_POSITIVE)
    weight_decay: float = setting(0.0, "decoupled weight decay of matrices", **_NOT_NEGATIVE)
    warmup_steps: int = setting(20, "steps of linear warmup", **_NOT_NEGATIVE)
    schedule: str = setting(
        "linear",
        "learning rate after the warmup: constant, linear or cosine",
        **one_of("constant", "linear", "cosine"),
    )
    decay_fraction: float = setting(
        1.0, "last part of training in which the rate falls", **_FRACTION
    )
    final_learning_rate_fraction: float = setting(
        0.0, "learning rate at the last step over the peak", **_FRACTION
    )
    clip_norm: float = setting(1.0, "largest gradient norm, 0 for no clipping", **_NOT_NEGATIVE)
    precision: str = setting(
        "float32", "float32, bf16 or fp16", **one_of("float32", "bf16", "fp16")
    )
    evaluate_every: int = setting(
        200, "steps between looks at the validation text, 0 for the end only", **_NOT_NEGATIVE
    )
    checkpoint_every: int = setting(
        100,
        "steps between checkpoints to resume from, 0 for none",
        **_NOT_NEGATIVE,
        identity=False,
    )
    threads: int = setting(
        1, "processor threads of one stage (part of what fixes the bits)", **_POSITIVE
    )


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a model's text is drawn."""

    temperature: float = setting(1.0, "softmax temperature, 0 for greedy", **_NOT_NEGATIVE)
    top_k: int = setting(0, "keep the k likeliest tokens, 0 for all", **_NOT_NEGATIVE)
    top_p: float = setting(1.0, "keep the likeliest tokens of this mass", **_FRACTION)
    max_new_tokens: int = setting(200, "longest sample, in tokens", **_POSITIVE)
    min_characters: int = setting(20, "shorter samples are dropped, and counted", **_NOT_NEGATIVE)
    sampling_batch: int = setting(256, "samples drawn at once", **_POSITIVE)


@dataclass(frozen=True, kw_only=True)
class Recursion:
    """What a generation is trained on, and where it starts."""

    kind: str = setting("replace", "kind of arm: " + ", ".join(ARM_KINDS), **one_of(*ARM_KINDS))
    synthetic_fraction: float = setting(
        0.5, "kind mixed: share of the tokens that is synthetic", **_FRACTION
    )
    human_half: str = setting(
        "fresh", "kind mixed: the human share is fresh or static", **one_of("fresh", "static")
    )
    start: str = setting(
        "parent", "weights a generation starts from: parent or fresh", **one_of("parent", "fresh")
    )


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which chain, and what to do about generations that are not there yet."""

    arm: str = option("replace", "an arm of the study, or a kind of arm", named, "an arm's name")
    seed: int = option(0, "seed of the chain", **_NOT_NEGATIVE, identity=True)
    ancestors: str = option(
        "build",
        "earlier generations that are missing: build them, or require them and stop",
        **one_of("build", "require"),
    )


@dataclass(frozen=True, kw_only=True)
class Prepare(Text, Study):
    """Make corpus and tokenizer once, and log them as MLflow datasets."""

    OWN = (Text,)


@dataclass(frozen=True, kw_only=True)
class Baseline(Training, First, Model, Text, Place, Study):
    """Train generation 0 on human text."""

    OWN = (Place, Model, First, Training)

    generation: int = option(
        0, "always 0", lambda value: value == 0, "0: the baseline", identity=True
    )


@dataclass(frozen=True, kw_only=True)
class RecurseStep(Sampling, Recursion, Training, Later, First, Model, Text, Place, Study):
    """Train one generation on what its arm prescribes, building missing ancestors first."""

    OWN = (Place, Model, Later, Training, Sampling, Recursion)

    generation: int = option(
        1,
        "generation to make",
        positive,
        "1 or more (generation 0 is the entry point baseline)",
        identity=True,
    )


@dataclass(frozen=True, kw_only=True)
class Quality(Sampling, Recursion, Training, Later, First, Model, Text, Place, Study):
    """Measure what a generation knows and says."""

    OWN = (Place, Sampling)

    generation: int = option(1, "generation to look at", **_NOT_NEGATIVE, identity=True)
    samples: int = setting(1000, "texts to sample", **_POSITIVE)


@dataclass(frozen=True, kw_only=True)
class Experiment(Sampling, Recursion, Training, Later, First, Model, Text, Study):
    """Run a study: arms x seeds x generations, then the report (entry point main)."""

    arms: str = option(
        "study",
        "arms to run, separated by commas",
        lambda value: all(named(arm) for arm in value.split(",")),
        "names separated by commas",
    )
    seeds: int = setting(2, "seeds, 0 to N-1, each a block of all arms", **_POSITIVE)
    generations: int = setting(3, "last generation of each chain", **_NOT_NEGATIVE)
    samples: int = setting(1000, "texts to sample for quality", **_POSITIVE)
    workers: int = option(
        0, "chains at once, 0 for one a core (cores over threads)", **_NOT_NEGATIVE
    )


@dataclass(frozen=True, kw_only=True)
class Report(Experiment):
    """Write the report of what a study's chains measured so far."""


DOORS: dict[str, type] = {
    "prepare": Prepare,
    "baseline": Baseline,
    "recurse_step": RecurseStep,
    "quality": Quality,
    "report": Report,
    "main": Experiment,
}
