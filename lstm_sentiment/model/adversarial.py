"""Adversarial training on word vectors (Miyato et al. 2017)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def perturb(vectors: Tensor, gradient: Tensor, share: float) -> Tensor:
    """Return the vectors, (B, T, E), moved in the direction in which the loss grows fastest.

    `gradient` is the gradient of the loss with respect to the vectors, (B, T, E). The distance is
    `share` times the norm of all vectors of a review together. A network therefore cannot evade
    the perturbation with larger vectors. Miyato et al. normalize the vectors for the same reason
    (section 3, equations 1 and 4).
    """
    distances = share * vectors.detach().flatten(1).norm(dim=1)
    steps = F.normalize(gradient.flatten(1), dim=1) * distances.unsqueeze(1)
    return vectors + steps.view_as(vectors)


def with_gradients(loss: Tensor, sources: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """Return a scalar with the value of `loss` and the given `gradients` with respect to `sources`.

    It saves a second backward pass if the gradients of a loss are already known.
    """
    products = [(x * g).sum() for x, g in zip(sources, gradients, strict=True)]
    linear = torch.stack(products).sum()
    return linear - linear.detach() + loss.detach()
