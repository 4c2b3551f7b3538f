"""The names of the numbers that chains keep (DESIGN 4): a claim on a misspelt one is refused.

Without this a study would run for hours before its report says that nothing measured the claim.
Patterns are those of `fnmatch`; how well a number is known (``_se`` and the like) is no number to
claim anything of.
"""

from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import product

from collapse.errors import BadParameter


def _each(*parts: str) -> tuple[str, ...]:
    """All names made of one word of every part, joined by slashes."""
    return tuple("/".join(words) for words in product(*(part.split() for part in parts)))


_WITH_ANSWERS = "hellaswag piqa siqa arithmetic sentence_completion word_association simple_qa"
_CODE_CLASSES = "class_good class_repetitive class_mode_collapse class_noise class_partial"

METRIC_NAMES = (
    *_each("human", "nll_nats bits_per_byte perplexity entropy_nats"),
    *_each("own validation", "nll_nats"),
    *_each("truth", "kl_nats_per_story kl_nats_per_token valid_fraction tail_coverage"),
    *_each("origin", "total_nats sampling_nats fitting_nats decoding_nats made_up_nats"),
    *_each("origin", "read_valid_fraction outside_fraction"),
    *_each("quality", "distinct_1 distinct_2 distinct_3 distinct_4 self_bleu repetition_4gram"),
    *_each("quality", "longest_run vocabulary_diversity words_per_text words_per_text_*"),
    *_each("quality", "copied_fraction copied_fraction_human"),
    *_each("quality", "longest_copy_words longest_copy_words_human"),
    *_each("quality", "bleu bleu_human rouge_l rouge_l_human mauve mauve_human"),
    *_each("quality", "coherence coherence_human coherence_excess coherence_excess_human"),
    *_each("quality", "coherence_shuffled coherence_shuffled_human"),
    *_each("quality", f"collapse_rate {_CODE_CLASSES} completion_entropy_nats completion_top1"),
    *_each("quality", "parse_rate parse_rate_human parse_rate_whole parse_rate_whole_human"),
    *_each("quality", "parsed_share parsed_share_human keyword_rate operator_rate"),
    *_each("quality", "parentheses_rate identifier_diversity identifier_diversity_human"),
    *_each("quality", "commonest_character_share distinct_characters"),
    *_each("hessian gauss_newton", "human own", "lambda_max lambda_min lambda_max_over_abs_min"),
    *_each("hessian gauss_newton", "human own", "range trace variance bulk_center bulk_width"),
    *_each("hessian gauss_newton", "human own", "spectral_ratio spectral_ratio_k*"),
    *_each("hessian gauss_newton", "human own", "outlier_separation legacy_ratio iqr_ratio"),
    *_each("hessian gauss_newton", "human own", "negative_mass negative_share loss_nats"),
    *_each("hessian gauss_newton", "human own", "gradient_norm certified contradictions"),
    *_each("hessian gauss_newton", "human own", "orthogonality products"),
    *_each("hessian gauss_newton", "human own", "*", "lambda_max lambda_min"),
    *_each("pyhessian", "human own", "lambda_max lambda_min legacy_ratio iqr_ratio products"),
    *_each(
        "svd",
        "K Q K_centred W_k W_q scores scores_centred W_qk",
        "participation_ratio participation_ratio_sq rank_90 condition_number",
    ),
    *_each("svd", "gain_key gain_query gain_product", "participation_ratio mean"),
    *_each("surgery", "svd gamma random", "nll_nats nll_nats_sd excess_nats"),
    *_each("gradient gradient/own", "norm signal_share cosine_to_g0 cosine_to_previous"),
    *_each("drift drift_from_previous cka", "*"),
    *_each("activation", "*", "participation_ratio norm"),
    *_each("landscape", "rise_nats rise_half_nats"),
    *_each("benchmark", "mean overall overall_per_million_parameters overall_per_training_hour"),
    *_each("benchmark", _WITH_ANSWERS, "acc acc_norm floor random_acc"),
    *_each("benchmark", "lambada", "acc perplexity floor random_acc"),
    *_each("benchmark", "squad", "em f1 pm floor random_em random_f1 random_pm"),
    *_each("learner", "gini_simpson variance log_variance"),
    *_each("train", "loss_nats teacher_kl_nats seconds tokens_seen tokens_per_second epochs"),
    *_each("train", "parameters body_parameters flops micro_batch sees_future"),
    *_each("train", "future_leak_logits learning_rate learning_rate_sum"),
    *_each("train", "muon_learning_rate_sum"),
    *_each("text", "tokens_offered distinct_documents complexity"),
    *_each("synthesis", "kept cut empty distinct dropped sifted seconds"),
)
"""Every number of a chain that has a generation; those of corpora and judges have none."""

MEASURED_BY = {
    **dict.fromkeys(("quality", "human", "own", "truth", "origin"), "quality"),
    **dict.fromkeys(("hessian", "gauss_newton", "pyhessian"), "hessian"),
    **dict.fromkeys(
        ("gradient", "drift", "drift_from_previous", "cka", "activation", "landscape"), "mechanism"
    ),
    "svd": "svd_probe",
    "surgery": "surgery",
    "benchmark": "benchmark",
}
"""The first word of a metric's name to the probe that measures it."""


def require_metric(name: str, where: str) -> None:
    """Raise BadParameter unless some stage keeps a number of this name.

    Args:
        name: what a claim is about.
        where: the claim, to begin the sentence.

    Raises:
        BadParameter: nothing measures it; with the name that was meant, or those of its family.
    """
    if any(fnmatchcase(name, pattern) for pattern in METRIC_NAMES):
        return
    raise BadParameter(f"{where}: nothing measures {name!r}: {_meant(name)}")


def _meant(name: str) -> str:
    near = get_close_matches(name, [one for one in METRIC_NAMES if "*" not in one], n=1, cutoff=0.7)
    if near:
        return f"did you mean {near[0]}?"
    family = name.partition("/")[0]
    own = [one for one in METRIC_NAMES if one.startswith(f"{family}/")]
    if own:
        return f"of {family} there are {', '.join(one.partition('/')[2] for one in own)}"
    families = dict.fromkeys(one.partition("/")[0] for one in METRIC_NAMES)
    return f"names begin with one of {', '.join(families)}"
