"""Learning from another model's distributions beside the text's own tokens (distillation)."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from collapse.errors import BadModel


@dataclass(frozen=True)
class Teacher:
    """A model whose next-token distributions a student is drawn to.

    The student's loss is ``(1 - weight) * cross-entropy + weight * temperature^2 * KL``, the
    divergence being that of the student's distribution from the teacher's, both softened by the
    temperature (Hinton, Vinyals & Dean, 2015; the square keeps the size of its gradients).

    Attributes:
        model: a causal language model over the student's own vocabulary; it is not trained.
        weight: share of the divergence in the loss, from 0 to 1.
        temperature: divides both sides' logits.
    """

    model: nn.Module
    weight: float = 0.5
    temperature: float = 1.0

    def require_vocabulary(self, size: int) -> None:
        """See that both speak of the same tokens.

        Raises:
            BadModel: the teacher's logits have another width.
        """
        own = self.model.config.vocab_size
        if own != size:
            raise BadModel(
                f"the teacher tells {own} tokens apart and the student {size}: its distributions "
                "cannot be learnt (teacher_weight=0 takes its text alone)"
            )

    def identity(self) -> str:
        """A digest of its weights and of how they count."""
        digest = hashlib.sha256(f"{self.weight} {self.temperature}".encode())
        for name, parameter in self.model.named_parameters():
            digest.update(f"{name} {tuple(parameter.shape)}".encode())
            digest.update(parameter.detach().cpu().contiguous().numpy().data)
        return digest.hexdigest()

    @torch.no_grad()
    def logits(self, input_ids_BxL: Tensor) -> Tensor:
        """What it says of the same inputs, ``(B, L, V)``."""
        self.model.eval()
        return self.model(input_ids=input_ids_BxL, use_cache=False).logits

    def divergence_nats(self, logits_NxV: Tensor, teacher_logits_NxV: Tensor) -> Tensor:
        """Sum over N tokens of KL(teacher || student) at the temperature, in nats, shape ()."""
        student = (logits_NxV.float() / self.temperature).log_softmax(-1)
        teacher = (teacher_logits_NxV.float() / self.temperature).log_softmax(-1)
        return F.kl_div(student, teacher, reduction="sum", log_target=True)
