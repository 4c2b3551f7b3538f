"""Estimated distributions become the weights of a decoder, which then speaks like any other.

A decoder with learned positions whose tokens are embedded as zero and whose layers add nothing has
the position alone in its residual stream. The position's vector holds the natural parameters, the
head the statistics (`estimators`). So that the final norm changes nothing, all vectors are made
equally long by one more coordinate, which the head does not read.
"""

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from collapse.errors import BadCorpus, BadModel
from collapse.language.learners.estimators import Estimator


def fit(model: PreTrainedModel, stream: np.ndarray, estimator: Estimator) -> dict[str, float]:
    """Estimate what comes at each position of a document, and write it into a decoder's weights.

    What a position says depends on no token before it: the positions of a document are as many
    populations that know nothing of each other.

    Args:
        model: a decoder of this project with learned positions, an untied head and one token that
            begins and ends documents; changed in place.
        stream: tokens as :func:`collapse.language.packing.pack` leaves them, all of which count.
        estimator: the family of distributions.

    Returns:
        What the estimator measures of them.

    Raises:
        BadCorpus: a document is longer than the model's context, or none is there.
        BadModel: the model is of another kind, or too narrow for the family's statistics.
    """
    config = model.config
    if config.bos_token_id != config.eos_token_id:
        raise BadModel("a learner in closed form needs a tokenizer whose bos is its eos")
    counts_PxV = count_by_position(stream, config.eos_token_id, config.vocab_size)
    if len(counts_PxV) > config.max_position_embeddings:
        raise BadCorpus(
            f"a document has {len(counts_PxV)} tokens with its end, and the model's context only "
            f"{config.max_position_embeddings}: raise max_position_embeddings by preset_overrides"
        )
    parameters_PxK = estimator.parameters(counts_PxV, config.eos_token_id)
    set_positions(model, parameters_PxK, estimator.statistics(config.vocab_size))
    return estimator.measure(counts_PxV, config.eos_token_id)


def count_by_position(stream: np.ndarray, end_id: int, vocabulary: int) -> np.ndarray:
    """How often each token comes at each position of a document, ``(P, V)`` int64.

    The end token is the last of its document. P is that of the longest one; the end of the last
    document of the stream may be missing, as the packer cuts it off where the budget is full.

    Raises:
        BadCorpus: the stream has nothing behind its first token, the end of a document before it.
    """
    if len(stream) < 2 or stream[0] != end_id:
        raise BadCorpus("a learner in closed form needs a stream of documents that begins with one")
    places_N = np.arange(len(stream))
    newest_end_N = np.maximum.accumulate(np.where(stream == end_id, places_N, 0))
    positions_N = places_N[1:] - newest_end_N[:-1] - 1
    cells_N = positions_N * vocabulary + stream[1:]
    rows = int(positions_N.max()) + 1
    return np.bincount(cells_N, minlength=rows * vocabulary).reshape(rows, vocabulary)


@torch.no_grad()
def set_positions(
    model: PreTrainedModel, parameters_PxK: np.ndarray, statistics_VxK: np.ndarray
) -> None:
    """Make a decoder's logits ``parameters_PxK[t] @ statistics_VxK.T`` at every position t.

    Positions behind the last of the parameters are left even: nothing is likelier than the rest.

    Raises:
        BadModel: it has no learned positions, a tied head, another norm, or too narrow a stream.
    """
    config = model.config
    if (config.positions, config.norm, config.tie_word_embeddings) != ("learned", "rms", False):
        raise BadModel("a learner in closed form needs positions=learned, norm=rms, an untied head")
    width, kinds = config.hidden_size, statistics_VxK.shape[1]
    if width <= kinds:
        raise BadModel(
            f"hidden_size={width} holds no {kinds} statistics of a token and one more: "
            f"give preset_overrides=hidden_size={kinds + 1}"
        )
    lengths_P = np.linalg.norm(parameters_PxK, axis=1)
    squared_length = max(2 * lengths_P.max() ** 2, 1.0)
    vectors_PxD = np.zeros((config.max_position_embeddings, width))
    vectors_PxD[: len(parameters_PxK), :kinds] = parameters_PxK
    vectors_PxD[:, -1] = np.sqrt(squared_length - np.square(vectors_PxD).sum(1))
    head_VxD = np.zeros((len(statistics_VxK), width))
    head_VxD[:, :kinds] = statistics_VxK

    decoder = model.model
    decoder.embed_tokens.weight.zero_()
    for layer in decoder.layers:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    decoder.norm.weight.fill_(float(np.sqrt(squared_length / width + config.norm_eps)))
    _copy(vectors_PxD, decoder.embed_positions.weight)
    _copy(head_VxD, model.lm_head.weight)


def _copy(values: np.ndarray, weight: Tensor) -> None:
    weight.copy_(torch.from_numpy(values))
