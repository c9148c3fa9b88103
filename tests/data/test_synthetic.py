"""The synthetic corpus: reproducible, balanced, clear to a reader and hard for word counts."""

import hashlib
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from lstm_sentiment.data import synthetic
from lstm_sentiment.data.synthetic import MIN_TOKENS, Construct, generate, generate_reviews
from lstm_sentiment.data.tokenizer import tokenize

# The digest of generate(200, seed=7), by GRAMMAR.
PINNED = {1: "e3ca518f1e8fb30bd52ae1c363e92113ef262291b0bf3bc42cf2aa2d3d1f84d8"}
# The digest of generate(200, seed=7, classes=5), by GRAMMAR.
PINNED_GRADES = {1: "f3e90abdf433cb163f75a9e45bcdb2f2f8b7a5537deb1f065f8179e346236e54"}


def pattern_of(template: str, words: Mapping[str, Sequence[str]]) -> re.Pattern[str]:
    """Return a pattern of the sentences of a template that is filled with these words."""

    def options(slot: re.Match[str]) -> str:
        return "(?:" + "|".join(map(re.escape, words[slot[1]])) + ")"

    escaped = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
    escaped = re.sub(r"\b([Aa])\\ (?={)", r"\1n?\\ ", escaped)
    sentence = synthetic.SLOT.sub(options, escaped)
    return re.compile(rf"(?:^|[.!?>] ?)(?:{sentence})", re.IGNORECASE)


def reading_of(label: int) -> re.Pattern[str]:
    """Return a pattern of all verdicts for this label."""
    words = synthetic.WORDS[label] | {
        "film": synthetic.WORDS[label]["film"] + synthetic.NEUTRAL["title"]
    }
    patterns = [pattern_of(template, words).pattern for template in synthetic.VERDICTS]
    return re.compile("|".join(patterns), re.IGNORECASE)


@pytest.fixture(scope="module")
def corpus() -> tuple[list[str], np.ndarray]:
    return generate(6000, seed=13)


@pytest.mark.parametrize(("classes", "pinned"), [(2, PINNED), (5, PINNED_GRADES)])
def test_the_same_arguments_always_give_the_same_reviews(
    classes: int, pinned: dict[int, str]
) -> None:
    texts, labels = generate(200, seed=7, classes=classes)
    digest = hashlib.sha256("\n".join([*texts, *map(str, labels)]).encode()).hexdigest()
    assert pinned.get(synthetic.GRAMMAR) == digest, (
        "The grammar generates other reviews: raise GRAMMAR, then pin this digest."
    )
    again, labels_again = generate(200, seed=7, classes=classes)
    assert again == texts
    assert np.array_equal(labels_again, labels)


# Constructs

# Words that any verdict of the construct has, and words that those of other constructs do not have.
MARKS = {
    Construct.negation: r"\bn[o'e]|n't|not|anything but|a very long way|less|penguin",
    Construct.concession: r"although|though|despite|in spite|however|may be",
    Construct.expectation: r"expected|begins|wanted to",
    Construct.reported_speech: r"people|those who|whoever|anyone can|told|hear|read|others|"
    r"\{friend\}|\{crowd\}",
}


def test_each_verdict_has_a_construct() -> None:
    verdicts = {*synthetic.VERDICTS, *synthetic.GRADED}
    assert synthetic.CONSTRUCTS.keys() == verdicts
    for template, construct in synthetic.CONSTRUCTS.items():
        if construct is Construct.plain:
            assert "opposite" not in template
        else:
            assert "opposite" in template
            assert re.search(MARKS[construct], template, re.IGNORECASE), template


@pytest.mark.parametrize("classes", [2, 4])
def test_the_construct_of_a_review_is_that_of_its_verdicts(classes: int) -> None:
    """The verdicts are found again in the texts, apart from those that others may also match."""
    verdicts = synthetic.VERDICTS if classes == 2 else tuple(synthetic.GRADED)
    reviews = generate_reviews(400, seed=4, max_tokens=60, classes=classes)
    texts, labels = generate(400, seed=4, max_tokens=60, classes=classes)
    assert [review.text for review in reviews] == texts
    assert [review.label for review in reviews] == labels.tolist()
    assert len({review.construct for review in reviews}) == (6 if classes == 2 else 5)
    for review in reviews:
        side = review.label if classes == 2 else 2 * review.label // classes
        words = dict(synthetic.WORDS[side])
        words["film"] += synthetic.NEUTRAL["title"]
        if classes > 2:
            others = [*synthetic.GRADES[:classes]]
            words["same_grade"] = (others.pop(review.label),)
            words["opposite_grade"] = tuple(others)
        found = {
            synthetic.CONSTRUCTS[template]
            for template in verdicts
            if pattern_of(template, words).search(review.text)
        }
        if review.construct is Construct.plain:
            assert Construct.plain in found
        elif review.construct is Construct.several:
            assert len(found) > 1
            assert Construct.plain not in found
        else:
            assert found == {review.construct}


@pytest.mark.parametrize(("count", "positive"), [(1, 1), (2, 1), (7, 4), (500, 250)])
def test_half_of_the_reviews_are_positive(count: int, positive: int) -> None:
    texts, labels = generate(count, seed=0)
    assert len(texts) == count
    assert labels.dtype == np.int8
    assert sorted(labels) == [0] * (count - positive) + [1] * positive


def test_labels_come_in_random_order(corpus: tuple[list[str], np.ndarray]) -> None:
    _, labels = corpus
    changes = np.count_nonzero(np.diff(labels))
    assert abs(changes - 3000) < 200  # the standard deviation is 39
    assert abs(labels[:1000].sum() - 500) < 80


@pytest.mark.parametrize("max_tokens", [MIN_TOKENS, 60, 200, 1000])
def test_lengths_vary_up_to_the_limit(max_tokens: int) -> None:
    texts, _ = generate(300, seed=5, max_tokens=max_tokens)
    lengths = np.array([len(tokenize(text, 2)) for text in texts])
    assert lengths.max() <= max_tokens
    assert lengths.max() > 0.85 * max_tokens
    assert lengths.min() < 35
    if max_tokens == 200:
        assert 80 < lengths.mean() < 110


def test_another_seed_gives_other_reviews() -> None:
    train, train_labels = generate(3000, seed=1)
    test, test_labels = generate(3000, seed=2)
    assert len(set(train)) > 2950
    assert len(set(train) & set(test)) < 30
    assert 0.4 < (train_labels == test_labels).mean() < 0.6


@pytest.mark.parametrize("max_tokens", [MIN_TOKENS, 200])
def test_every_review_has_a_verdict_and_all_its_verdicts_agree(max_tokens: int) -> None:
    texts, labels = generate(500, seed=11, max_tokens=max_tokens)
    readings = {label: reading_of(label) for label in (0, 1)}
    for text, label in zip(texts, labels, strict=True):
        assert readings[label].search(text), f"no verdict in {text!r}"
        assert not (other := readings[1 - label].search(text)), f"label {label}, but {other}"


@pytest.mark.parametrize(
    ("label", "verdict"),
    [
        (1, r"I (loved|adored|enjoyed) it, and so will you"),
        (0, r"I (hated|loathed|despised) it, and so will you"),
        (1, r"(film|movie|picture|thing) is anything but (dull|awful|boring|stupid|tedious)"),
        (0, r"(film|movie|picture|thing) is anything but (great|lovely|superb|witty|wonderful)"),
        (1, r"swears that it's an? (bore|mess|disaster|failure|ordeal); I couldn't disagree more"),
        (0, r"swears that it's an? (gem|joy|triumph|treat|wonder); I couldn't disagree more"),
        (
            1,
            r"I expected an? (bore|mess|failure|dud) and got an? (gem|joy|triumph|success|delight)",
        ),
        (0, r"I expected an? (gem|joy|triumph|delight) and got an? (bore|mess|failure|dud|chore)"),
        (1, r"My \w+ found it (dull|awful|boring|stupid|ugly); I found it \w+"),
        (0, r"My \w+ found it (great|lovely|superb|witty|brilliant); I found it \w+"),
    ],
)
def test_labels_agree_with_the_meaning_of_verdicts(
    corpus: tuple[list[str], np.ndarray], label: int, verdict: str
) -> None:
    # Written by hand: exchanged polarities would be consistent with the grammar.
    matching = [y for text, y in zip(*corpus, strict=True) if re.search(verdict, text)]
    assert len(matching) >= 3
    assert set(matching) == {label}


def test_verdicts_are_anywhere_in_a_review(corpus: tuple[list[str], np.ndarray]) -> None:
    readings = {label: reading_of(label) for label in (0, 1)}
    first = [
        match.start() / len(text)
        for text, label in zip(corpus[0][:1000], corpus[1], strict=False)
        if len(text) > 500 and (match := readings[label].search(text))
    ]
    assert np.mean(np.array(first) < 0.1) > 0.1
    assert np.mean(np.array(first) > 0.5) > 0.05


def test_texts_are_well_formed(corpus: tuple[list[str], np.ndarray]) -> None:
    texts = corpus[0][:2000]
    everything = " ".join(texts)
    assert 0.2 < np.mean(["<br /><br />" in text for text in texts]) < 0.8
    assert not re.search(r"[{}]|\ba [aeiou]|\ban [^aeiou]|  | [.,]", everything, re.IGNORECASE)
    assert not re.search(r"(?:^|[.!?] |>)[a-z]", everything)
    assert len(set(tokenize(everything, 2))) > 500


def test_word_counts_do_not_determine_the_label() -> None:
    texts, labels = generate(4000, seed=1)
    test_texts, test_labels = generate(1500, seed=2)
    words = CountVectorizer(min_df=2)
    classifier = LogisticRegression(C=0.1, solver="liblinear")
    classifier.fit(words.fit_transform(texts), labels)
    accuracy = classifier.score(words.transform(test_texts), test_labels)
    assert 0.58 < accuracy <= 0.75


# More classes


@pytest.mark.parametrize(("count", "classes"), [(60, 3), (52, 5), (7, 20)])
def test_more_classes_have_as_many_reviews_each(count: int, classes: int) -> None:
    texts, labels = generate(count, seed=3, classes=classes)
    counts = np.bincount(labels, minlength=classes)
    assert len(texts) == counts.sum() == count
    assert counts.max() - counts.min() <= 1
    assert (np.diff(counts) >= 0).all()


@pytest.mark.parametrize("max_tokens", [MIN_TOKENS, 200])
def test_a_review_names_two_grades_and_its_verdicts_decide(max_tokens: int) -> None:
    texts, labels = generate(200, seed=3, max_tokens=max_tokens, classes=5)
    grade = "|".join(synthetic.GRADES[:5])
    seen = 0
    for text, label in zip(texts, labels, strict=True):
        assert len(tokenize(text, 2)) <= max_tokens
        named = {name.lower() for name in re.findall(rf"\b({grade})\b", text, re.IGNORECASE)}
        assert synthetic.GRADES[label] in named
        assert len(named - {"one", "two"}) <= 2  # these are also words of other sentences
        for verdict in re.findall(rf"but I say ({grade})\.", text):
            assert verdict == synthetic.GRADES[label]
            seen += 1
    assert seen


def test_word_counts_do_not_determine_the_grade() -> None:
    texts, labels = generate(2000, seed=1, classes=3)
    words = CountVectorizer(min_df=2)
    classifier = LogisticRegression(C=0.1, max_iter=1000)
    classifier.fit(words.fit_transform(texts), labels)
    test_texts, test_labels = generate(600, seed=2, classes=3)
    accuracy = classifier.score(words.transform(test_texts), test_labels)
    assert 0.4 < accuracy < 0.65


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"count": 0, "seed": 0}, r"count must be at least 1 \(got 0\)"),
        ({"count": 1, "seed": -1}, r"seed must be at least 0 \(got -1\)"),
        ({"count": 1, "seed": 0, "max_tokens": 24}, r"max_tokens must be at least 25 \(got 24\)"),
        ({"count": 1, "seed": 0, "classes": 1}, r"classes must be from 2 to 20 \(got 1\)"),
        ({"count": 1, "seed": 0, "classes": 21}, r"classes must be from 2 to 20 \(got 21\)"),
    ],
)
def test_invalid_arguments_are_refused(arguments: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        generate(**arguments)
