"""What is in the data, before anybody trains on them: tables, examples and a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lstm_sentiment.config import Config, Source
from lstm_sentiment.data.batches import EncodedReviews
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.reviews import KAGGLE_NAMES
from lstm_sentiment.data.tokens import UNK_ID, printable
from lstm_sentiment.launch import compose
from lstm_sentiment.training.figures import CLASSES, TEST, TRAIN, VAL

EXAMPLES, TOKENS_SHOWN = 10, 24
COLOURS = {"train": TRAIN, "val": VAL, "test": TEST}


def typed_configs(words: Sequence[str]) -> list[Config]:
    """What is typed behind `lstm-sentiment data`: DATA or FIELD=VALUE, the latter as for training.

    Each DATA (a path, a glob, a name of the hub, or one of the choices of data=) makes one
    configuration; without any, the fields do. Raises InputError where that makes none.
    """
    fields = [word for word in words if "=" in word and not Path(word).exists()]
    named = [word for word in words if word not in fields]
    configs = [_typed(word, fields) for word in named] or [compose(fields)]
    for config in configs:
        config.data.batch_size = 1  # nothing is trained: there may be fewer reviews than in a batch
    return configs


def _typed(data: str, fields: Sequence[str]) -> Config:
    if data in list(Source):
        return compose([f"data={data}", *fields])
    path = Path(data).expanduser()
    imdb = path.is_dir() or path.name in KAGGLE_NAMES
    return compose([f"data={Source.imdb if imdb else Source.reviews}", *fields], path=data)


def overview(data: ReviewDataModule) -> RenderableType:
    """The splits, copies among them, and examples as the network sees them."""
    parts = _parts(data)
    unlabelled = data.corpus.parts.get("unsupervised")
    remarks = [f"{len(data.vocabulary):,} words are known: those most frequent in train."]
    if data.corpus.held_out is not None:
        remarks.append(
            f"All reviews come in one: {data.corpus.held_out:.0%} of them were drawn for test, "
            "copies of a text together."
        )
    if unlabelled is not None and (count := unlabelled().count()):
        remarks.append(f"Beside them, {count:,} reviews have no label.")
    return Group(
        Text(data.corpus.name, style="bold"),
        _sizes(parts, data.config.max_length),
        *(Text(remark) for remark in remarks),
        Text(),
        _copies(parts),
        Text(),
        Text("Examples of train: tokens, and the ids that a network gets for them"),
        *_examples(data),
    )


def _parts(data: ReviewDataModule) -> dict[str, EncodedReviews]:
    parts = {"train": data.train, "val": data.val}
    if data.test is not None:
        parts["test"] = data.test
    return {name: part for name, part in parts.items() if len(part)}


def _sizes(parts: Mapping[str, EncodedReviews], max_length: int) -> Table:
    table = Table("split", box=None, header_style="bold")
    columns = ("reviews", "positive", "median", "mean", "95 %", "longest", "cut", "unknown")
    for column in columns:
        table.add_column(column, justify="right")
    for name, part in parts.items():
        lengths = part.token_counts
        median, most, longest = np.percentile(lengths, [50, 95, 100])
        words = part.reviews.count(part.rows)
        table.add_row(
            name,
            f"{len(part):,}",
            f"{(part.reviews.labels[part.rows] == 1).mean():.1%}",
            f"{median:.0f}",
            f"{lengths.mean():.0f}",
            f"{most:.0f}",
            f"{longest:.0f}",
            f"{(lengths > max_length).mean():.1%}",
            f"{words[part.lookup == UNK_ID].sum() / words.sum():.2%}",
        )
    table.caption = f"lengths in tokens; cut: longer than {max_length}; unknown: of all tokens"
    table.caption_justify = "left"
    return table


def _copies(parts: Mapping[str, EncodedReviews]) -> Table:
    """How many reviews of a split have a text that stands before it there, or in another split."""
    digests = {
        name: np.ascontiguousarray(part.reviews.digests[part.rows]).view("V16")[:, 0]
        for name, part in parts.items()
    }
    table = Table("copies", "in itself", box=None, header_style="bold")
    for name in parts:
        table.add_column(f"in {name}", justify="right")
    for name, mine in digests.items():
        inside = len(mine) - len(np.unique(mine))
        others = (
            "" if other == name else f"{np.isin(mine, theirs).sum():,}"
            for other, theirs in digests.items()
        )
        table.add_row(name, f"{inside:,}", *others)
    return table


def _examples(data: ReviewDataModule) -> list[Text]:
    train, lines = data.train, []
    for row in train.rows[:EXAMPLES].tolist():
        numbers = train.reviews.of(row)
        side = CLASSES[train.reviews.labels[row]]
        line = Text.assemble((side, "bold"), f", row {row + 1}:")
        for number in numbers[:TOKENS_SHOWN].tolist():
            id = int(train.lookup[number])
            line.append(f" {printable(train.reviews.words[number])}")
            line.append(f" {id}", style="red" if id == UNK_ID else "dim")
        if (more := len(numbers) - TOKENS_SHOWN) > 0:
            line.append(f" ... and {more:,} more")
        lines.append(line)
    return lines


def length_histogram(data: ReviewDataModule) -> Figure:
    """How long the reviews of each split are, and where they are cut."""
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
            color=COLOURS[name],
            label=label,
            lw=1.5,
        )
    axes.axvline(limit, color="0.4", linestyle="--", linewidth=1)
    axes.annotate(
        f"cut at {limit}", (limit, 1), (4, -4), xycoords=("data", "axes fraction"),
        textcoords="offset points", va="top", color="0.4",
    )  # fmt: skip
    axes.set(
        xlabel="tokens of a review (the last bar: as long or longer)",
        ylabel="% of the reviews",
        title=data.corpus.name,
        xlim=(0, bins[-1]),
    )
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
