"""The tokens that curvature is measured on, in parts."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from collapse.errors import BadCorpus, BadParameter

IGNORED_LABEL = -100  # the convention of torch and transformers


@dataclass(frozen=True, eq=False)
class Microbatch:
    """Rows that go through the model at once.

    Attributes:
        input_ids_BxT: int64.
        labels_BxT: int64, not shifted: the label at t is predicted at t - 1; -100 is ignored.
        attention_mask_BxT: 1 for real tokens, 0 for padding; None where all are real. It hides
            tokens from the model; labels of padding are to be -100 all the same.

    Raises:
        BadParameter: shapes that differ, or anything but whole numbers.
    """

    input_ids_BxT: torch.Tensor
    labels_BxT: torch.Tensor
    attention_mask_BxT: torch.Tensor | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be one batch."""
        ids, labels, mask = self.input_ids_BxT, self.labels_BxT, self.attention_mask_BxT
        shapes = [tuple(tensor.shape) for tensor in (ids, labels, mask) if tensor is not None]
        if ids.ndim != 2 or len(set(shapes)) > 1:
            raise BadParameter(
                f"ids, labels and mask of shapes {shapes}: all must be of one, rows x tokens"
            )
        if ids.dtype != torch.int64 or labels.dtype != torch.int64:
            raise BadParameter(
                f"ids of {ids.dtype} and labels of {labels.dtype}: both must be torch.int64"
            )

    @property
    def predicted_tokens(self) -> int:
        """Labels that count: the first of a row has nothing before it."""
        return int((self.labels_BxT[:, 1:] != IGNORED_LABEL).sum())

    def shifted_targets(self) -> torch.Tensor:
        """What each of the N = B x T positions predicts, (N,); -100 where it predicts nothing.

        Labels are moved and not logits, so that no logits have to be copied.
        """
        targets_BxT = torch.full_like(self.labels_BxT, IGNORED_LABEL)
        targets_BxT[:, :-1] = self.labels_BxT[:, 1:]
        return targets_BxT.flatten()

    def to(self, device: torch.device) -> "Microbatch":
        """The same rows on another device."""
        mask = self.attention_mask_BxT
        return Microbatch(
            self.input_ids_BxT.to(device),
            self.labels_BxT.to(device),
            None if mask is None else mask.to(device),
        )


def microbatches(
    input_ids_BxT: torch.Tensor, labels_BxT: torch.Tensor | None = None, *, size: int
) -> tuple[Microbatch, ...]:
    """Cut rows into parts.

    Args:
        input_ids_BxT: token ids, int64.
        labels_BxT: not shifted, -100 where nothing is to be predicted; the ids where None.
        size: rows of a part; the last one may have fewer.

    Raises:
        BadParameter: a size below 1, or ids and labels of different shapes.
    """
    if size < 1:
        raise BadParameter(f"size={size} rows a part: it must be 1 or more")
    whole = Microbatch(input_ids_BxT, input_ids_BxT if labels_BxT is None else labels_BxT)
    return tuple(
        Microbatch(ids, labels)
        for ids, labels in zip(
            whole.input_ids_BxT.split(size), whole.labels_BxT.split(size), strict=True
        )
    )


def shares_of(batches: Sequence[Microbatch]) -> tuple[float, ...]:
    """Weight of each microbatch in the mean over all predicted tokens; they sum to 1.

    Raises:
        BadCorpus: there is no microbatch, or one predicts nothing.
    """
    tokens = [batch.predicted_tokens for batch in batches]
    if not tokens:
        raise BadCorpus("no microbatch to measure curvature on: at least 1 is needed")
    if 0 in tokens:
        raise BadCorpus(
            f"microbatch {tokens.index(0)} predicts no token: leave it out, or give it a label "
            "other than -100 after the first of a row"
        )
    return tuple(count / sum(tokens) for count in tokens)
