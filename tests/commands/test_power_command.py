"""`lstm-sentiment power`: its table, and inputs that are not possible."""

from pathlib import Path

import pytest

from lstm_sentiment.commands.main import main
from tests.support.records import DATA, answers, network, put, put_baseline, put_run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Return two networks with three seeds each."""
    for cell, mistakes in (("lstm", (10, 14, 12)), ("gru", (20, 24, 19))):
        for seed, wrong in enumerate(mistakes):
            put_run(tmp_path, network(cell, seed=seed), answers(wrong), answers(wrong))
    return tmp_path


def rows(output: str) -> list[list[str]]:
    """Return the cells of the rows of the tables."""
    return [words for line in output.splitlines() if (words := line.split()) and "%" in words[:3]]


def test_the_power_of_usual_differences_is_printed(runs: Path, capsys: Capture) -> None:
    assert main(["power", str(runs)]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0] == "imdb: 900 train, 200 val, 200 test"
    assert [row[0] for row in rows(text)] == ["0.5", "1"]
    assert "each with 3 seeds, on 200 test reviews" in text
    assert "for a power of 80 %" in text


def test_differences_and_the_power_may_be_chosen(runs: Path, capsys: Capture) -> None:
    words = ["--difference", "2", "--difference", "30", "--difference", "2", "--power", "0.9"]
    assert main(["power", *words, str(runs)]) == 0
    text = capsys.readouterr().out
    (first, *_), (second, share, *_) = rows(text)
    assert (first, second, share) == ("2", "30", ">99.9")
    assert "for a power of 90 %" in text


def test_each_data_set_has_a_table(runs: Path, capsys: Capture) -> None:
    other = DATA | {"source": "reviews", "fingerprint": "2"}
    put_run(runs, network("rnn"), answers(10), answers(10), data=other)
    untested = other | {"fingerprint": "3", "test": None}
    put_run(runs, network("rnn", seed=1), None, answers(10), data=untested)
    assert main(["power", str(runs)]) == 0
    text = capsys.readouterr().out
    titles = [line for line in text.splitlines() if " train, " in line]
    assert [title.split(":")[0] for title in titles] == ["imdb", "reviews"]
    assert "only one network" in text


@pytest.mark.parametrize("value", ["0", "-1", "100", "200", "nan", "inf"])
def test_a_difference_is_between_0_and_100(runs: Path, value: str, capsys: Capture) -> None:
    assert main(["power", str(runs), f"--difference={value}"]) == 2
    message = f"--difference must be above 0 and below 100 points (got {value}).\n"
    assert capsys.readouterr() == ("", message)


@pytest.mark.parametrize("value", ["0", "1", "80", "nan", "-0.5"])
def test_the_power_is_a_share(runs: Path, value: str, capsys: Capture) -> None:
    assert main(["power", str(runs), f"--power={value}"]) == 2
    assert capsys.readouterr() == ("", f"--power must be from 0.1 to 0.999 (got {value}).\n")


def test_without_tested_networks_there_is_no_power(tmp_path: Path, capsys: Capture) -> None:
    put_run(tmp_path, network("rnn"), None, answers(10))
    put_baseline(tmp_path, answers(20), answers(20))
    put(tmp_path / "gru-max-s0-1", config={"schema": 1, "choices": {}, "config": {}})
    assert main(["power", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"{tmp_path} has no finished network with test predictions")


def test_a_folder_without_runs_is_named(tmp_path: Path, capsys: Capture) -> None:
    assert main(["power", str(tmp_path / "none")]) == 1
    assert "none" in capsys.readouterr().err
