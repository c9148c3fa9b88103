"""Measure how well n-gram models classify the synthetic reviews.

    python -m scripts.benchmarks.synthetic_difficulty --train 6000 --test 1500

Prints the lengths of the reviews, the share of the majority class, and the test accuracy of
logistic regression on words and on words with bigrams. Counts or TF-IDF and the value of C are
chosen on a fifth of the training reviews.
"""

import argparse

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import Pipeline

from lstm_sentiment.data.synthetic import generate

WORD = r"[^\s.,!?()';:\"]+"


def bag_of_words(longest: int) -> GridSearchCV:
    """Return an untrained grid search over bags of n-grams of up to `longest` words."""
    counts = CountVectorizer(token_pattern=WORD, ngram_range=(1, longest), min_df=2)
    tfidf = TfidfVectorizer(token_pattern=WORD, ngram_range=(1, longest), min_df=2)
    return GridSearchCV(
        Pipeline([("words", counts), ("classifier", LogisticRegression(solver="liblinear"))]),
        [
            {"words": [counts], "classifier__C": [0.01, 0.1, 1]},
            {"words": [tfidf], "classifier__C": [0.3, 3, 30]},
        ],
        cv=ShuffleSplit(1, test_size=0.2, random_state=0),
    )


def main() -> None:
    """Print the lengths of reviews and the accuracies."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", type=int, default=6000, help="number of training reviews")
    parser.add_argument("--test", type=int, default=1500, help="number of test reviews")
    parser.add_argument("--max-tokens", type=int, default=200, help="maximum length of a review")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the training reviews; test reviews have the next"
    )
    args = parser.parse_args()
    texts, labels = generate(args.train, args.seed, args.max_tokens)
    test_texts, test_labels = generate(args.test, args.seed + 1, args.max_tokens)

    words = [len(text.replace("<br />", " ").split()) for text in texts]
    shortest, median, longest = np.percentile(words, [0, 50, 100]).astype(int)
    print(
        f"words per review    {shortest} to {longest}, median {median}, mean {np.mean(words):.0f}"
    )
    majority = max(test_labels.mean(), 1 - test_labels.mean())
    print(f"majority class      {majority:6.1%}")
    for name, size in (("words", 1), ("words and bigrams", 2)):
        accuracy = bag_of_words(size).fit(texts, labels).score(test_texts, test_labels)
        print(f"{name:18}  {accuracy:6.1%}")


if __name__ == "__main__":
    main()
