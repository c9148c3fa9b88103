"""Augmentation: random changes of training reviews that keep their labels.

Each function takes the tokens of one review as word numbers, (T,), and returns the changed tokens,
at least one.
"""

from math import ceil

import numpy as np

from lstm_sentiment.config import AugmentConfig

# Full stops and question marks of many scripts, after normalization; Thai and Lao have none.
SENTENCE_ENDS = frozenset(".!?。؟۔।॥։።፧။។")


def augment(
    tokens: np.ndarray,
    config: AugmentConfig,
    ends: np.ndarray,
    unknown: int,
    random: np.random.Generator,
) -> np.ndarray:
    """Apply all changes of `config` to a review, one after the other.

    `ends` are the word numbers that end a sentence, and `unknown` is the word number of `<unk>`.
    """
    if config.shuffle_sentences:
        tokens = shuffle_sentences(tokens, np.isin(tokens, ends), random)
    if config.crop < 1:
        tokens = crop(tokens, config.crop, random)
    if config.drop > 0:
        tokens = drop_tokens(tokens, config.drop, random)
    if config.replace > 0:
        tokens = np.where(random.random(len(tokens)) < config.replace, unknown, tokens)
    return tokens


def shuffle_sentences(
    tokens: np.ndarray, is_end: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Put the sentences in random order.

    `is_end`, (T,) bool, marks the tokens that end a sentence. Adjacent ends, as in "Why?!", belong
    to one sentence.
    """
    is_last = is_end[:-1] & ~is_end[1:]
    sentences = np.split(tokens, np.flatnonzero(is_last) + 1)
    return np.concatenate([sentences[index] for index in random.permutation(len(sentences))])


def crop(tokens: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Return a random span; its length is uniform between `share` of the tokens and all tokens."""
    length = random.integers(ceil(len(tokens) * share), len(tokens) + 1)
    start = random.integers(len(tokens) - length + 1)
    return tokens[start : start + length]


def drop_tokens(tokens: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Drop each token with probability `share`; if none is left, keep one at random."""
    is_kept = random.random(len(tokens)) >= share
    if not is_kept.any():
        is_kept[random.integers(len(tokens))] = True
    return tokens[is_kept]
