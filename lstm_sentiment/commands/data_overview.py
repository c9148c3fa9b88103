"""reviews -> the tables, examples and plot that `lstm-sentiment data` shows."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from rich.console import Group, RenderableType
from rich.text import Text

from lstm_sentiment.commands.tables import FittedTable
from lstm_sentiment.data.batches import EncodedReviews
from lstm_sentiment.data.columns import join_names
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.near_copies import NearCopies
from lstm_sentiment.data.splits import Split, count_shared_groups
from lstm_sentiment.data.subwords import MARK
from lstm_sentiment.data.vocabulary import UNK_ID
from lstm_sentiment.display import counted, printable
from lstm_sentiment.labels import POSITIVE, Classes
from lstm_sentiment.runs.run_plots import TEST_COLOUR, TRAIN_COLOUR, VAL_COLOUR

EXAMPLES, TOKENS_SHOWN = 10, 24
CLASSES_SHOWN = 10  # the largest ones, if there are more
NEAR_COPY_REVIEWS = 200_000  # training reviews; the index of more would take too much memory
STAGE_COLOURS = {"train": TRAIN_COLOUR, "val": VAL_COLOUR, "test": TEST_COLOUR}


def overview(data: ReviewDataModule) -> RenderableType:
    """Render the sizes of the splits, their classes and copies, and examples with their ids."""
    parts = _parts(data)
    unlabelled = data.corpus.parts.get("unsupervised")
    notes = [_vocabulary_note(data)]
    if data.config.folds is not None:
        notes.append(f"Fold {data.config.fold} of {data.config.folds} is the test set.")
    elif data.corpus.test_fraction is not None:
        notes.append(
            f"The reviews have no test set: {data.corpus.test_fraction:.0%} of them were drawn for "
            "it, copies of a review together."
        )
    if unlabelled is not None and (count := unlabelled().count()):
        notes.append(f"{counted(count, 'more review', 'has', 'have')} no label.")
    notes += _groups(data)
    near_copies = _near_copies(data)
    if near_copies is None:
        notes.append(f"Near copies are not counted for more than {NEAR_COPY_REVIEWS:,} reviews.")
    return Group(
        Text(data.corpus.name, style="bold"),
        _sizes(parts, data.config.max_length, data.classes),
        *([_classes(parts, data.classes)] if len(data.classes) > 2 else []),
        *map(Text, notes),
        *(Text(note, "yellow") for note in data.notes),
        Text(),
        _copies(parts, near_copies),
        Text(),
        Text("Examples of train: tokens and their ids; unknown tokens are red"),
        *_examples(data),
    )


def _vocabulary_note(data: ReviewDataModule) -> str:
    tokenizer, size = data.config.tokenizer, f"{len(data.vocabulary):,}"
    tokens = f"{size} words, the most frequent ones of train"
    if data.vocabulary.merges is not None:
        tokens = f"{size} subwords, learned from train; {MARK} marks the start of a word"
    return f"Tokenizer: {tokenizer}. Vocabulary: {tokens}."


def _parts(data: ReviewDataModule) -> dict[str, EncodedReviews]:
    parts = {"train": data.train, "val": data.val}
    if data.test is not None:
        parts["test"] = data.test
    return {name: part for name, part in parts.items() if len(part)}


def _sizes(parts: Mapping[str, EncodedReviews], max_length: int, classes: Classes) -> FittedTable:
    several = len(classes) > 2
    lengths_of = ("median", "mean", "95 %", "longest")
    share = "largest class" if several else join_names([classes.names[POSITIVE]])
    columns = ("split", "reviews", share, *lengths_of, "truncated", "unknown")
    rows = []
    for name, part in parts.items():
        lengths = part.token_counts
        median, percentile_95, longest = np.percentile(lengths, [50, 95, 100])
        counts = part.tokenized.word_counts(part.rows)
        shares = _counts(part, classes) / len(part)
        rows.append(
            [
                name,
                f"{len(part):,}",
                f"{shares.max() if several else shares[POSITIVE]:.1%}",
                f"{median:.0f}",
                f"{lengths.mean():.0f}",
                f"{percentile_95:.0f}",
                f"{longest:.0f}",
                f"{(lengths > max_length).mean():.1%}",
                f"{counts[part.word_ids == UNK_ID].sum() / counts.sum():.2%}",
            ]
        )
    caption = (
        f"lengths in tokens; truncated: longer than {max_length}; unknown: share of all tokens"
    )
    return FittedTable(columns, rows, optional=("95 %", "mean", "longest"), caption=caption)


def _counts(part: EncodedReviews, classes: Classes) -> np.ndarray:
    """Return the number of reviews of each class, (K,)."""
    return np.bincount(part.labels, minlength=len(classes))


def _classes(parts: Mapping[str, EncodedReviews], classes: Classes) -> FittedTable:
    """Render the number of reviews of each class and its share; see `_shown_classes`."""
    counts = {name: _counts(part, classes) for name, part in parts.items()}
    shown = _shown_classes(counts["train"])
    named = [(join_names([classes.names[k]]), [k]) for k in shown]
    if others := [k for k in range(len(classes)) if k not in shown]:
        named.append((counted(len(others), "other"), others))
    rows = [
        [name, *(f"{c[labels].sum():,} ({c[labels].sum() / c.sum():.1%})" for c in counts.values())]
        for name, labels in named
    ]
    return FittedTable(["class", *counts], rows)


def _shown_classes(counts: np.ndarray) -> list[int]:
    """Return the labels of the `CLASSES_SHOWN` largest classes, in their order."""
    return sorted(np.argsort(-counts, kind="stable")[:CLASSES_SHOWN].tolist())


def _groups(data: ReviewDataModule) -> list[str]:
    """Return a sentence on the groups of each split, and on those that other splits also have."""
    train, val, test = data.train_split, data.val_split, data.test_split
    sentences = []
    for name, split, others, where in (
        ("train", train, [], ""),
        ("val", val, [train], "train"),
        ("test", test, [train, val], "train or val"),
    ):
        if split is None or not len(split.rows) or not split.tokenized.has_groups:
            continue
        groups = split.tokenized.groups_of(split.rows)
        sentence = f"{counted(len(np.unique(groups)), 'group')} in {name}"
        if others:
            sentence += f", {count_shared_groups(split, *others):,} of them also in {where}"
        if alone := len(split.rows) - len(groups):
            sentence += f"; {counted(alone, 'review')} without a group"
        sentences.append(f"{sentence}.")
    return sentences


def _near_copies(data: ReviewDataModule) -> dict[str, int] | None:
    """Return the number of near copies of training reviews in each split; None if too many."""
    held_out: dict[str, Split] = {"val": data.val_split}
    if data.test_split is not None:
        held_out["test"] = data.test_split
    if len(data.train_split.rows) > NEAR_COPY_REVIEWS:
        return None
    held_out = {name: split for name, split in held_out.items() if len(split.rows)}
    if not held_out:
        return {}
    index = NearCopies(data.train_split, data.cache.display)
    return {name: index.count(split) for name, split in held_out.items()}


def _copies(
    parts: Mapping[str, EncodedReviews], near_copies: Mapping[str, int] | None
) -> FittedTable:
    """Render the number of reviews that are copies of others in the same or in another split.

    `near_copies` are the numbers of near copies of training reviews in each other split.
    """
    copies = {name: part.tokenized.copies_of(part.rows) for name, part in parts.items()}
    rows = []
    for name, values in copies.items():
        repeated = len(values) - len(np.unique(values))
        shared = (
            "" if other == name else f"{np.isin(values, other_values).sum():,}"
            for other, other_values in copies.items()
        )
        near = f"{near_copies[name]:,}" if near_copies and name in near_copies else ""
        rows.append([name, f"{repeated:,}", *shared, near])
    columns = ["copies", "within", *(f"in {name}" for name in parts), "near copies in train"]
    return FittedTable(columns, rows)


def _examples(data: ReviewDataModule) -> list[Text]:
    train, lines = data.train, []
    rows = train.rows[:EXAMPLES]
    if len(data.classes) > 2:  # one of each class
        shown = _shown_classes(_counts(train, data.classes))
        rows = train.rows[[int((train.labels == label).argmax()) for label in shown]]
    for row in rows.tolist():
        numbers = train.tokenized.tokens_of(row)
        name = join_names([data.classes.names[train.tokenized.labels[row]]])
        line = Text.assemble((name, "bold"), f", row {row + 1}:")
        for number in numbers[:TOKENS_SHOWN].tolist():
            id = int(train.word_ids[number])
            line.append(f" {printable(train.tokenized.words[number])}")
            line.append(f" {id}", style="red" if id == UNK_ID else "dim")
        if (hidden := len(numbers) - TOKENS_SHOWN) > 0:
            line.append(f" ... and {hidden:,} more")
        lines.append(line)
    return lines


def length_histogram(data: ReviewDataModule) -> Figure:
    """Plot the distribution of the lengths of each split, and `max_length`."""
    parts, limit = _parts(data), data.config.max_length
    longest = max(float(np.percentile(part.token_counts, 99.5)) for part in parts.values())
    bins = np.linspace(0, max(longest, limit * 1.05), 60).tolist()
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, part in parts.items():
        lengths = np.minimum(part.token_counts, bins[-1])
        weights = np.full(len(lengths), 100 / len(lengths))
        label = f"{name}, {len(part):,} reviews"
        axes.hist(
            lengths,
            bins,
            weights=weights,
            histtype="step",
            color=STAGE_COLOURS[name],
            label=label,
            lw=1.5,
        )
    axes.axvline(limit, color="0.4", linestyle="--", linewidth=1)
    axes.annotate(
        f"truncated at {limit}", (limit, 1), (4, -4), xycoords=("data", "axes fraction"),
        textcoords="offset points", va="top", color="0.4",
    )  # fmt: skip
    axes.set(
        xlabel="tokens of a review (longer ones are in the last bin)",
        ylabel="% of the reviews",
        title=data.corpus.name,
        xlim=(0, bins[-1]),
    )
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
