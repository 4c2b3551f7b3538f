"""The fixed batches of tokens that probes look at."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from collapse.errors import BadCorpus
from collapse.language.packing import pack
from collapse.parameters.doors import Hessian, Mechanism, Surgery, SvdProbe
from collapse.probes.curvature import Microbatch, microbatches
from collapse.stages.generation import Ground
from collapse.stages.texts import read_texts
from collapse.stages.workspace import DatasetNote, Workspace


@dataclass(frozen=True)
class ProbeBatch:
    """A batch of one kind of text.

    Attributes:
        text: ``human`` (the split held out for probes: the same in the whole study) or ``own``
            (what the generation was trained on).
        parts: its rows, in parts.
        rows: sequences.
        row_tokens: tokens of each; all but the first are predicted.
        digest: of its token ids.
    """

    text: str
    parts: tuple[Microbatch, ...]
    rows: int
    row_tokens: int
    digest: str

    def whole(self) -> Microbatch:
        """All rows in one part."""
        ids, labels = (
            torch.cat([getattr(part, name) for part in self.parts])
            for name in ("input_ids_BxT", "labels_BxT")
        )
        return Microbatch(ids, labels)

    def description(self) -> dict[str, object]:
        """The batch in the terms of a JSON file."""
        shape = {"rows": self.rows, "row_tokens": self.row_tokens, "parts": len(self.parts)}
        return {"batch": shape | {"digest": self.digest}}


@dataclass(frozen=True)
class RankBatch:
    """The batch of human text, one for the whole study, that keys and queries are taken on.

    Attributes:
        input_ids_BxT: token ids, without padding.
        digest: of them.
    """

    input_ids_BxT: Tensor
    digest: str

    def description(self) -> dict[str, object]:
        """The batch in the terms of a JSON file."""
        rows, row_tokens = self.input_ids_BxT.shape
        return {"rows": rows, "row_tokens": row_tokens, "digest": self.digest}


def probe_batch(
    text: str, parameters: Hessian | Mechanism, workspace: Workspace, ground: Ground
) -> ProbeBatch:
    """The first tokens of a kind of text, as rows of the training's sequence length.

    The batch is noted among the run's datasets.

    Raises:
        BadCorpus: the text is shorter than the batch.
    """
    documents = (
        ground.human.heldout("probe")
        if text == "human"
        else read_texts(workspace.inputs.lineage[-1] / "own_text")
    )
    length = parameters.sequence_length
    rows = parameters.probe_tokens // length
    asked = f"probe_tokens={parameters.probe_tokens}"
    input_ids_BxT, digest = _rows(documents, rows, length, asked, text, workspace, ground)
    size = -(-rows // min(parameters.probe_parts, rows))
    return ProbeBatch(text, microbatches(input_ids_BxT, size=size), rows, length, digest)


def rank_batch(parameters: SvdProbe | Surgery, workspace: Workspace, ground: Ground) -> RankBatch:
    """The first tokens of the human text held out for probes, in equal rows.

    As many rows as the training's sequence length asks for, each as short as can be: 1,000 tokens
    of sequences of 128 are 8 rows of 125. What does not divide evenly is left out.

    Raises:
        BadCorpus: the text is shorter than the batch.
    """
    rows = -(-parameters.rank_tokens // parameters.sequence_length)
    length = parameters.rank_tokens // rows
    asked = f"rank_tokens={parameters.rank_tokens}"
    documents = ground.human.heldout("probe")
    return RankBatch(*_rows(documents, rows, length, asked, "human", workspace, ground))


def _rows(
    documents: Sequence[str],
    rows: int,
    length: int,
    asked: str,
    text: str,
    workspace: Workspace,
    ground: Ground,
) -> tuple[Tensor, str]:
    """The first tokens of some documents ``(rows, length)``, and their digest, which is noted."""
    try:
        stream = pack(
            ground.encode(documents), eos_token_id=ground.end_id, token_budget=rows * length
        )
    except BadCorpus as error:
        raise BadCorpus(f"{asked} on {text} text: {error}") from None
    digest = hashlib.sha256(stream.tobytes()).hexdigest()[:16]
    workspace.datasets.append(
        DatasetNote(f"{text}_probe", "evaluation", "", digest, documents=len(documents))
    )
    return torch.from_numpy(stream.astype("int64").reshape(rows, length)), digest
