"""The program `lstm-sentiment`: help, completion, exit codes and the order of arguments."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lstm_sentiment import __version__
from lstm_sentiment.commands import main as program
from lstm_sentiment.commands import signals
from lstm_sentiment.commands.main import build_parsers, main
from lstm_sentiment.errors import InputError
from tests.support.project import ROOT

Capture = pytest.CaptureFixture[str]
NAMES = [*build_parsers()[1]]
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


@pytest.mark.parametrize("name", ["", *NAMES[1:]])  # Hydra prints the help of train
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
        "import sys; from lstm_sentiment.commands.main import build_parsers; build_parsers();"
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
    if shell != "tcsh":
        assert "--multirun" in script
        assert "encoder=bilstm" in script.replace("\\", "")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["predict"],
        ["predict", "RUN", "a", "--loud"],
        ["evaluate", "RUN"],
        ["explain", "RUN", "a", "b"],
        ["export"],
        ["export", "RUN", "--format", "onnx"],
        ["data"],
        ["learn"],
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


@pytest.mark.parametrize("path", ["loop", "loop/x", "n" * 300, "n" * 300 + "/x"])
def test_a_path_that_cannot_exist_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    for words in (
        ["status", path],
        ["report", path],
        ["evaluate", path, "--file", "reviews.csv"],
        ["explain", "RUN", "text", "-o", path],
        ["data", "imdb", f"data.path={path}"],
        ["baseline", "--config-dir", path],
    ):
        assert main(words) == 1
        out, error = capsys.readouterr()
        assert out == ""
        assert path in error or path[:100] in error
        assert len(error.splitlines()) == 1


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
        (["RUN", "a", "b"], ["a", "b"]),
        (["RUN", "a", "--json", "b"], ["a", "b"]),
        (["RUN", "--json", "a"], ["a"]),
        (["--json", "RUN", "a"], ["a"]),
        (["RUN", "a", "--json", "--", "-5 stars", "--json"], ["a", "-5 stars", "--json"]),
        (["RUN", "--json"], []),
    ],
)
def test_texts_may_follow_options(words: list[str], texts: list[str]) -> None:
    options = program._parse(["predict", *words])
    assert (options.run.name, options.texts) == ("RUN", texts)
    assert options.json == ("--json" in words[: words.index("--") if "--" in words else None])


@pytest.mark.parametrize(
    "words",
    [
        "status RUNS",
        "report -o DIR RUNS",
        "data X -o DIR data.limit_train=3 -cd conf Y",
        "baseline head=max -cd conf seed=1",
        "predict --column text RUN a -o OUT.csv b",
        "evaluate RUN --file F OTHER --json",
        "explain -o OUT.html RUN text",
        "export -o DIR RUN --int8",
    ],
)
def test_options_may_stand_anywhere(words: str) -> None:
    """Every order of options and arguments is understood like options first."""
    name, *rest = words.split()
    options = [word for word in rest if word.startswith("-")]
    flags = {"--json", "--int8"}
    pairs = [[o] if o in flags else [o, rest[rest.index(o) + 1]] for o in options]
    values = {word for pair in pairs for word in pair}
    arguments = [word for word in rest if word not in values]
    first = program._parse([name, *(word for pair in pairs for word in pair), *arguments])
    assert program._parse([name, *rest]) == first


def test_export_needs_no_option_for_its_only_format() -> None:
    options = program._parse(["export", "RUN"])
    assert options.run == program._parse(["export", "RUN", "--onnx"]).run


def test_the_version_is_printed(capsys: Capture) -> None:
    assert exit_code("--version") == 0
    assert capsys.readouterr().out == f"lstm-sentiment {__version__}\n"


def test_the_package_is_the_program(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "lstm_sentiment", "status", "nowhere"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("nowhere ")


def test_a_signal_during_a_call_from_c_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """C ignores exceptions of the functions that it calls, such as `__del__`."""

    class Signalling:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    def command() -> None:
        Signalling()
        time.sleep(5)
        pytest.fail("the signal was lost")

    monkeypatch.setattr(signals, "LAST_RESORT", 3600)
    with pytest.raises(SystemExit) as end, signals.exit_on_signals(signal.SIGTERM):
        command()
    assert end.value.code == 128 + signal.SIGTERM


def test_sigterm_runs_the_cleanup_of_a_command(tmp_path: Path) -> None:
    """As `kill` sends it: drafts and other temporary files are removed."""
    code = (
        "import os, signal, sys, time; from lstm_sentiment.commands import main as program\n"
        "from pathlib import Path; from lstm_sentiment.files.writing import file_draft\n"
        "def write(options):\n"
        "    with file_draft(Path('labelled.csv')) as draft:\n"
        "        draft.touch(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)\n"
        "program.status.run = write; sys.exit(program.main(['status', 'runs']))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, timeout=60)
    assert result.returncode == 128 + signal.SIGTERM
    assert [*tmp_path.iterdir()] == []
