"""The program `lstm-sentiment`: help, completion, exit codes and the order of arguments."""

import argparse
import signal
import subprocess
import sys

import pytest

from lstm_sentiment.commands import main as program
from lstm_sentiment.commands.main import COMMANDS, build_parser, main
from lstm_sentiment.errors import InputError

Capture = pytest.CaptureFixture[str]
NAMES = [command.__name__.rpartition(".")[2] for command in COMMANDS]
HEAVY = (
    "torch",
    "lightning",
    "matplotlib",
    "sklearn",
    "scipy",
    "pyarrow",
    "numpy",
    "hydra",
    "shtab",
)


def exit_code(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize("name", ["", *NAMES])
def test_every_help_has_a_description_and_an_example(name: str, capsys: Capture) -> None:
    assert exit_code(*filter(None, [name]), "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"example: lstm-sentiment {name}" in text.replace("examples:", "example:")


def test_all_commands_are_listed(capsys: Capture) -> None:
    assert exit_code("--help") == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert [word for word in listed if word in NAMES] == NAMES


def test_the_parser_imports_no_large_package() -> None:
    """Help and completion must not take seconds."""
    code = (
        "import sys; from lstm_sentiment.commands.main import build_parser; build_parser();"
        f"print(*[name for name in {HEAVY} if name in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.split() == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_completion_script_knows_all_commands(shell: str, capsys: Capture) -> None:
    assert exit_code("--print-completion", shell) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in NAMES)
    assert shell == "tcsh" or "positive-label" in script  # tcsh completes commands only


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["predict"],
        ["predict", "RUN", "a", "--loud"],
        ["evaluate", "RUN"],
        ["explain", "RUN", "a", "b"],
        ["export", "RUN"],
        ["data"],
        ["train"],
        ["--print-completion", "cmd"],
    ],
)
def test_wrong_usage_exits_with_2(words: list[str], capsys: Capture) -> None:
    assert exit_code(*words) == 2
    assert "usage: lstm-sentiment" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("data.max_length must be at least 1."), 1, "data.max_length must be"),
        (KeyboardInterrupt(), 128 + signal.SIGINT, "Interrupted."),
    ],
)
def test_errors_have_an_exit_code_and_one_line(
    error: BaseException,
    code: int,
    message: str,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: argparse.Namespace) -> None:
        raise error

    monkeypatch.setattr(program.status, "run", fail)
    assert main(["status", "runs"]) == code
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(message)
    assert output.err.count("\n") == 1


def test_a_reader_that_closes_the_pipe_gets_no_traceback() -> None:
    """As with `| head`: the output is far larger than what a pipe holds."""
    code = (
        "import sys; from lstm_sentiment.commands import main as program\n"
        "program.status.run = lambda _: print('line\\n' * 1_000_000)\n"
        "sys.exit(program.main(['status', 'runs']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 128 + signal.SIGPIPE
    assert errors == ""


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "--json", "b"], ["a", "b"]),
        (["--json", "a"], ["a"]),
        (["a", "--json", "--", "-5 stars", "--json"], ["a", "-5 stars", "--json"]),
        (["--json"], []),
    ],
)
def test_texts_may_follow_options(words: list[str], texts: list[str]) -> None:
    options = program._parse(build_parser(), ["predict", "RUN", *words])
    assert options.texts == texts
    assert options.json == ("--json" in words[: words.index("--") if "--" in words else None])
