"""`lstm-sentiment data`: sizes, copies, examples and the plot of the lengths."""

import io
from pathlib import Path

import pytest
from matplotlib import image
from rich.console import Console

from lstm_sentiment.commands.data import parse_data
from lstm_sentiment.commands.data_overview import length_histogram, overview
from lstm_sentiment.commands.main import main
from lstm_sentiment.config import DataConfig, Padding, Source
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.errors import InputError
from tests.support.tables import write_rows


def load(file: Path, cache: str, **fields: object) -> ReviewDataModule:
    config = DataConfig("reviews", path=str(file), cache=cache, batch_size=1, **fields)  # type: ignore[arg-type]
    data = ReviewDataModule(config)
    data.setup()
    return data


def printed(file: Path, cache: str, **fields: object) -> str:
    stream = io.StringIO()
    Console(width=120, file=stream).print(overview(load(file, cache, **fields)))
    return stream.getvalue()


def cells(text: str, first: str, number: int = 0) -> list[str]:
    """Return the cells of the table row that begins with a word; `number` counts such rows."""
    lines = [line.split() for line in text.splitlines() if line.split()[:1] == [first]]
    return lines[number]


def test_the_sizes_of_the_splits(tmp_path: Path, cache: str) -> None:
    train = write_rows(tmp_path / "films.csv", [("good " * 4, 1), ("bad " * 2, 0), ("good bad", 1)])
    test = write_rows(tmp_path / "test.csv", [("good new new", 1), ("dull", 0)])
    text = printed(train, cache, test_path=str(test), val_fraction=0, max_length=3)
    assert text.splitlines()[0] == "films.csv"
    # split, reviews, positive, median, mean, 95 %, longest, truncated, unknown
    assert cells(text, "train") == "train 3 66.7% 2 3 4 4 33.3% 0.00%".split()
    assert cells(text, "test") == "test 2 50.0% 2 2 3 3 0.0% 75.00%".split()
    assert "Tokenizer: basic_english. Vocabulary: 4 words" in text


def test_the_tokenizer_and_its_subwords_are_shown(tmp_path: Path, cache: str) -> None:
    train = write_rows(tmp_path / "films.csv", [("film 好看", 1), ("film 不好看", 0)] * 3)
    fields = {"test_path": str(train), "val_fraction": 0, "tokenizer": "bpe", "max_vocab": 20}
    text = printed(train, cache, **fields)
    assert "Tokenizer: bpe. Vocabulary: " in text
    assert " subwords, learned from train; ▁ marks the start of a word." in text
    assert "▁film" in text


def test_the_classes_of_the_splits(tmp_path: Path, cache: str) -> None:
    def rows(split: str, counts: dict[str, int]) -> list[tuple[str, str]]:
        return [(f"{split} {k} {n}", k) for k, count in counts.items() for n in range(count)]

    train = write_rows(tmp_path / "films.csv", rows("train", {"9": 3, "10": 5, "1": 2}))
    test = write_rows(tmp_path / "test.csv", rows("test", {"9": 1, "1": 3}))
    text = printed(train, cache, test_path=str(test), val_fraction=0)
    assert "largest class" in text
    assert [cells(text, split)[2] for split in ("train", "test")] == ["50.0%", "75.0%"]
    assert cells(text, "1") == "1 2 (20.0%) 3 (75.0%)".split()
    assert cells(text, "9") == "9 3 (30.0%) 1 (25.0%)".split()
    assert cells(text, "10") == "10 5 (50.0%) 0 (0.0%)".split()
    examples = [line.split(",")[0] for line in text.splitlines() if ", row " in line]
    assert examples == ["1", "9", "10"]


def test_of_many_classes_the_largest_are_shown(tmp_path: Path, cache: str) -> None:
    rows = [(f"{k} {n}", k) for k in range(30) for n in range(2 + (k >= 20))]
    train = write_rows(tmp_path / "films.csv", rows)
    test = write_rows(tmp_path / "test.csv", [("a", 0), ("b", 1)])
    text = printed(train, cache, test_path=str(test), val_fraction=0)
    assert cells(text, "20") == "20 3 (4.3%) 0 (0.0%)".split()
    assert not [line for line in text.splitlines() if line.split()[:1] == ["19"]]
    assert "20 others" in text
    assert text.count(", row ") == 10


def test_copies_are_counted_within_and_across_splits(tmp_path: Path, cache: str) -> None:
    train = write_rows(tmp_path / "films.csv", [("a b", 1), ("a b", 1), ("a b", 0), ("c", 0)])
    test = write_rows(tmp_path / "test.csv", [("a b", 1), ("c", 0), ("c", 0), ("d", 1)])
    text = printed(train, cache, test_path=str(test), val_fraction=0)
    assert cells(text, "train", 1) == ["train", "2", "4"]
    assert cells(text, "test", 1) == ["test", "1", "3", "0"]


def test_copies_in_another_spelling_are_counted(tmp_path: Path, cache: str) -> None:
    rows = [("It's fine", 1), ("it’s<br />FINE", 1), ("so  dull", 0), ("so dull", 0)]
    train = write_rows(tmp_path / "films.csv", rows)
    test = write_rows(tmp_path / "test.csv", [("It's FINE ", 1), ("dull", 0)])
    text = printed(train, cache, test_path=str(test), val_fraction=0)
    assert cells(text, "train", 1) == ["train", "2", "2"]
    assert cells(text, "test", 1) == ["test", "0", "1", "0"]
    assert "1 of the 2 test reviews are copies" in text.replace("\n", " ")


def test_examples_are_tokens_with_their_ids(tmp_path: Path, cache: str) -> None:
    file = write_rows(tmp_path / "films.csv", [("Good film!", 1), ("Good " + "grief " * 30, 0)])
    test = write_rows(tmp_path / "test.csv", [("x", 1), ("y", 0)])
    text = printed(file, cache, test_path=str(test), val_fraction=0, max_vocab=4).replace("\n", " ")
    assert "positive, row 1: good 3 film 1 ! 1" in text
    assert "negative, row 2: good 3 grief 2 grief 2" in text
    assert "... and 7 more" in text


def test_a_test_set_drawn_from_the_reviews_is_noted(tmp_path: Path, cache: str) -> None:
    file = write_rows(
        tmp_path / "films.csv", [(f"film {number}", number % 2) for number in range(20)]
    )
    text = printed(file, cache, test_fraction=0.25, val_fraction=0.25)
    assert "no test set: 25% of them" in text
    # Of each class: a quarter of ten reviews, rounded, then a quarter of the remaining eight.
    assert [cells(text, part)[1] for part in ("train", "val", "test")] == ["12", "4", "4"]


def test_the_histogram_plots_percentages_of_each_split(tmp_path: Path, cache: str) -> None:
    train = write_rows(
        tmp_path / "films.csv", [("a " * 10, 1), ("b " * 10, 0), ("c " * 40, 1), ("d " * 40, 0)]
    )
    test = write_rows(tmp_path / "test.csv", [("a " * 20, 1), ("b " * 20, 0)])
    data = load(train, cache, test_path=str(test), val_fraction=0, max_length=30)
    (axes,) = length_histogram(data).axes
    curves = {patch.get_label(): patch.get_path().vertices for patch in axes.patches}
    assert [label for label in curves if not str(label).startswith("_")] == [
        "train, 4 reviews",
        "test, 2 reviews",
    ]
    assert curves["train, 4 reviews"][:, 1].max() == 50
    assert curves["test, 2 reviews"][:, 1].max() == 100
    assert [line.get_xdata()[0] for line in axes.lines] == [30]


def test_the_command_prints_the_overview_and_writes_the_plot(
    tmp_path: Path, cache: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(f"film number {number}", number % 2) for number in range(20)]
    file = write_rows(tmp_path / "films.csv", rows)
    assert main(["data", str(file), f"data.cache={cache}", "-o", str(tmp_path / "out")]) == 0
    assert "film" in capsys.readouterr().out
    assert image.imread(tmp_path / "out" / "films_csv_lengths.png").std() > 0.01


def test_the_command_says_what_was_guessed_and_left_out(
    tmp_path: Path, cache: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"film number {number};{number % 2}\n" for number in range(20))
    file = tmp_path / "films.csv"
    file.write_text(f"text;label\n{rows};1\n", encoding="utf-16")
    words = ["data", "-o", str(tmp_path), str(file), f"data.cache={cache}"]
    assert main(words) == 1
    assert "row 21: the text is missing" in capsys.readouterr().err
    assert main([*words, "data.missing=skip", "data.delimiter=semicolon"]) == 0
    output = capsys.readouterr().out
    assert "films.csv: Guessed from the file: data.encoding=utf-16-le." in output
    assert "films.csv: 1 of 21 rows were left out" in output


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (["nothing.csv"], "data.path=nothing.csv"),
        (["data.length=3"], "data.length is not a field"),
        (["synthetic", "data.max_length=0"], "data.max_length"),
        (["synthetic", "data.max_length=long"], "Value 'long' of type 'str'"),
        (["synthetic", "data.max_length=[3"], "data.max_length=[3"),
        (["data=books"], "data/books"),
    ],
)
def test_invalid_settings_are_refused_in_one_line(
    words: list[str],
    fact: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", *words, f"data.cache={tmp_path}/cache"]) == 1
    output = capsys.readouterr()
    assert fact in output.err
    assert output.err.count("\n") == 1
    assert not [*tmp_path.iterdir()]


def test_each_data_gives_a_configuration_with_all_fields(tmp_path: Path) -> None:
    films = tmp_path / "films.csv"
    films.touch()
    first, second = parse_data([str(films), "synthetic", "data.padding=keras", "test=false"])
    assert (first.data.source, first.data.path) == (Source.reviews, str(films))
    assert second.data.source is Source.synthetic
    assert {config.data.padding for config in (first, second)} == {Padding.keras}
    assert not first.test
    (folder,) = parse_data([str(tmp_path)])
    (kaggle,) = parse_data(["some/IMDB Dataset.csv"])
    assert {folder.data.source, kaggle.data.source} == {Source.imdb}
    (fields,) = parse_data(["data=reviews", "data.path=a.csv", "data.positive_label=5"])
    assert (fields.data.path, fields.data.positive_label) == ("a.csv", "5")


def test_a_file_name_may_contain_an_equals_sign(tmp_path: Path) -> None:
    file = tmp_path / "a=b.csv"
    file.touch()
    (config,) = parse_data([str(file)])
    assert config.data.path == str(file)


def test_a_source_without_a_path_is_refused() -> None:
    with pytest.raises(InputError, match="data=reviews.*data.path"):
        parse_data(["data=reviews"])
