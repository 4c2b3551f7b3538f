"""Groups of settings that several doors share.

Their defaults are those of the study `quickstart`. Whatever is marked as a setting can be set in a
study file.
"""

from dataclasses import dataclass

from collapse.parameters.fields import (
    DECODINGS,
    FRACTION,
    FREEZE,
    LINE,
    NAME,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    STUDY,
    TEMPERATURE,
    TOKEN_COUNTS,
    one_of,
    option,
    setting,
    up_to,
)

ARM_KINDS = ("replace", "fresh", "static", "mixed", "accumulate", "accumulate_subsample")


@dataclass(frozen=True, kw_only=True)
class Study:
    """Which study a call belongs to."""

    study: str = option(
        "quickstart",
        "a study of studies/, or the path of a study file",
        STUDY,
    )
    scale: str = option(
        "full",
        "a scale of the study file, such as cpu",
        NAME,
    )
    name: str = option(
        "study",
        "name of the MLflow experiment and prefix of the registered models; default: the study's",
        NAME,
    )
    device: str = option(
        "auto", "auto (a GPU where there is one), cpu or cuda", one_of("auto", "cpu", "cuda")
    )
    rerun: bool = option(False, "true: run again what the registry already holds")


@dataclass(frozen=True, kw_only=True)
class Text:
    """Human text, its splits and its tokenizer."""

    corpus: str = setting(
        "stories",
        "stories, stories:PLOT,... (only these), python, python:PACKAGE,..., a path (.txt .jsonl "
        ".parquet or a folder of them), NAME=PATH+NAME=PATH for one corpus of named parts, or a "
        "Hugging Face dataset name",
        LINE,
        identity=False,  # the content's fingerprint is what counts, not where it lies
    )
    corpus_documents: int = setting(
        0, "documents to read of the corpus, 0 for all of it", NOT_NEGATIVE
    )
    heldout_documents: int = setting(
        1000, "documents of each held-out split at most", up_to(1_000_000)
    )
    tokenizer: str = setting(
        "bpe",
        "bpe, characters, or a pretrained one by path or name",
        LINE,
    )
    vocabulary_size: int = setting(1024, "entries of a bpe trained on the corpus", up_to(1_000_000))
    tokenizer_documents: int = setting(
        20_000, "training documents that a tokenizer is made from, at most", POSITIVE
    )
    study_seed: int = setting(
        0, "seed of what all chains share: held-out text, tokenizer, probes", NOT_NEGATIVE
    )


@dataclass(frozen=True, kw_only=True)
class Model:
    """The model that generation 0 starts from."""

    preset: str = setting(
        "pocket",
        "a preset, or a Hugging Face causal language model by path or name",
        LINE,
    )
    preset_overrides: str = setting("", "changes to a preset's configuration: KEY=VALUE,KEY=VALUE")


@dataclass(frozen=True, kw_only=True)
class First:
    """What only generation 0 is trained with."""

    baseline_steps: int = setting(1200, "optimizer steps of generation 0", POSITIVE)
    baseline_documents: int = setting(40_000, "human documents offered to generation 0", POSITIVE)
    checkpoint_tokens: str = setting(
        "",
        "token counts at which the weights of generation 0 are kept on the way, separated by "
        "commas, 0 for untrained ones; svd_probe and benchmark look at each",
        TOKEN_COUNTS,
    )
    teacher: str = setting(
        "",
        "a model that generation 0 learns from: an arm of the study (its generation 0 with the "
        "same seed), or a causal language model by path or name",
    )
    teacher_text: float = setting(
        0.5, "share of the training text that the teacher writes", FRACTION
    )
    teacher_weight: float = setting(
        0.5, "share of the divergence from the teacher's distributions in the loss", FRACTION
    )
    teacher_temperature: float = setting(
        1.0, "temperature of both sides of that divergence", POSITIVE
    )


@dataclass(frozen=True, kw_only=True)
class Later:
    """What only the generations after 0 are trained with."""

    steps: int = setting(100, "optimizer steps of each later generation", POSITIVE)
    documents: int = setting(3_000, "documents offered to each later generation", POSITIVE)
    learning_rate_scale: float = setting(
        0.15, "later generations' peak learning rates over those of generation 0", POSITIVE
    )


@dataclass(frozen=True, kw_only=True)
class Training:
    """How every generation is trained."""

    tokens_per_step: int = setting(2048, "tokens in one optimizer step", POSITIVE)
    sequence_length: int = setting(128, "tokens in one training sequence", POSITIVE)
    micro_batch: int = setting(
        0, "sequences that a device takes at once, 0 for all of a step", NOT_NEGATIVE
    )
    optimizer: str = setting(
        "muon", "muon (matrices; AdamW for the rest) or adamw", one_of("muon", "adamw")
    )
    learning_rate: float = setting(6e-3, "AdamW's peak learning rate", POSITIVE)
    muon_learning_rate: float = setting(0.02, "Muon's peak learning rate", POSITIVE)
    weight_decay: float = setting(0.0, "decoupled weight decay of matrices", NOT_NEGATIVE)
    warmup_steps: int = setting(20, "steps of linear warmup", NOT_NEGATIVE)
    schedule: str = setting(
        "linear",
        "learning rate after the warmup: constant, linear or cosine",
        one_of("constant", "linear", "cosine"),
    )
    decay_fraction: float = setting(1.0, "last part of training in which the rate falls", FRACTION)
    final_learning_rate_fraction: float = setting(
        0.0, "learning rate at the last step over the peak", FRACTION
    )
    clip_norm: float = setting(1.0, "largest gradient norm, 0 for no clipping", NOT_NEGATIVE)
    precision: str = setting(
        "float32",
        "float32, bf16, fp16, or auto: bf16 where the device is faster in it, else float32",
        one_of("float32", "bf16", "fp16", "auto"),
    )
    training_text: str = setting(
        "all",
        "human text to train on: all, simple or complex (below or above the corpus's median "
        "complexity), or a part of a corpus that is given as NAME=PATH+NAME=PATH",
        NAME,
    )
    freeze: str = setting(
        "",
        "weights that are not trained: parts of their names, separated by commas, such as "
        "q_norm,k_norm",
        FREEZE,
    )
    evaluate_every: int = setting(
        200, "steps between looks at the validation text, 0 for the end only", NOT_NEGATIVE
    )
    checkpoint_every: int = setting(
        100,
        "steps between checkpoints to resume from, 0 for none",
        NOT_NEGATIVE,
        identity=False,
    )
    threads: int = setting(
        1, "processor threads of one stage (part of what fixes the bits)", up_to(1024)
    )


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a model's text is drawn."""

    temperature: float = setting(1.0, "softmax temperature, 0 for greedy", TEMPERATURE)
    top_k: int = setting(0, "keep the k likeliest tokens, 0 for all", NOT_NEGATIVE)
    top_p: float = setting(1.0, "keep the likeliest tokens of this mass", SHARE)
    beams: int = setting(
        1, "sequences that a beam search follows, at temperature 0; 1 for none", POSITIVE
    )
    max_new_tokens: int = setting(200, "longest sample, in tokens", POSITIVE)
    min_characters: int = setting(20, "shorter samples are dropped, and counted", NOT_NEGATIVE)
    sampling_batch: int = setting(256, "samples drawn at once", POSITIVE)


@dataclass(frozen=True, kw_only=True)
class Recursion:
    """What a generation is trained on, and where it starts."""

    kind: str = setting("replace", "kind of arm: " + ", ".join(ARM_KINDS), one_of(*ARM_KINDS))
    synthetic_fraction: float = setting(
        0.5, "kind mixed: share of the tokens that is synthetic", FRACTION
    )
    human_half: str = setting(
        "fresh", "kind mixed: the human share is fresh or static", one_of("fresh", "static")
    )
    human_from: int = setting(
        0,
        "generation from which a chain reads fresh human text, whatever its kind before; 0 for "
        "never",
        NOT_NEGATIVE,
    )
    keep_texts: str = setting(
        "all",
        "of the texts that a generation writes for the next: all, distinct (no text twice), or the "
        "likely or unlikely half of them, by their mean loss a token under the writer",
        one_of("all", "distinct", "likely", "unlikely"),
    )
    decodings: str = setting(
        "",
        "several ways in which a generation writes for the next, in equal parts: "
        "TEMPERATURE/TOP_K/TOP_P,...; none for the one of temperature, top_k and top_p",
        DECODINGS,
    )
    start: str = setting(
        "parent", "weights a generation starts from: parent or fresh", one_of("parent", "fresh")
    )


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which chain, and what to do about generations that are not there yet."""

    arm: str = option("replace", "an arm of the study, or a kind of arm", NAME)
    seed: int = option(0, "seed of the chain", NOT_NEGATIVE, identity=True)
    ancestors: str = option(
        "build",
        "earlier generations that are missing: build them, or require them and stop",
        one_of("build", "require"),
    )
