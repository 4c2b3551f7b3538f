"""Metrics of models: likelihoods, distance from the truth, and how they were trained."""

from analysis.metrics.metric import SHARE, Metric

MODEL_METRICS = (
    Metric(
        "human/nll_nats",
        "Loss on human text",
        "nats a token",
        change="difference",
        reading="Higher is worse: the model expects human text less.",
    ),
    Metric("validation/nll_nats", "Loss on validation text", "nats a token", change="difference"),
    Metric("human/perplexity", "Perplexity on human text", decimals=2, change="ratio"),
    Metric(
        "human/bits_per_byte",
        "Bits per byte of human text",
        "bits",
        change="difference",
        reading="Lower is better, and models with other vocabularies compare; near 0 is too good "
        "to be true.",
    ),
    Metric("human/entropy_nats", "Next-token entropy", "nats a token", change="difference"),
    Metric("own/nll_nats", "Loss on its own training text", "nats a token", change="difference"),
    Metric(
        "truth/kl_nats_per_token",
        "KL from the truth",
        "nats a token",
        decimals=4,
        change="ratio",
        floor=0.0,
        reading="Zero is the true distribution; higher is further from it.",
    ),
    Metric(
        "truth/kl_nats_per_story",
        "KL from the truth",
        "nats a story",
        change="ratio",
        floor=0.0,
        reading="Zero is the true distribution; higher is further from it.",
    ),
    Metric(
        "truth/valid_fraction",
        "Share of valid stories",
        "% of samples",
        reading="A story is valid when the grammar that made the corpus could have told it.",
        **SHARE,
    ),
    Metric(
        "truth/tail_coverage",
        "Coverage of rare choices",
        "observed / expected",
        floor=0.0,
        reading="1 means that rare choices are as frequent as under the truth; "
        "0 that they are gone.",
    ),
    Metric(
        "train/future_leak_logits",
        "Movement of a logit when a later token changes",
        "logits",
        decimals=None,
        floor=0.0,
        reading="Rounding alone for a model that sees no token it is to predict.",
    ),
    *(
        Metric(
            f"svd/{which}/participation_ratio",
            f"Directions that {name} use, mean over heads",
            "directions",
            decimals=2,
            floor=0.0,
            reading="Participation ratio of singular values; how many there can be is the width "
            "of a head.",
        )
        for which, name in (("K", "keys"), ("Q", "queries"), ("scores_centred", "centred scores"))
    ),
    Metric(
        "train/sees_future",
        "Models that see the tokens to come",
        "% of models",
        reading="Above 0 no likelihood of the arm is to be believed.",
        **SHARE,
    ),
    Metric(
        "train/flops",
        "Compute of the training",
        "floating-point operations",
        decimals=None,
        floor=0.0,
        reading="Counted from the shape of the model and its tokens; a teacher's is not in it.",
    ),
    Metric("train/parameters", "Parameters", decimals=0, floor=0.0),
    Metric("train/body_parameters", "Parameters without embeddings", decimals=0, floor=0.0),
    Metric("train/tokens_seen", "Training tokens", "tokens", decimals=0, floor=0.0),
    Metric("train/epochs", "Passes over the training text", decimals=2, floor=0.0),
    Metric("train/seconds", "Time of the training", "s", decimals=0, floor=0.0),
    Metric("train/loss_nats", "Loss in training", "nats a token", change="difference"),
    Metric(
        "train/teacher_kl_nats",
        "KL from the teacher",
        "nats a token",
        floor=0.0,
        reading="Zero is the teacher's own distribution.",
    ),
    Metric("corpus/vocabulary_size", "Vocabulary", "entries", decimals=0, floor=0.0),
    Metric("corpus/bytes_per_token", "Bytes of text a token", "bytes", decimals=2, floor=0.0),
    Metric("text/tokens_offered", "Tokens of the training text", "tokens", decimals=0, floor=0.0),
    Metric("text/distinct_documents", "Different training texts", decimals=0, floor=0.0),
)
