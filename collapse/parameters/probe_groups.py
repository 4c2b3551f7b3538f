"""Groups of settings that say how probes look, beside those of `groups`."""

from dataclasses import dataclass

from collapse.parameters.fields import (
    LINE,
    NAMES,
    NOT_NEGATIVE,
    ODD_OR_NONE,
    PERCENTS,
    POSITIVE,
    STRATEGIES,
    Rule,
    at_least,
    one_of,
    setting,
    up_to,
)


@dataclass(frozen=True, kw_only=True)
class JudgeTraining:
    """How the judge of a corpus is trained."""

    judge_steps: int = setting(250, "optimizer steps of the judge at most", POSITIVE)
    judge_vocabulary: int = setting(1024, "entries of the judge's own bpe", up_to(1_000_000))


@dataclass(frozen=True, kw_only=True)
class TextQuality:
    """How much of a generation's text is looked at."""

    samples: int = setting(1000, "texts to sample for quality", POSITIVE)
    prompts: int = setting(
        200, "held-out texts whose beginnings are continued, 0 for none", NOT_NEGATIVE
    )
    prompt_tokens: int = setting(32, "tokens of such a beginning", POSITIVE)
    completions: str = setting(
        "auto",
        "prompts to complete: python (52 of them), none, or auto (python on a corpus python)",
        one_of("auto", "python", "none"),
    )
    completions_per_prompt: int = setting(4, "completions of each prompt", POSITIVE)
    completion_tokens: int = setting(64, "tokens of a completion at most", POSITIVE)
    judge: str = setting(
        "own",
        "whose features tell coherence and MAUVE: own (a small model, trained on human text that "
        "no chain reads), none, or a language model or encoder by path or name",
        LINE,
    )
    intervals: bool = setting(
        True, "false: no intervals over samples, which take longer than the measures"
    )


@dataclass(frozen=True, kw_only=True)
class LossBatch:
    """The batches on which the loss is differentiated."""

    probe_tokens: int = setting(2048, "tokens of the batch of each text", POSITIVE)
    probe_parts: int = setting(
        8, "parts of a batch, from which errors over data come, 1 for none", POSITIVE
    )


@dataclass(frozen=True, kw_only=True)
class Curvature:
    """How the spectrum of the loss's Hessian is taken."""

    mode: str = setting(
        "density",
        "density (ends, density and bulk) or quick (the ends alone)",
        one_of("density", "quick"),
    )
    backend: str = setting(
        "lanczos",
        "lanczos, or pyhessian (the package, for comparison)",
        one_of("lanczos", "pyhessian"),
    )
    operator: str = setting("hessian", "hessian or gauss_newton", one_of("hessian", "gauss_newton"))
    probe_texts: str = setting(
        "human,own",
        "texts to look at: human (held out), own (what the generation was trained on), or both",
        one_of("human", "own", "human,own"),
    )
    probe_vectors: int = setting(4, "probe vectors of the density", at_least(2))
    density_steps: int = setting(8, "Lanczos steps of each further probe vector", POSITIVE)
    lanczos_steps: int = setting(
        50, "Lanczos steps of the first probe vector at most (30 at least)", at_least(30)
    )
    outliers: int = setting(3, "eigenvalues of largest magnitude kept out of the bulk", POSITIVE)
    graph: str = setting(
        "auto",
        "graph of the products: keep, split (kept, a tenth faster once recorded), rebuild (for "
        "each product), or auto (keep where it fits)",
        one_of("auto", "keep", "split", "rebuild"),
    )
    memory_gib: float = setting(
        0.0,
        "memory for kept graphs, and for the Lanczos basis, 0 for half of what is free",
        NOT_NEGATIVE,
        identity=False,
    )
    layer_spectra: bool = setting(False, "true: the ends of every layer's own block, too")
    overlap: bool = setting(
        False, "true: the overlap of top eigenvectors with the generation before, and with 0"
    )


@dataclass(frozen=True, kw_only=True)
class Landscape:
    """The plane on which the loss around a generation is looked at."""

    landscape_points: int = setting(
        0,
        "points along each side of a 2-D slice of the loss, odd, such as 11 (121 losses); 0 for "
        "no slice",
        ODD_OR_NONE,
    )
    landscape_radius: float = setting(
        1.0,
        "how far the slice goes to either side, in lengths of generation 0's own filters",
        POSITIVE,
    )


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """What a generation is asked."""

    tasks: str = setting(
        "all",
        "all, or some of hellaswag, piqa, siqa, lambada, arithmetic, sentence_completion, "
        "word_association, simple_qa, squad, separated by commas",
        NAMES,
    )
    task_data: str = setting(
        "stories",
        "items of hellaswag, piqa, siqa, lambada and squad: stories (embedded ones, in the "
        "language of that corpus; stories:PLOT,... for lambada and squad of these), hub, or a "
        "folder of files in the hub's format; the other four tasks are always embedded",
        LINE,
    )
    limit: int = setting(
        0,
        "items of a task, 0 for all (300 of an embedded one), the same in the whole study",
        NOT_NEGATIVE,
    )
    shots: int = setting(
        0, "examples before a question", Rule(lambda value: 0 <= value <= 32, "from 0 to 32")
    )


@dataclass(frozen=True, kw_only=True)
class HeadBatch:
    """The batch on which keys and queries are taken."""

    rank_tokens: int = setting(
        1000, "tokens on which keys and queries are taken, the same in the whole study", POSITIVE
    )


@dataclass(frozen=True, kw_only=True)
class Rank:
    """How the singular values of keys and queries are taken."""

    site: str = setting(
        "projection",
        "where keys and queries are taken: projection (W x), post_norm (after QK-norm) or "
        "post_rope (as attention sees them)",
        one_of("projection", "post_norm", "post_rope"),
    )


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """How directions of the keys are pruned, and what it does to the loss."""

    prune_percents: str = setting(
        "0,10,20,30,40,50,60,70,80,90",
        "percentages of each head's directions to prune, 0 to 90, separated by commas",
        PERCENTS,
    )
    prune_by: str = setting(
        "auto",
        "svd, gamma (the key norm's gains), random, several of them separated by commas, or auto "
        "(all that the model has)",
        STRATEGIES,
    )
    prune_at: str = setting(
        "auto",
        "where keys are edited: weights, rescaled (through them, past the norm's re-inflation), "
        "after_norm, or auto (after_norm where there is a norm, else weights)",
        one_of("auto", "weights", "rescaled", "after_norm"),
    )
    random_draws: int = setting(
        8, "draws of random pruning, in coordinates and in rotated bases each", at_least(2)
    )
    surgery_tokens: int = setting(
        8192, "held-out tokens that the loss after pruning is measured on", POSITIVE
    )
