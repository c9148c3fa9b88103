"""`lstm-sentiment serve`: its options, and what it refuses before it listens."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lstm_sentiment.commands import serve
from lstm_sentiment.commands.main import main
from lstm_sentiment.serving.http import server
from lstm_sentiment.serving.http.settings import MIB, Settings

TOKEN = "0123456789abcdef"
Started = list[tuple[list[Path], Settings, bool]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Return the arguments of all services that are started, in place of starting them."""
    monkeypatch.delenv(serve.TOKEN, raising=False)
    calls: Started = []
    stand_in: Callable[..., Any] = lambda runs, settings, log_requests: calls.append(  # noqa: E731
        (runs, settings, log_requests)
    )
    monkeypatch.setattr(server, "serve", stand_in)
    return calls


def test_the_defaults_are_those_of_the_settings(started: Started) -> None:
    assert main(["serve", "a", "b"]) == 0
    assert started == [([Path("a"), Path("b")], Settings(), True)]


def test_the_options(started: Started, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    words = ["serve", "a", "--host", "0.0.0.0", "--port", "1", "--token-file", str(token)]
    words += ["--batch-size", "8", "--batch-wait", "2.5", "--queue-size", "9", "--max-texts", "10"]
    words += ["--max-characters", "11", "--max-body", "12", "--max-file", "13", "--timeout", "14"]
    words += ["--threads", "1"]
    words += ["--origin", "https://a.org", "--origin", "https://b.org", "--no-access-log"]
    assert main(words) == 0
    [(_, settings, log_requests)] = started
    assert settings == Settings(
        host="0.0.0.0",
        port=1,
        token=TOKEN,
        origins=("https://a.org", "https://b.org"),
        threads=1,
        batch_size=8,
        batch_wait=0.0025,
        queue_size=10,  # a request of the largest size must fit
        max_texts=10,
        max_characters=11,
        max_body=12 * MIB,
        max_file=13 * MIB,
        timeout=14,
    )
    assert not log_requests


def test_the_environment_may_give_the_token(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(serve.TOKEN, TOKEN)
    assert main(["serve", "a", "--host", "0.0.0.0"]) == 0
    assert main(["serve", "a", "--no-token"]) == 0
    assert [settings.token for _, settings, _ in started] == [TOKEN, None]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--host", "0.0.0.0"], 2, "--host 0.0.0.0 lets other machines send requests"),
        (["--port", "70000"], 2, "--port must be a number from 0 to 65535 (got 70000)."),
        (["--batch-size", "0"], 2, "--batch-size must be at least 1 (got 0)."),
        (["--threads", "0"], 2, "--threads must be 1 to "),
        (["--threads", "99999"], 2, "the number of cores (got 99999)."),
        (["--timeout", "nan"], 2, "--timeout must be at least 1 (got nan)."),
        (["--batch-wait", "-1"], 2, "--batch-wait must be at least 0 (got -1.0)."),
        (["--token-file", "missing"], 1, "missing cannot be read"),
        (["--token-file", "short"], 1, "at least 16 printable ASCII characters (got 3)."),
        (["--token-file", "short", "--no-token"], 2, "either --token-file or --no-token"),
    ],
)
def test_wrong_options_are_refused(
    started: Started,
    words: list[str],
    code: int,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short").write_text("abc")
    assert main(["serve", "a", *words]) == code
    assert sentence in capsys.readouterr().err
    assert not started


def test_without_the_extra_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lstm_sentiment.serving.http.server", None)
    assert main(["serve", "a"]) == 1
    assert 'pip install "lstm_sentiment[serve]"' in capsys.readouterr().err


def test_a_folder_without_a_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(tmp_path / "a" / "run"), str(tmp_path / "b" / "run")]) == 1
    assert "have the same name, run" in capsys.readouterr().err
