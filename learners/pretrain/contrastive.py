"""The loss that brings two spectra of one star together, and other stars apart."""

import torch
import torch.distributed as dist
from torch.nn import functional

from starsmith.learners.training.batch_order import Share

__all__ = ["LOGIT_SCALE", "contrastive_loss", "gathered"]

LOGIT_SCALE = 15.5  # SpecCLIP's, fixed: of the cosine, what a logit is
LEAST_NORM = 1e-3


def contrastive_loss(
    first: torch.Tensor, second: torch.Tensor, scale: float = LOGIT_SCALE
) -> torch.Tensor:
    """Cross-entropy of naming each spectrum's partner among the batch, both ways averaged.

    Orthonormal pairs give log(1 + (N - 1) exp(-scale)); vectors that are all equal give log N.

    Parameters
    ----------
    first, second : float tensors, shape (n_spec, dim)
        Row k of both is the same star.
    scale : float
        Of the cosines.
    """
    units = (functional.normalize(side, dim=-1, eps=LEAST_NORM) for side in (first, second))
    one, other = units
    logits = scale * one @ other.T
    partner = torch.arange(len(logits), device=logits.device)
    return 0.5 * (
        functional.cross_entropy(logits, partner) + functional.cross_entropy(logits.T, partner)
    )


def gathered(own: torch.Tensor, share: Share) -> torch.Tensor:
    """Vectors of all processes, in the order of their rank; gradients reach one's own alone.

    A loss of all of them that every process computes then leaves parts of the gradient that add
    up to the whole.
    """
    if share.n_process == 1:
        return own
    everyone = [torch.empty_like(own) for _ in range(share.n_process)]
    dist.all_gather(everyone, own.detach().contiguous())
    everyone[share.rank] = own
    return torch.cat(everyone)
