"""logit -> contribution of each token (integrated gradients), and attention weights."""

import torch
from torch import Tensor

from lstm_sentiment.data.vocabulary import PAD_ID
from lstm_sentiment.labels import POSITIVE
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.embedding import Embedded
from lstm_sentiment.model.encoders.contract import Encoded
from lstm_sentiment.model.subnormals import subnormals_flushed
from lstm_sentiment.serving.attribution import Attribution

STEPS = (50, 200, 800)  # points of the integration path, tried in this order
TOLERANCE = 0.01  # of the logit; with a larger gap, the integration is repeated with more points
BATCH_SIZE = 64  # points computed together, at most
BATCH_NUMBERS = 2**23  # in the states of the points computed together; takes about 400 MB


@subnormals_flushed()
def attribute(
    classifier: Classifier, ids: Tensor, lengths: Tensor, real: Tensor, label: int = POSITIVE
) -> Attribution:
    """Attribute the logit of the class `label` for one review to the tokens of the review.

    `ids` is (1, T), `lengths` (1,), and `real` (1, T) is False on padding. The contributions are
    integrated gradients (Sundararajan et al. 2017) along the path from zero vectors to the vectors
    of the words. The vectors of padding that the network reads as text do not change along the
    path, so padding contributes nothing.
    """
    from captum.attr import IntegratedGradients  # slow to import, and not needed to predict

    def logit_of(vectors: Tensor, lengths: Tensor) -> Tensor:
        return logit_of_class(classifier.classify(vectors, lengths), label)

    vectors = classifier.embedding.vectors(ids)
    baseline_vectors = torch.where(real.unsqueeze(-1), 0, classifier.embedding.weight[PAD_ID])
    method = IntegratedGradients(logit_of)
    numbers = ids.shape[1] * max(vectors.shape[-1], classifier.encoder.output_size)
    with torch.no_grad():
        logit, baseline = (logit_of(v, lengths).item() for v in (vectors, baseline_vectors))
    for steps in STEPS:
        gradients = method.attribute(
            vectors,
            baseline_vectors,
            additional_forward_args=(lengths,),
            n_steps=steps,
            internal_batch_size=min(BATCH_SIZE, max(1, BATCH_NUMBERS // numbers)),
        )
        contributions = gradients.sum(-1)[real]
        gap = logit - baseline - contributions.sum().item()
        if not abs(gap) > TOLERANCE:  # nor do more points help if the gap is not a number
            break
    with torch.no_grad():
        attention = _attention(classifier, classifier.encoder(Embedded(vectors), lengths))
    return Attribution(
        logit,
        baseline,
        tuple(contributions.tolist()),
        None if attention is None else tuple(attention[real].tolist()),
        gap,
    )


def logit_of_class(logits: Tensor, label: int) -> Tensor:
    """Return the logits of one class, (B,), from those of reviews, (B,) or (B, K).

    The logit of the first of two classes is the negative of that of the second one.
    """
    if logits.ndim > 1:
        return logits[:, label]
    return logits if label == POSITIVE else -logits


def _attention(classifier: Classifier, encoded: Encoded) -> Tensor | None:
    weights = getattr(classifier.head, "weights", None)
    return None if weights is None else weights(encoded)
