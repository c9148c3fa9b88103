"""What is published with the project is what its records say."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from records import LABELS, answers, put_run, scores
from test_configurations import put_baseline

from lstm_sentiment.config import (
    Config,
    DataConfig,
    EmbeddingConfig,
    EncoderConfig,
    HeadConfig,
    Reference,
)
from lstm_sentiment.report import document

sys.path.insert(0, str(ROOT / "scripts"))
import answers as published
import model_card
import publish


def forget() -> None:
    for kept in (published.trained, published.highlights, published._usual_kind):
        kept.cache_clear()


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in the place of results/."""
    monkeypatch.setattr(published, "RESULTS", tmp_path)
    forget()
    yield tmp_path
    forget()


def markdown() -> str:
    return document.markdown(published.answers())


def section(title: str) -> str:
    [text] = [part for part in markdown().split("\n## ") if part.startswith(title)]
    return text


def network(cell: str, head: str = "last", padding: str = "exact", **fields: Any) -> Config:
    encoder = EncoderConfig(cell, **fields.pop("encoder", {}))  # type: ignore[arg-type]
    data = DataConfig(padding=padding)  # type: ignore[arg-type]
    return Config(encoder, HeadConfig(head), data=data, **fields)  # type: ignore[arg-type]


def test_every_page_is_that_of_the_records() -> None:
    assert {name for _, name, _ in publish.TABLE.findall(publish.README.read_text())} == {
        "results",
        "results/benchmarks/peers.json",
        "conf/experiment",
    }
    for file, text in publish.pages().items():
        assert file.read_text() == text, f"{file.name} is not what its records say: make results"


def test_every_picture_says_what_is_in_the_records() -> None:
    for picture in publish.pictures():
        file = publish.DOCS / document.FIGURES / f"{picture.name}.svg"
        assert words_of(file.read_text()) == words_of(picture.svg), "make results"


def words_of(drawing: str) -> list[str]:
    """What is written in it; where it stands may differ by a rounding."""
    return re.findall(r">([^<>]+)</text>", drawing)


@pytest.mark.usefixtures("results")
def test_what_was_not_trained_is_said_to_be_missing() -> None:
    text = markdown()
    assert text.count("Not trained yet") == 10
    assert published.summary().rows == []
    assert "Not trained yet" in document.markdown(model_card.card())


def test_a_baseline_alone_is_nothing_trained(results: Path) -> None:
    put_baseline(results / "best_scratch", answers(10), None)
    assert markdown().count("Not trained yet") == 10


def put_pooling(results: Path) -> None:
    """Of 200 answers, so many wrong; a second seed has two more wrong."""
    wrong = {"last": 60, "flatten": 30, "max": 20, "avg": 60}
    reading = {"exact": 0, "keras": 4, "trailing": 30}
    figures = [Reference("head=last", 0.77, source="them"), Reference("head=max", 0.87)]
    for (head, count), (padding, more), seed in product(wrong.items(), reading.items(), (0, 1)):
        given = answers(count + more + 2 * seed)
        config = network("lstm", head, padding, seed=seed, reference=figures)
        put_run(results / "pooling", config, given, given)
    put_baseline(results / "pooling", answers(10), answers(10))


def test_pooling_by_hand(results: Path) -> None:
    put_pooling(results)
    text = section("What does pooling add")
    assert "| last | 69.50 ± 0.71 | 67.50 ± 0.71 | 54.50 ± 0.71 | 77.00 |" in text
    assert "| flatten | 84.50 ± 0.71 | 82.50 ± 0.71 | 69.50 ± 0.71 | – |" in text
    assert "- max, padding masked: +20.00 points" in text
    [better] = [line for line in text.splitlines() if line.startswith("- max, padding masked")]
    assert ": better, p = 0.00" in better
    [level] = [line for line in text.splitlines() if line.startswith("- avg, padding masked")]
    assert "cannot be told apart" in level
    assert text.count("\n- ") == 9


def test_padding_by_hand(results: Path) -> None:
    put_pooling(results)
    text = section("Where did the published 77 % come from?")
    assert "padding masked: 69.50 ± 0.71 %, seeds 70.0, 69.0." in text
    [behind] = [line for line in text.splitlines() if "behind" in line and "points" in line]
    assert "-15.00 points" in behind
    assert "worse" in behind
    assert "Nearest is padding masked, -7.50 points from it" in text
    low, high = map(float, re.findall(r"its interval \(([\d.]+) to ([\d.]+)\)", text)[0])
    assert low < 69.5 < high
    assert ("lies within its interval" in text) == (low <= 77 <= high)


def curve(*wrong: int) -> list[dict[str, Any]]:
    """Epochs after which so many of 200 answers are wrong."""
    given = [scores(LABELS, answers(count)) for count in wrong]
    return [
        {"epoch": number, "seconds": 20.0, "train": each, "val": each}
        for number, each in enumerate(given, 1)
    ]


def test_learning_by_hand(results: Path) -> None:
    put_pooling(results)
    figures = [Reference("head=last", 0.77, source="them")]
    for (head, first), seed in product({"last": 46, "flatten": 30, "max": 40}.items(), (0, 1)):
        given, config = answers(20), network("lstm", head, seed=seed, reference=figures)
        put_run(results / "pooling", config, given, given, epochs=curve(first + 2 * seed, 20))
    avg = [network("lstm", "avg", seed=seed, reference=figures) for seed in (0, 1)]
    for first, config in zip((36, 38), avg, strict=True):
        put_run(results / "pooling", config, answers(20), answers(20), epochs=curve(first, 20, 10))
    text = section("Where did the published 77 % come from?")
    assert "| head | epoch 1 | epoch 2 | published test |" in text
    assert "| last | 76.5 | 90.0 | 77.00 |" in text
    assert "| flatten | 84.5 | 90.0 | – |" in text
    assert "after epoch 1, with 76.5 %, and comes to 90.0 %. Every other head is ahead" in text
    for config in avg:
        put_run(results / "pooling", config, answers(20), answers(20), epochs=curve(50, 20))
    forget()
    assert "Every other head" not in section("Where did the published 77 % come from?")


def test_whoever_is_given_time_by_hand(results: Path) -> None:
    put_pooling(results)
    question = "Where did the published 77 % come from?"
    assert "Not trained yet: `experiment=trailing_padding`." in section(question)
    for seed, wrong in enumerate([(99, 98, 44, 30), (99, 98, 97, 96)]):
        config = network("lstm", padding="trailing", seed=seed)
        val, test = answers(wrong[-1]), answers(wrong[-1] + 2)
        put_run(results / "trailing_padding", config, test, val, epochs=curve(*wrong))
    forget()
    assert (
        "- Seed 0: at chance for 2 epochs, then 78.00 % on validation after epoch 3 and at best "
        "85.00 %; 84.00 % on test." in section(question)
    )
    assert "- Seed 1: at chance in all 4 epochs." in section(question)


def test_readme_shows_pooling_without_padding_read(results: Path) -> None:
    put_pooling(results)
    shown = [row[1] for row in published.summary().rows]
    assert shown == ["lstm, last", "lstm, flatten", "lstm, max", "lstm, avg"]
    names = [picture.name for picture in published.overview()]
    assert names == ["results", "pooling"]
    for folder in (results / "pooling").glob("lstm-*"):
        if json.loads((folder / "run.json").read_text())["config"]["data"]["padding"] != "exact":
            shutil.rmtree(folder)
    forget()
    assert [picture.name for picture in published.overview()] == ["results"]


def test_cells_by_hand(results: Path) -> None:
    figures = [Reference("encoder=lstm", 0.8715), Reference("encoder=gru", 0.8777)]
    for cell, wrong in (("lstm", 40), ("gru", 12)):
        for seed in (0, 1):
            given = answers(wrong + seed)
            config = network(cell, seed=seed, reference=figures)
            put_run(results / "lstm_vs_gru", config, given, given)
    text = section("LSTM or GRU?")
    assert "| gru-last | 93.75 ± 0.35 |" in text
    assert "| 87.77 |" in text
    assert "GRU beside LSTM: +14.00 points" in text
    assert "Published: +0.62 points" in text
    assert "better" in text


def test_architectures_by_hand(results: Path) -> None:
    nets: dict[str, dict[str, Any]] = {
        "rnn": {"cell": "rnn"},
        "lstm": {"cell": "lstm"},
        "bilstm": {"cell": "lstm", "encoder": {"bidirectional": True}},
        "deep_lstm": {"cell": "lstm", "encoder": {"num_layers": 3}},
    }
    for (_, fields), wrong in zip(nets.items(), (80, 30, 28, 32), strict=True):
        for seed in (0, 1):
            given = answers(wrong + seed)
            put_run(results / "architectures", network(**fields, seed=seed), given, given)
    text = section("Which architecture is best")
    assert "- lstm beside rnn: +25.00 points" in text
    [claim] = [line for line in text.splitlines() if line.startswith("- bilstm beside lstm:")]
    assert "cannot be told apart" in claim
    # 20 of 200 wrong on train; on validation 30.5 and 32.5 in the mean
    assert "- lstm: +5.3 points.\n- deep_lstm: +6.3 points." in text
    assert "stacked_lstm" not in text  # not trained


def test_the_grid_by_hand(results: Path) -> None:
    cells, heads = {"rnn": 40, "lstm": 20, "gru": 20}, {"last": 8, "max": 0}
    for (cell, wrong), (head, more) in product(cells.items(), heads.items()):
        given = answers(wrong + more)
        put_run(results / "grid", network(cell, head), given, given)
    text = section("What do cell, direction")
    # 30.7 of 200 are wrong on average: 44 with an RNN, 28.7 with the maximum
    assert "- With rnn a network gets 6.67 points less than the average of all" in text
    assert "- With max a network gets 2.00 points more than the average of all" in text
    assert "![What each choice adds" in text


def test_a_grid_that_tells_nothing_says_so(results: Path) -> None:
    put_run(results / "grid", network("gru"), answers(10), answers(10))
    assert "Too little of the grid" in section("What do cell, direction")


def test_memory_is_what_was_measured(results: Path) -> None:
    put_run(results / "architectures", network("rnn"), answers(30), answers(30))
    assert "Not measured yet" in section("Why does the simple RNN")
    measured = {
        "reviews": 4_000,
        "distances": [0, 10, 100],
        "influence": {"rnn": [4.0, 1.0, 0.002], "lstm": [1.0, 1.0, 0.5]},
        "last": [10, 100, 400],
        "accuracy": {"rnn": [0.6, 0.75, 0.7], "lstm": [0.6, 0.7, 0.815]},
    }
    (results / "memory.json").write_text(json.dumps(measured))
    text = section("Why does the simple RNN")
    assert "the 4,000 test reviews of more than 400 tokens" in text
    assert "| last words | 10 | 100 | 400 |" in text
    assert "| lstm | 60.0 | 70.0 | 81.5 |" in text
    assert "- rnn: -5.0 points, where reading 100 instead of 10 adds 15.0." in text
    assert "- lstm: +11.5 points, where reading 100 instead of 10 adds 10.0." in text
    assert "| words behind it | 10 | 100 |" in text
    assert "| rnn | 25.0 | 0.1 |" in text
    assert "| lstm | 100.0 | 50.0 |" in text


def test_the_bar_is_the_baseline_that_is_best_on_validation(results: Path) -> None:
    for experiment in ("lstm_vs_gru", "best_scratch"):
        sweep, refitted = results / experiment, experiment == "best_scratch"
        for wrong in (10, 11):
            val = None if refitted else answers(wrong)
            put_run(sweep, network("gru", seed=wrong - 10), answers(wrong), val)
        for kind, wrong in (("logistic", 40), ("nb_svm", 30)):
            val = None if refitted else answers(wrong)
            put_baseline(sweep, answers(wrong), val, kind)
    text = section("How far ahead or behind")
    for experiment in ("lstm_vs_gru", "best_scratch"):
        [row] = [line for line in text.splitlines() if f"`{experiment}`" in line]
        assert "| 900 | 94.75 ± 0.35 | 85.00 | +9.75 points" in row
        assert "better" in row


def test_vectors_are_compared_with_none(results: Path) -> None:
    for seed in (0, 1):
        put_run(results / "best_scratch", network("gru", seed=seed), answers(40 + seed), None)
        config = network("gru", seed=seed, embedding=EmbeddingConfig("word2vec"))
        learned = {"fingerprint": "1", "source": "word2vec"}
        put_run(results / "best_vectors", config, answers(10 + seed), None, vectors=learned)
    text = section("How much do word vectors")
    assert "With vectors beside without: +15.00 points" in text
    assert "0.0 with vectors, 0.0 without" in text


def test_what_lacks_its_answers_takes_no_part(results: Path) -> None:
    put_pooling(results)
    for file in (results / "pooling").glob("lstm-max-s0-*/predictions.parquet"):
        file.unlink()
    assert "takes no part in intervals and tests" in section("What does pooling add")
    assert "lstm, max" not in [row[1] for row in published.summary().rows]


def test_two_that_fit_are_no_answer(results: Path) -> None:
    for size in (8, 9):
        config = network("lstm", encoder={"hidden_size": size})
        put_run(results / "lstm_vs_gru", config, answers(size), answers(size))
    with pytest.raises(ValueError, match="only one was expected"):
        section("LSTM or GRU?")


def test_the_model_card_by_hand(results: Path) -> None:
    for seed in (0, 1):
        put_run(results / "best_scratch", network("gru", seed=seed), answers(20 + 2 * seed), None)
    for kind, wrong in (("logistic", 44), ("nb_svm", 40)):
        put_baseline(results / "best_scratch", answers(wrong), None, kind)
        put_baseline(results / "lstm_vs_gru", answers(wrong), answers(wrong), kind)
    put_run(results / "lstm_vs_gru", network("gru"), answers(50), answers(50))
    amended(results / "best_scratch")
    text = document.markdown(model_card.card())
    assert "A gru with 128 units" in text
    assert "1,412,225 parameters, 5 MiB" in text
    assert "| accuracy % | 89.50 ± 0.71 |" in text
    # The first answers are the wrong ones, and the shortest reviews; 21 of 40 in the mean.
    assert "| 1 to 40 | 47.50 |" in text
    assert "| 161 to 200 | 100.00 |" in text
    assert "experiment=best_scratch seed=0" in text
    assert "Beside ngrams-nb_svm" in text
    assert "+9.50 points" in text


def amended(sweep: Path) -> None:
    """With what only a real run's data tell."""
    for file in sweep.glob("*/run.json"):
        record = json.loads(file.read_text())
        record["data"] |= {"vocabulary": 10_000, "unknown_share": 0.05, "truncated_share": 0.1}
        file.write_text(json.dumps(record))
