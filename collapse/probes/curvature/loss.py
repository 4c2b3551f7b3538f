"""The mean token cross-entropy of one microbatch, and its derivatives in the logits.

Written out, as second derivatives through torch's own cross-entropy keep three arrays of the size
of the logits alive, and make two more in each product: at a vocabulary of 50,000 they are larger
than all the rest. Here one is kept: the gradient, from which the probabilities can be read back.

Shapes: N positions, V vocabulary.
"""

from typing import Any

import torch

from collapse.probes.curvature.batch import IGNORED_LABEL


class LogitGradient(torch.autograd.Function):
    """Gradient of the mean cross-entropy in the logits, w (p - e_y), differentiable once more.

    Called as ``apply(logits_NxV, targets_N)``, it gives that gradient, (N, V), and the loss of each
    position in nats, (N,), which carries no derivative. p are the probabilities, e_y is 1 at the
    target, w is 1 over the number of predicted tokens, and 0 where the target is ignored.
    """

    @staticmethod
    def forward(
        ctx: Any, logits_NxV: torch.Tensor, targets_N: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The gradient and the losses."""
        counts_N = targets_N != IGNORED_LABEL
        targets_Nx1 = targets_N.clamp(min=0)[:, None]
        log_p_NxV = logits_NxV.log_softmax(-1)
        nll_N = torch.where(counts_N, -log_p_NxV.gather(1, targets_Nx1)[:, 0], 0.0)
        gradient_NxV = log_p_NxV.exp_()
        gradient_NxV.scatter_add_(1, targets_Nx1, -torch.ones_like(nll_N)[:, None])
        gradient_NxV.mul_((counts_N.to(gradient_NxV.dtype) / counts_N.sum())[:, None])
        ctx.save_for_backward(gradient_NxV, targets_N)
        ctx.mark_non_differentiable(nll_N)
        return gradient_NxV, nll_N

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, direction_NxV: torch.Tensor, _: torch.Tensor
    ) -> tuple[torch.Tensor, None]:
        """The Hessian in the logits, which is symmetric, times a direction."""
        gradient_NxV, targets_N = ctx.saved_tensors
        return logit_curvature(gradient_NxV, targets_N, direction_NxV), None


def logit_curvature(
    gradient_NxV: torch.Tensor, targets_N: torch.Tensor, direction_NxV: torch.Tensor
) -> torch.Tensor:
    """Product of the mean cross-entropy's Hessian in the logits with a direction u, (N, V).

    For one token it is w (diag(p) - p p^T), whatever the label. With the gradient g = w (p - e_y)
    one has p.u = g.u / w + u_y, and w p_j (u_j - p.u) = g_j (u_j - p.u) for all j but y, where
    there is -g.u more: no difference of large numbers where p_y is near 1.

    Args:
        gradient_NxV: of the mean loss in the logits.
        targets_N: -100 where nothing is predicted.
        direction_NxV: u.
    """
    tokens = (targets_N != IGNORED_LABEL).sum()
    targets_Nx1 = targets_N.clamp(min=0)[:, None]
    along_Nx1 = torch.linalg.vecdot(gradient_NxV, direction_NxV)[:, None]
    mean_Nx1 = direction_NxV.gather(1, targets_Nx1) + tokens * along_Nx1
    product_NxV = (direction_NxV - mean_Nx1).mul_(gradient_NxV)
    return product_NxV.scatter_add_(1, targets_Nx1, -along_Nx1)
