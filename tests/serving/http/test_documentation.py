"""The examples of docs/service.md, sent to a service."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lstm_sentiment.serving.http.settings import Settings
from tests.support.project import ROOT
from tests.support.service import RunningService

PAGE = (ROOT / "docs" / "service.md").read_text()
URL = f"http://127.0.0.1:{Settings().port}"


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_the_examples_of_the_shell(service: RunningService, tmp_path: Path) -> None:
    printed = ""
    for example in examples("bash"):
        result = subprocess.run(
            ["bash", "-e", "-c", example.replace(URL, service.url)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        printed += f"{result.stdout}\n" if result.stdout else ""
    first, *rows = filter(None, printed.splitlines())
    assert len(json.loads(first)["predictions"]) == 2
    assert rows == (tmp_path / "labelled.csv").read_text().splitlines()
    assert rows[0] == "id,text,label,probability"
    token = tmp_path / "token"
    assert len(token.read_text().strip()) >= 16
    assert token.stat().st_mode & 0o077 == 0


def test_the_example_in_python(service: RunningService, capsys: pytest.CaptureFixture[str]) -> None:
    [example] = examples("python")
    exec(example.replace(URL, service.url), {})
    first, *tokens = capsys.readouterr().out.splitlines()
    assert first.split()[0] in ("negative", "positive")
    assert [line.split()[0] for line in tokens] == ["the", "film", "is", "not", "good", "."]


def test_the_page_lists_every_option_and_route(service: RunningService) -> None:
    from lstm_sentiment.commands.main import build_parsers

    _, commands = build_parsers()
    for action in commands["serve"]._actions:
        for option in action.option_strings:
            if option.startswith("--") and option != "--help":
                assert f"`{option}" in PAGE
                if isinstance(action.default, int | float) and action.nargs != 0:
                    default = int(action.default)
                    assert re.search(rf"`{option} \w+` \| {default} \|", PAGE), option
    for path, methods in service.client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path.replace('{name}', 'NAME')}`" in PAGE
    for name in re.findall(r"`(lstm_sentiment_\w+)`", PAGE):
        assert f"# TYPE {name}" in service.client.get("/metrics").text
