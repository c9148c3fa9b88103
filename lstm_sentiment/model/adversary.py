"""vectors -> vectors that are harder to classify, to train on beside them (Miyato et al. 2017)."""

from torch import Tensor
from torch.nn import functional as F


def moved(vectors: Tensor, gradient: Tensor, share: float) -> Tensor:
    """(B, T, E), (B, T, E): the vectors of each review, moved to where its loss grows fastest.

    `gradient` is that of the loss with respect to them. A review is moved by `share` of the norm
    of all its vectors together, so a network cannot escape by making its vectors larger, against
    which Miyato et al. normalize them (section 3, equations 1 and 4).
    """
    reach = share * vectors.detach().flatten(1).norm(dim=1)
    steps = F.normalize(gradient.flatten(1), dim=1) * reach.unsqueeze(1)
    return vectors + steps.view_as(vectors)
