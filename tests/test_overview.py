import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib import image
from rich.console import Console

from lstm_sentiment.cli import main
from lstm_sentiment.config import DataConfig, Padding, Source
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.errors import InputError
from lstm_sentiment.report.overview import length_histogram, overview, typed_configs

Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(rows: list[tuple[str, int]], name: str = "films.csv") -> Path:
        with (tmp_path / name).open("w", newline="") as stream:
            csv.writer(stream).writerows([("text", "label"), *rows])
        return tmp_path / name

    return write


def shown(file: Path, cache: str, **fields: object) -> str:
    config = DataConfig("reviews", path=str(file), cache=cache, batch_size=1, **fields)  # type: ignore[arg-type]
    data = ReviewDataModule(config)
    data.setup()
    console = Console(width=120, file=io.StringIO())
    console.print(overview(data))
    return console.file.getvalue()  # type: ignore[attr-defined]


def cells(text: str, first: str, number: int = 0) -> list[str]:
    """The row of a table that begins with a word."""
    lines = [line.split() for line in text.splitlines() if line.split()[:1] == [first]]
    return lines[number]


def test_the_sizes_of_a_worked_example(written: Written, cache: str) -> None:
    train = written([("good " * 4, 1), ("bad " * 2, 0), ("good bad", 1)])
    test = written([("good new new", 1), ("dull", 0)], "test.csv")
    text = shown(train, cache, test_path=str(test), val_fraction=0, max_length=3)
    assert text.splitlines()[0] == "films.csv"
    # reviews, positive, median, mean, 95 %, longest, cut at 3, unknown
    assert cells(text, "train") == "train 3 66.7% 2 3 4 4 33.3% 0.00%".split()
    assert cells(text, "test") == "test 2 50.0% 2 2 3 3 0.0% 75.00%".split()
    assert "4 words are known" in text


def test_copies_are_counted_inside_and_across(written: Written, cache: str) -> None:
    train = written([("a b", 1), ("a b", 1), ("a b", 0), ("c", 0)])
    test = written([("a b", 1), ("c", 0), ("c", 0), ("d", 1)], "test.csv")
    text = shown(train, cache, test_path=str(test), val_fraction=0)
    assert cells(text, "train", 1) == ["train", "2", "4"]
    assert cells(text, "test", 1) == ["test", "1", "3"]


def test_examples_are_tokens_with_the_ids_of_the_network(written: Written, cache: str) -> None:
    file = written([("Good film!", 1), ("Good " + "grief " * 30, 0)])
    test = written([("x", 1), ("y", 0)], "test.csv")
    text = shown(file, cache, test_path=str(test), val_fraction=0, max_vocab=4).replace("\n", " ")
    assert "positive, row 1: good 3 film 1 ! 1" in text
    assert "negative, row 2: good 3 grief 2 grief 2" in text
    assert "... and 7 more" in text


def test_what_was_held_out_is_said(written: Written, cache: str) -> None:
    file = written([(f"film {number}", number % 2) for number in range(20)])
    text = shown(file, cache, test_fraction=0.25, val_fraction=0.25)
    assert "25% of them were drawn for test" in text
    # Of each label: a quarter of ten, rounded, and then of the eight that are left.
    assert [cells(text, part)[1] for part in ("train", "val", "test")] == ["12", "4", "4"]


def test_the_histogram_draws_shares_of_each_split(written: Written, cache: str) -> None:
    train = written([("a " * 10, 1), ("b " * 10, 0), ("c " * 40, 1), ("d " * 40, 0)])
    test = written([("a " * 20, 1), ("b " * 20, 0)], "test.csv")
    config = DataConfig(
        "reviews", path=str(train), test_path=str(test), cache=cache, batch_size=1,  # type: ignore[arg-type]
        val_fraction=0, max_length=30,
    )  # fmt: skip
    data = ReviewDataModule(config)
    data.setup()
    (axes,) = length_histogram(data).axes
    drawn = {patch.get_label(): patch.get_path().vertices for patch in axes.patches}
    assert [label for label in drawn if not str(label).startswith("_")] == [
        "train, 4 reviews",
        "test, 2 reviews",
    ]
    assert drawn["train, 4 reviews"][:, 1].max() == 50
    assert drawn["test, 2 reviews"][:, 1].max() == 100
    assert [line.get_xdata()[0] for line in axes.lines] == [30]


def test_the_command_shows_and_draws(
    written: Written, tmp_path: Path, cache: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written([(f"film number {number}", number % 2) for number in range(20)])
    assert main(["data", str(file), f"data.cache={cache}", "-o", str(tmp_path / "out")]) == 0
    assert "film" in capsys.readouterr().out
    assert image.imread(tmp_path / "out" / "films_csv_lengths.png").std() > 0.01


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing.csv"], "data.path=nothing.csv is no file"),
        (["data.length=3"], "Could not override 'data.length'"),
        (["synthetic", "data.max_length=0"], "data.max_length=0 is not allowed"),
        (["synthetic", "data.max_length=long"], "Value 'long' of type 'str'"),
        (["synthetic", "data.max_length=[3"], "data.max_length=[3"),
        (["data=books"], "data/books"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", *words, f"data.cache={tmp_path}/cache"]) == 1
    output = capsys.readouterr()
    assert said in output.err
    assert output.err.count("\n") == 1
    assert not [*tmp_path.iterdir()]


def test_data_and_fields_mean_what_they_mean_for_training(tmp_path: Path) -> None:
    films = tmp_path / "films.csv"
    films.touch()
    first, second = typed_configs([str(films), "synthetic", "data.padding=keras", "test=false"])
    assert (first.data.source, first.data.path) == (Source.reviews, str(films))
    assert second.data.source is Source.synthetic
    assert {config.data.padding for config in (first, second)} == {Padding.keras}
    assert not first.test
    (folder,) = typed_configs([str(tmp_path)])
    (kaggle,) = typed_configs(["some/IMDB Dataset.csv"])
    assert {folder.data.source, kaggle.data.source} == {Source.imdb}
    (fields,) = typed_configs(["data=reviews", "data.path=a.csv", "data.positive_label=5"])
    assert (fields.data.path, fields.data.positive_label) == ("a.csv", "5")


def test_a_name_with_an_equals_sign_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a=b.csv"
    file.touch()
    (config,) = typed_configs([str(file)])
    assert config.data.path == str(file)


def test_without_data_it_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as end:
        main(["data"])
    assert end.value.code == 2
    with pytest.raises(InputError, match="data=reviews needs"):
        typed_configs(["data=reviews"])
