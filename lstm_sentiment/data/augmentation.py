"""Changes of training reviews that leave their labels as they are: more data from the same."""

from math import ceil

import numpy as np

from lstm_sentiment.config import AugmentConfig

SENTENCE_ENDS = (".", "!", "?")


def augmented(
    tokens: np.ndarray,
    config: AugmentConfig,
    ends: np.ndarray,
    unknown: int,
    random: np.random.Generator,
) -> np.ndarray:
    """(T,) tokens of a review, by number -> at least one, drawn as `config` says.

    `ends` are the numbers of what ends a sentence, `unknown` that of `<unk>`.
    """
    if config.shuffle_sentences:
        tokens = with_sentences_shuffled(tokens, np.isin(tokens, ends), random)
    if config.crop < 1:
        tokens = cropped(tokens, config.crop, random)
    if config.drop > 0:
        tokens = with_words_dropped(tokens, config.drop, random)
    if config.replace > 0:
        tokens = np.where(random.random(len(tokens)) < config.replace, unknown, tokens)
    return tokens


def with_sentences_shuffled(
    tokens: np.ndarray, is_end: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """(T,), (T,) bool -> (T,): the sentences in another order; "Why?!" is one."""
    last = is_end[:-1] & ~is_end[1:]
    sentences = np.split(tokens, np.flatnonzero(last) + 1)
    return np.concatenate([sentences[place] for place in random.permutation(len(sentences))])


def cropped(tokens: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """A span; its length is drawn evenly from the share of the tokens up to all of them."""
    length = random.integers(ceil(len(tokens) * share), len(tokens) + 1)
    start = random.integers(len(tokens) - length + 1)
    return tokens[start : start + length]


def with_words_dropped(tokens: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Each token is left out with the probability `share`, but for one where all would be."""
    kept = random.random(len(tokens)) >= share
    if not kept.any():
        kept[random.integers(len(tokens))] = True
    return tokens[kept]
