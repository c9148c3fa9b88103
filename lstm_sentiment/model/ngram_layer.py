"""n-grams of a review -> logits: the linear input of the output units beside the head's vector."""

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional as F

from lstm_sentiment.data.ngram_vocabulary import NgramBatch, NgramVocabulary, ReviewNgrams
from lstm_sentiment.model.ngram_classifier import NgramClassifier
from lstm_sentiment.model.ngrams import NaiveBayesWeights


def log_count_ratios(
    reviews: ReviewNgrams, size: int, labels: np.ndarray, outputs: int
) -> np.ndarray:
    """Return the log-count ratio of each n-gram for each logit, (G, K) float32.

    It is that of `NaiveBayesWeights`, from the presence of `size` n-grams in N reviews with
    `labels`, (N,). One output is that of the second of two classes; each of more is that of a class
    against the rest (Wang and Manning 2012, section 2.1).
    """
    ones = np.ones(len(reviews.ids), np.int64)
    presence = csr_matrix((ones, reviews.ids, reviews.offsets), (len(labels), size))
    explained = [1] if outputs == 1 else range(outputs)
    weights = [NaiveBayesWeights().fit(presence, labels == label) for label in explained]
    return np.stack([each.log_ratio_ for each in weights], axis=1).astype(np.float32)


class NgramLayer(nn.Module):
    """A weight of each n-gram for each logit, times its log-count ratio, summed over a review.

    The weights start at zero, so that training starts from the network's own logits, and an n-gram
    that decides nothing never gets a say. The ratios are fixed. They scale the gradients, so the
    weights of n-grams that tell the classes apart grow fastest.
    """

    log_ratio: Tensor

    def __init__(self, log_ratio: np.ndarray) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(log_ratio.shape))  # (G, K)
        self.register_buffer("log_ratio", torch.from_numpy(log_ratio))  # (G, K)

    def forward(self, ngrams: NgramBatch, count: int) -> Tensor:
        """Return what the n-grams of B = `count` reviews add to the logits, (B, K)."""
        ids, rows = ngrams
        products = F.embedding(ids, self.weight) * F.embedding(ids, self.log_ratio)
        return products.new_zeros(count, products.shape[1]).index_add(0, rows, products)

    def linear_model(self, vocabulary: NgramVocabulary) -> NgramClassifier:
        """Return the trained layer as a linear model without an intercept."""
        weights = (self.weight.detach() * self.log_ratio).T.cpu().contiguous().numpy()
        outputs = len(weights)
        return NgramClassifier(
            vocabulary.ngrams,
            weights[0] if outputs == 1 else weights,
            np.zeros(() if outputs == 1 else outputs, np.float32),
            None,
            vocabulary.longest,
        )
