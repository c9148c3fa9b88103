"""Fixtures of all tests of scripts."""

import runpy
import sys
from collections.abc import Iterator

import pytest

from lstm_sentiment.model.subnormals import are_subnormals_flushed, flush_subnormals
from tests.support.project import CommandResult, RunCommand


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunCommand:
    """Return a function that runs `python -m MODULE ...` in this process."""

    def command(module: str, *arguments: str) -> CommandResult:
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        monkeypatch.delitem(sys.modules, module, raising=False)  # of other tests
        code: str | int | None = 0
        try:
            runpy.run_module(module, run_name="__main__")
        except SystemExit as stop:
            code = stop.code
        text = "".join(capsys.readouterr())
        # Python prints a message and exits with 1.
        return (
            CommandResult(1, text + code)
            if isinstance(code, str)
            else CommandResult(code or 0, text)
        )

    return command


@pytest.fixture(autouse=True)
def subnormals_as_before() -> Iterator[None]:
    """A benchmark sets the mode of its own process, which tests share with others."""
    yield
    if are_subnormals_flushed():
        flush_subnormals(False)
