"""The generated pages show the records below results/, worked out by hand for some of them."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lstm_sentiment.config import Config, DataConfig, EmbeddingConfig, Reference
from lstm_sentiment.report import page
from lstm_sentiment.report.page import Table
from lstm_sentiment.report.variants import variant_groups
from lstm_sentiment.runs.reader import read_runs
from scripts.publish import overview, pages, trained
from scripts.publish.experiments import FILES_OF_VECTORS, OF_IMDB, commands
from scripts.publish.model_card import model_card
from scripts.publish.results_page import QUESTIONS, results_page
from tests.support.experiments import experiment, typed
from tests.support.records import (
    LABELS,
    amend,
    answers,
    put_baseline,
    put_run,
    scores_of_probabilities,
)
from tests.support.records import network as network_of

POOLING = "What does pooling add"
PUBLISHED = "Where did the published 77 % come from?"
BASELINES = "How do the networks compare with n-gram baselines?"
THEIRS = [Reference("head=last", 0.77, source="them"), Reference("head=max", 0.87)]
UNDECIDED = "not significantly different"


def forget_records() -> None:
    for function in (trained.comparison_of, trained.highlights, trained.usual_baseline):
        function.cache_clear()


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder instead of results/."""
    monkeypatch.setattr(trained, "RESULTS", tmp_path)
    forget_records()
    yield tmp_path
    forget_records()


def section(title: str) -> str:
    """Return the section of the results page whose title begins like that."""
    forget_records()
    text = page.markdown(results_page())
    [match] = [part for part in text.split("\n## ") if part.startswith(title)]
    return match


def line(text: str, *parts: str) -> str:
    """Return the only line that contains all these parts."""
    [match] = [line for line in text.splitlines() if all(part in line for part in parts)]
    return match


def network(cell: str, head: str = "last", padding: str = "exact", **fields: Any) -> Config:
    data = DataConfig(padding=padding)  # type: ignore[arg-type]
    return network_of(cell, head, data=data, **fields)


def test_every_page_shows_its_records() -> None:
    texts = [file.read_text() for file in pages.WITH_TABLES]
    assert {name for text in texts for _, name, _ in pages.TABLE.findall(text)} == set(pages.TABLES)
    for file, text in pages.pages().items():
        assert file.read_text() == text, f"{file.name} is outdated: make results"


def test_every_plot_shows_its_records() -> None:
    files = {plot.name: pages.FIGURES / f"{plot.name}.svg" for plot in pages.plots()}
    assert {*files.values()} == {*pages.FIGURES.glob("*.svg")}
    for plot in pages.plots():
        assert words(files[plot.name].read_text()) == words(plot.svg), "make results"


def words(svg: str) -> list[str]:
    """Return the words of a plot; their positions may differ by rounding."""
    return re.findall(r">([^<>]+)</text>", svg)


@pytest.mark.usefixtures("results")
def test_experiments_without_records_are_named() -> None:
    text = page.markdown(results_page())
    for name, _ in QUESTIONS.values():
        assert f"`experiment={name}`" in text
    assert overview.summary().rows == []
    assert overview.plots() == []
    assert "`experiment=best_vectors`" in page.markdown(model_card())


def test_a_baseline_alone_answers_no_question(results: Path) -> None:
    put_baseline(results / "best_scratch", answers(10), None)
    assert "`experiment=best_scratch`" in page.markdown(results_page())


def put_pooling(results: Path) -> None:
    """Networks with this many mistakes in 200 reviews; a second seed has two more."""
    mistakes = {"last": 60, "flatten": 30, "max": 20, "avg": 60}
    paddings = {"exact": 0, "keras": 4, "trailing": 30}
    for (head, count), (padding, more), seed in product(mistakes.items(), paddings.items(), (0, 1)):
        probabilities = answers(count + more + 2 * seed)
        config = network("lstm", head, padding, seed=seed, reference=THEIRS)
        put_run(results / "pooling", config, probabilities, probabilities)
    put_baseline(results / "pooling", answers(10), answers(10))


def test_pooling_by_hand(results: Path) -> None:
    put_pooling(results)
    text = section(POOLING)
    assert "| last | 69.50 ± 0.71 | 67.50 ± 0.71 | 54.50 ± 0.71 | 77.00 |" in text
    assert "| flatten | 84.50 ± 0.71 | 82.50 ± 0.71 | 69.50 ± 0.71 | – |" in text
    better = line(text, "- max, masked")
    assert "+20.00 points" in better
    assert "better (p below 0.001)" in better
    assert UNDECIDED in line(text, "- avg, masked")
    assert text.count(" compared with last") == 9
    assert line(text, "- them (labels not stated): 77.00 % for `head=last`.")
    assert line(text, "- source not named (labels not stated): 87.00 % for `head=max`.")


def test_padding_by_hand(results: Path) -> None:
    put_pooling(results)
    text = section(PUBLISHED)
    assert line(text, "masked padding", "69.50 ± 0.71 %", "70.0, 69.0")
    assert "worse" in line(text, "post-padding", "-15.00 points")
    closest = line(text, "Published: 77.00 %")
    assert "masked padding (-7.50 points)" in closest
    low, high = map(float, re.findall(r"\(([\d.]+) to ([\d.]+)\)", closest)[0])
    assert low < 69.5 < high
    assert ("inside" in closest) == (low <= 77 <= high)


def curve(*mistakes: int) -> list[dict[str, Any]]:
    """Return epochs after which this many of 200 predictions are mistakes."""
    return [
        {"epoch": number, "seconds": 20.0, "train": epoch, "val": epoch}
        for number, epoch in enumerate(
            (scores_of_probabilities(LABELS, answers(m)) for m in mistakes), 1
        )
    ]


def test_learning_by_hand(results: Path) -> None:
    put_pooling(results)
    theirs = THEIRS[:1]
    final = answers(20)
    for (head, first), seed in product({"last": 46, "flatten": 30, "max": 40}.items(), (0, 1)):
        config, epochs = (
            network("lstm", head, seed=seed, reference=theirs),
            curve(first + 2 * seed, 20),
        )
        put_run(results / "pooling", config, final, final, epochs=epochs)
    avg = [network("lstm", "avg", seed=seed, reference=theirs) for seed in (0, 1)]
    for first, config in zip((36, 38), avg, strict=True):
        put_run(results / "pooling", config, final, final, epochs=curve(first, 20, 10))
    text = section(PUBLISHED)
    assert "| head | epoch 1 | epoch 2 | published test |" in text
    assert "| last | 76.5 | 90.0 | 77.00 |" in text
    assert "| flatten | 84.5 | 90.0 | – |" in text
    closest = line(text, "after epoch 1", "76.5 %", "90.0 %")
    assert "Every other head" in closest
    for config in avg:
        put_run(results / "pooling", config, final, final, epochs=curve(50, 20))
    assert "Every other head" not in section(PUBLISHED)


def test_trailing_padding_by_hand(results: Path) -> None:
    put_pooling(results)
    assert "`experiment=trailing_padding`" in section(PUBLISHED)
    for seed, mistakes in enumerate([(99, 98, 44, 30), (99, 98, 97, 96)]):
        config = network("lstm", padding="trailing", seed=seed)
        val, test = answers(mistakes[-1]), answers(mistakes[-1] + 2)
        put_run(results / "trailing_padding", config, test, val, epochs=curve(*mistakes))
    text = section(PUBLISHED)
    learned = line(text, "- Seed 0", "2 epochs", "78.00 %", "epoch 3", "85.00 %", "84.00 %")
    assert learned.index("78.00 %") < learned.index("85.00 %") < learned.index("84.00 %")
    assert line(text, "- Seed 1", "chance level in all 4 epochs")


def test_the_readme_shows_masked_padding_only(results: Path) -> None:
    put_pooling(results)
    networks = [row[1] for row in overview.summary().rows]
    assert networks == ["lstm, last", "lstm, flatten", "lstm, max", "lstm, avg"]
    assert [plot.name for plot in overview.plots()] == ["results", "pooling"]
    for run in read_runs(results / "pooling"):
        assert run.record is not None
        if run.record["config"]["data"].get("padding", "exact") != "exact":
            shutil.rmtree(run.folder)
    forget_records()
    assert [plot.name for plot in overview.plots()] == ["results"]


def test_cells_by_hand(results: Path) -> None:
    theirs = [Reference("encoder=lstm", 0.8715), Reference("encoder=gru", 0.8777)]
    for (cell, mistakes), seed in product((("lstm", 40), ("gru", 12)), (0, 1)):
        probabilities = answers(mistakes + seed)
        config = network(cell, seed=seed, reference=theirs)
        put_run(results / "lstm_vs_gru", config, probabilities, probabilities)
    text = section("LSTM or GRU?")
    assert "87.77" in line(text, "| gru-last | 93.75 ± 0.35 |")
    assert "better" in line(text, "GRU", "LSTM", "+14.00 points")
    assert line(text, "published difference", "+0.62 points")


def test_architectures_by_hand(results: Path) -> None:
    networks: list[tuple[dict[str, Any], int]] = [
        ({"cell": "rnn"}, 80),
        ({"cell": "lstm"}, 30),
        ({"cell": "lstm", "bidirectional": True}, 28),
        ({"cell": "lstm", "num_layers": 3}, 32),
    ]
    for (fields, mistakes), seed in product(networks, (0, 1)):
        probabilities = answers(mistakes + seed)
        put_run(
            results / "architectures", network(**fields, seed=seed), probabilities, probabilities
        )
    text = section("Which architecture is best")
    assert line(text, "- lstm compared with rnn", "+25.00 points")
    assert UNDECIDED in line(text, "- bilstm compared with lstm")
    # 20 of 200 mistakes in training, and 30.5 and 32.5 in validation on average.
    assert "- lstm: +5.3 points.\n- deep_lstm: +6.3 points." in text
    assert "stacked_lstm" not in text  # was not trained


def test_the_grid_by_hand(results: Path) -> None:
    cells, heads = {"rnn": 40, "lstm": 20, "gru": 20}, {"last": 8, "max": 0}
    for (cell, mistakes), (head, more) in product(cells.items(), heads.items()):
        probabilities = answers(mistakes + more)
        put_run(results / "grid", network(cell, head), probabilities, probabilities)
    text = section("What do cell, direction")
    # 30.7 of 200 are mistakes on average: 44 with an RNN, 28.7 with the maximum.
    assert line(text, "With rnn", "6.67 points lower")
    assert line(text, "With max", "2.00 points higher")
    assert "(figures/grid_effects.svg)" in text


def test_a_grid_of_one_network_has_no_effects(results: Path) -> None:
    put_run(results / "grid", network("gru"), answers(10), answers(10))
    text = section("What do cell, direction")
    assert "Too few networks" in text
    assert "figures/" not in text


def test_the_influence_of_words_by_hand(results: Path) -> None:
    put_run(results / "architectures", network("rnn"), answers(30), answers(30))
    question = "How far back"
    assert "scripts.benchmarks.influence" in section(question)
    record = """{
        "reviews": 4000,
        "distances": [0, 10, 100],
        "influence": {"rnn": [4.0, 1.0, 0.002], "lstm": [1.0, 1.0, 0.5]},
        "last": [10, 100, 400],
        "accuracy": {"rnn": [0.6, 0.75, 0.7], "lstm": [0.6, 0.7, 0.815]}
    }"""
    (results / "memory.json").write_text(record)
    text = section(question)
    assert line(text, "4,000 test reviews", "more than 400 tokens")
    assert "| last words | 10 | 100 | 400 |" in text
    assert "| lstm | 60.0 | 70.0 | 81.5 |" in text
    assert line(text, "- rnn: -5.0 points", "100 words instead of 10", "15.0 points")
    assert line(text, "- lstm: +11.5 points", "10.0 points")
    assert "| rnn | 25.0 | 0.1 |" in text
    assert "| lstm | 100.0 | 50.0 |" in text


def test_the_baseline_is_the_better_one_on_validation(results: Path) -> None:
    for name, validated in (("lstm_vs_gru", True), ("best_scratch", False)):
        sweep = results / name
        for seed, mistakes in enumerate((10, 11)):
            val = answers(mistakes) if validated else None
            put_run(sweep, network("gru", seed=seed), answers(mistakes), val)
        for kind, mistakes in (("logistic", 40), ("nb_svm", 30)):
            val = answers(mistakes) if validated else None
            put_baseline(sweep, answers(mistakes), val, kind)
    text = section(BASELINES)
    for name in ("lstm_vs_gru", "best_scratch"):
        row = line(text, f"`{name}`")
        assert "| 900 | 94.75 ± 0.35 | 85.00 | +9.75 points" in row
        assert "better" in row


def test_vectors_are_compared_with_none(results: Path) -> None:
    vectors = {"fingerprint": "1", "source": "word2vec"}
    for seed in (0, 1):
        put_run(results / "best_scratch", network("gru", seed=seed), answers(40 + seed), None)
        config = network("gru", seed=seed, embedding=EmbeddingConfig("word2vec"))
        put_run(results / "best_vectors", config, answers(10 + seed), None, vectors=vectors)
    text = section("How much do word vectors")
    assert line(text, "- skip-gram vectors of IMDB itself compared with random", "+15.00 points")
    assert "They also differ" not in text
    assert "Runs that would separate" not in text


def test_vectors_with_another_difference_are_confounded(results: Path) -> None:
    for name, wrong in (("best_scratch", 40), ("best_vectors", 10)):
        for config in experiment(name):
            vectors = {"fingerprint": "1", "source": "word2vec of 900 + 100 reviews"}
            more = {"vectors": vectors} if name == "best_vectors" else {}
            put_run(results / name, config, answers(wrong + config.seed), None, **more)
    text = section("How much do word vectors")
    sentence = line(text, "- skip-gram vectors of IMDB itself compared with random", "+15.00")
    assert "They also differ in data.augment.replace (0.15 and 0.3)" in sentence
    assert line(
        text, "`python train.py experiment=best_scratch embedding.kind=word2vec seed=0,1,2`"
    )
    assert line(text, "`python train.py experiment=best_vectors embedding.kind=random seed=0,1,2`")


@pytest.mark.parametrize("name", trained.EXPERIMENTS)
def test_each_section_names_the_command_of_its_runs(name: str) -> None:
    [group, *_] = variant_groups(read_runs(trained.RESULTS / name))
    networks = [variant for variant in group.variants if not variant.is_baseline]
    lines = [f"experiment={name}" + "".join(f" {word}" for word in line) for line in typed(name)]
    named = {command.removeprefix("python train.py ") for command in commands(name, networks)}
    assert lines[0] in named
    assert named <= {*lines}


def test_the_page_shows_the_command(results: Path) -> None:
    for config in experiment("lstm_vs_gru"):
        put_run(results / "lstm_vs_gru", config, answers(20), answers(20))
    text = section("LSTM or GRU?")
    assert line(text, "Trained by `python train.py experiment=lstm_vs_gru`.")


@pytest.mark.parametrize(
    ("fingerprint", "label"),
    [(next(iter(FILES_OF_VECTORS)), OF_IMDB), ("sha256-1", "GloVe vectors (vectors.txt)")],
)
def test_vectors_of_a_file_are_named(results: Path, fingerprint: str, label: str) -> None:
    vectors = {"fingerprint": fingerprint, "source": "vectors.txt"}
    for config in experiment("glove_bilstm", *typed("glove_bilstm")[0]):
        put_run(results / "glove_bilstm", config, answers(20), answers(20), vectors=vectors)
    assert overview.summary().rows[0][1] == f"bilstm, last, {label}"
    text = section("How accurate is a BiLSTM with word vectors")
    command = "experiment=glove_bilstm embedding.path=vectors.txt embedding.dim=128"
    assert line(text, f"Trained by `python train.py {command}`.")
    described = line(text, f"- bilstm-last: {label}")
    assert ("1,605 of the 2,000 validation reviews" in described) == (label == OF_IMDB)


def test_published_results_are_described_by_their_experiment(results: Path) -> None:
    for config in experiment("keras_lstm"):
        old = replace(config, reference=[])  # as in the records of results/
        put_run(results / "keras_lstm", old, answers(20), answers(20))
    text = section("How accurate is the Keras recipe?")
    published = line(text, "84.40 % for `encoder=lstm` and loss 0.4050")
    assert "25,000 labels, ours 900; 50,000 reviews in all, ours 1,300; trained once" in published
    assert overview.summary().rows[0][4] == "84.40 (25,000 labels)"


def test_networks_without_predictions_are_left_out(results: Path) -> None:
    put_pooling(results)
    for file in (results / "pooling").glob("lstm-max-s0-*/predictions.parquet"):
        file.unlink()
    text = section(POOLING)
    assert text.count("/predictions.parquet is missing") == 3  # one for each padding
    assert "- max" not in text
    assert "lstm, max" not in [row[1] for row in overview.summary().rows]


def test_several_matching_networks_are_refused(results: Path) -> None:
    for size in (8, 9):
        config = network("lstm")
        config.encoder.hidden_size = size
        put_run(results / "lstm_vs_gru", config, answers(size), answers(size))
    with pytest.raises(ValueError, match="only one"):
        section("LSTM or GRU?")


def test_the_model_card_by_hand(results: Path) -> None:
    for seed in (0, 1):
        put_run(results / "best_scratch", network("gru", seed=seed), answers(20 + 2 * seed), None)
    for kind, mistakes in (("logistic", 44), ("nb_svm", 40)):
        put_baseline(results / "best_scratch", answers(mistakes), None, kind)
        put_baseline(results / "lstm_vs_gru", answers(mistakes), answers(mistakes), kind)
    put_run(results / "lstm_vs_gru", network("gru"), answers(50), answers(50))
    data = {"vocabulary": 10_000, "unknown_share": 0.05, "truncated_share": 0.1}
    for folder in (results / "best_scratch").glob("*-s?-*"):
        amend(folder, lambda record: record["data"].update(data))
    blocks = model_card()
    text = page.markdown(blocks)
    assert line(text, "`gru`", "128 units", "1,412,225 parameters", "5 MiB")
    assert "| accuracy % | 89.50 ± 0.71 |" in text
    # The first predictions are the mistakes, and the first reviews the shortest: 21 of 40.
    [*_, by_length] = [block for block in blocks if isinstance(block, Table)]
    assert [by_length.rows[0], by_length.rows[-1]] == [
        ["1 to 40", "47.50"],
        ["161 to 200", "100.00"],
    ]
    assert "experiment=best_scratch seed=0" in text
    assert line(text, "ngrams-nb_svm", "80.00 %", "+9.50 points")
