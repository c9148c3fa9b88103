"""Pseudo-labels: unlabelled reviews with the class probabilities that trained models give them.

They are trained on beside the labelled reviews, in the same batches (Lee 2013). The probabilities
are the targets of the cross-entropy, so that unsure models do not teach certainty.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from lstm_sentiment.data.batches import EncodedReviews
from lstm_sentiment.data.ngram_vocabulary import ReviewNgrams
from lstm_sentiment.data.splits import Split
from lstm_sentiment.data.tokenized import TokenizedReviews
from lstm_sentiment.data.vocabulary import Vocabulary


class PseudoLabels(NamedTuple):
    """M unlabelled reviews and their probabilities, and what a record says about them."""

    reviews: Split  # in words
    probabilities: np.ndarray  # (M,) float32 of the second of two classes, (M, K) of each of more
    summary: Mapping[str, Any]  # the entry `pseudo_labels` of a record

    @property
    def note(self) -> str:
        """A sentence on the reviews, and on those that were left out."""
        left_out = self.summary["left_out"]
        return (
            f"pseudo-labels of {len(self.reviews.rows):,} unlabelled reviews, with a mean "
            f"probability of {self.summary['mean_confidence']:.1%} of the more probable class; "
            f"{left_out:,} copies of validation or test reviews are left out"
        )


def joined(
    labelled: EncodedReviews,
    unlabelled: EncodedReviews,
    probabilities: np.ndarray,
    vocabulary: Vocabulary,
) -> EncodedReviews:
    """Return N labelled reviews, followed by M unlabelled ones with these probabilities.

    The two come from different parts of the corpus, which number their words differently. The words
    of the result are those of the vocabulary, and a word's number is its id.
    """
    parts = [labelled, unlabelled]
    ids, lengths = zip(*map(_ids, parts), strict=True)

    def of_all(name: str) -> Any:
        return np.concatenate([getattr(part.tokenized, name)[part.rows] for part in parts])

    tokenized = TokenizedReviews(
        words=vocabulary.words,
        tokens=np.concatenate(ids),
        offsets=np.concatenate([[0], np.cumsum(np.concatenate(lengths))]),
        labels=of_all("labels"),
        digests=of_all("digests"),
        copies=of_all("copies"),
        groups=of_all("groups"),
        preparation=labelled.tokenized.preparation,
    )
    count = len(tokenized.labels)
    return replace(
        labelled,
        tokenized=tokenized,
        rows=np.arange(count),
        word_ids=np.arange(len(vocabulary), dtype=np.int32),
        soft_labels=np.concatenate([_certain(labelled.labels, probabilities), probabilities]),
        is_labelled=np.arange(count) < len(labelled),
        ngrams=_joined_ngrams(labelled.ngrams, unlabelled.ngrams),
    )


def _joined_ngrams(first: ReviewNgrams | None, second: ReviewNgrams | None) -> ReviewNgrams | None:
    if first is None or second is None:
        return None
    offsets = np.concatenate([first.offsets, first.offsets[-1] + second.offsets[1:]])
    return ReviewNgrams(np.concatenate([first.ids, second.ids]), offsets)


def _ids(reviews: EncodedReviews) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of all reviews one after another, (T,) int32, and their lengths, (N,)."""
    tokens, lengths = reviews.tokenized.gathered(reviews.rows)
    return reviews.word_ids[tokens], lengths


def _certain(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return labels, (N,), as probabilities of 0 and 1 in the form of `probabilities`, float32."""
    if probabilities.ndim == 1:
        return labels.astype(np.float32)
    return np.eye(probabilities.shape[1], dtype=np.float32)[labels]
