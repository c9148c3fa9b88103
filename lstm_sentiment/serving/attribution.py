"""Which tokens a logit comes from: integrated gradients, and attention where there is any."""

from dataclasses import dataclass

import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from lstm_sentiment.data.tokens import PAD_ID
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.encoders import Encoded

STEPS = (50, 200, 800)  # points of the path; as many as it takes
CLOSE = 0.01  # of a logit: how far contributions may be from adding up before more are taken
AT_ONCE = 64  # points computed together


@dataclass(frozen=True)
class Attribution:
    """`contributions` add up to `logit` - `baseline`, but for what integration misses (`gap`)."""

    logit: float
    baseline: float  # the logit of as long a review whose words say nothing: their vectors are zero
    contributions: tuple[float, ...]  # of each token that is read
    attention: tuple[float, ...] | None  # of each, adding up to 1; None where the head has none
    gap: float


def attribute(classifier: Classifier, ids: Tensor, lengths: Tensor, real: Tensor) -> Attribution:
    """(1, T), (1,), (1, T): one review.

    Integrated gradients (Sundararajan et al. 2017) over the words' vectors, from zero. Padding that
    the network reads as text stays as it is on the whole path, so that it contributes nothing.
    """
    vectors = classifier.embedding(ids)
    nothing = torch.where(real.unsqueeze(-1), 0, classifier.embedding.weight[PAD_ID])
    method = IntegratedGradients(classifier.classify)
    with torch.no_grad():
        logit, baseline = (classifier.classify(v, lengths).item() for v in (vectors, nothing))
    for steps in STEPS:
        parts = method.attribute(
            vectors,
            nothing,
            additional_forward_args=(lengths,),
            n_steps=steps,
            internal_batch_size=AT_ONCE,
        )
        contributions = parts.sum(-1)[real]
        gap = logit - baseline - contributions.sum().item()
        if abs(gap) <= CLOSE:
            break
    with torch.no_grad():
        attention = _attention(classifier, classifier.encoder(vectors, lengths))
    return Attribution(
        logit,
        baseline,
        tuple(contributions.tolist()),
        None if attention is None else tuple(attention[real].tolist()),
        gap,
    )


def _attention(classifier: Classifier, encoded: Encoded) -> Tensor | None:
    weights = getattr(classifier.head, "weights", None)
    return None if weights is None else weights(encoded)
