"""The display on a terminal: messages, progress bars and progress lines."""

import io
import re
import time
from contextlib import ExitStack

import pytest
from rich.console import Console

from lstm_sentiment.commands import terminal
from lstm_sentiment.commands.terminal import (
    Terminal,
    TextConsole,
    WarningsOnly,
    display_of_run,
    print_text,
    ranking_table,
)
from lstm_sentiment.display import Display, duration, progress_text, track


class Clock:
    """Stands for `time.monotonic`; time passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(terminal.time, "monotonic", clock.monotonic)
    return clock


def file_console(is_terminal: bool = False) -> Console:
    """Return a console like that of the package which writes into memory."""
    return TextConsole(file=io.StringIO(), force_terminal=is_terminal, soft_wrap=True, width=100)


def printed(console: Console) -> str:
    """Return what the console has printed, without control sequences."""
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", console.file.getvalue())


@pytest.mark.parametrize(
    ("text", "style", "line"),
    [
        ("plain", "", "plain"),
        ("[red]no markup[/] [/]", "", "[red]no markup[/] [/]"),
        ("a file [1].csv :dog:", "warning", "warning a file [1].csv :dog:"),
        ("ends in \\", "failed", "failed ends in \\"),
        ("long " * 100, "", "long " * 100),
    ],
)
@pytest.mark.parametrize("is_terminal", [False, True])
def test_messages_are_printed_literally(
    text: str, style: str, line: str, is_terminal: bool
) -> None:
    console = file_console(is_terminal)
    Terminal(console, "[run]  ").message(text, style)
    assert printed(console) == f"[run]  {line}\n"


def test_styles_are_coloured_on_a_terminal() -> None:
    console = file_console(is_terminal=True)
    Terminal(console).message("text", "warning")
    assert isinstance(console.file, io.StringIO)
    assert "\x1b[33mwarning" in console.file.getvalue()


def test_without_a_terminal_progress_is_a_line_every_30_seconds(clock: Clock) -> None:
    console = file_console()
    with Terminal(console, "run  ").progress("[b]reading", 150) as advance:
        for second in range(100):
            clock.now = 1000.0 + second
            advance(second)
    assert printed(console).splitlines() == [
        "run  [b]reading  30 of 150, 1.0/s, 2 min left",
        "run  [b]reading  60 of 150, 1.0/s, 2 min left",
        "run  [b]reading  90 of 150, 1.0/s, 60 s left",
    ]


def test_short_work_prints_no_progress_lines(clock: Clock) -> None:
    console = file_console()
    for _ in track(range(1000), "reading", Terminal(console), total=1000):
        clock.now += 0.02
    assert printed(console) == ""


def test_in_a_launchers_process_progress_is_lines(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bars of several processes would overwrite each other."""
    monkeypatch.setattr(terminal, "IN_LAUNCHER", True)
    console = file_console(is_terminal=True)
    with Terminal(console).progress("reading") as advance:
        clock.now += 31
        advance(62)
    assert printed(console) == "reading  62, 2.0/s\n"


def test_a_bar_shows_title_and_figures() -> None:
    console = file_console(is_terminal=True)
    with Terminal(console, "run  ").progress("[b]reading", 1234) as advance:
        advance(1000)
        time.sleep(0.15)
    assert "run  [b]reading" in printed(console)
    assert "1,000 of 1,234" in printed(console)


def test_a_bar_is_updated_at_most_ten_times_a_second(clock: Clock) -> None:
    updates: list[int] = []
    advance = terminal._throttled(terminal.REFRESH, updates.append)
    for step in range(100):
        clock.now += 0.03125
        advance(step)
    assert updates == [*range(0, 100, 4)]


def test_nested_bars_share_one_live_display(monkeypatch: pytest.MonkeyPatch) -> None:
    console = file_console(is_terminal=True)
    lives: list[object] = []
    set_live = Console.set_live

    def one_live(self: Console, live: object) -> bool:
        lives.append(live)
        return set_live(self, live)  # type: ignore[arg-type]

    monkeypatch.setattr(Console, "set_live", one_live)
    with Terminal(console).progress("outer") as outer:
        outer(1)
        with Terminal(console, "run  ").progress("inner", 5) as inner:
            inner(5)
            Terminal(console).message("a message")
            time.sleep(0.15)
        outer(2)
    assert len(lives) == 1
    assert all(text in printed(console) for text in ("outer", "run  inner", "a message\n"))
    with Terminal(console).progress("later"):
        pass
    assert len(lives) == 2


def test_bars_may_close_in_any_order() -> None:
    """An outer bar closes first if a generator that opened the inner one is left unfinished."""
    console = file_console(is_terminal=True)
    outer, inner = ExitStack(), ExitStack()
    outer.enter_context(Terminal(console).progress("outer"))
    advance = inner.enter_context(Terminal(console).progress("inner"))
    outer.close()
    advance(1)
    inner.close()
    with Terminal(console).progress("later") as advance:
        advance(1)


def test_a_bar_closes_if_the_work_fails() -> None:
    console = file_console(is_terminal=True)
    with pytest.raises(ValueError, match="a defect"), Terminal(console).progress("reading"):
        raise ValueError("a defect")
    with Terminal(console).progress("later") as advance:
        advance(1)


def test_a_quiet_display_shows_warnings_and_failures_only(clock: Clock) -> None:
    console = file_console()
    display: Display = WarningsOnly(console, "run  ")
    display.message("epoch 1")
    display.message("a [gap]", "warning")
    display.message("out of memory", "failed")
    with display.progress("reading", 10) as advance:
        clock.now += 100
        advance(5)
    assert printed(console) == "run  warning a [gap]\nrun  failed out of memory\n"


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize(("in_launcher", "prefix"), [(True, "lstm-s0  "), (False, "  ")])
def test_lines_of_a_run_begin_with_its_name_beside_others(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    shown: bool,
    in_launcher: bool,
    prefix: str,
) -> None:
    monkeypatch.setattr(terminal, "IN_LAUNCHER", in_launcher)
    display = display_of_run("lstm-s0", shown)
    display.message("epoch 1")
    display.message("slow", "warning")
    lines = [f"{prefix}epoch 1"] * shown + [f"{prefix}warning slow"]
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.parametrize(
    ("done", "total", "rate", "text"),
    [
        (1200, None, 0.0, "1,200"),
        (1200, None, 40.4, "1,200, 40/s"),
        (1200, 5000, 0.0, "1,200 of 5,000"),
        (1200, 5000, 40.0, "1,200 of 5,000, 40/s, 2 min left"),
        (3, 5, 0.25, "3 of 5, 0.2/s, 8 s left"),
        (6, 5, 1.0, "6 of 5, 1.0/s, 0 s left"),
    ],
)
def test_figures_of_progress(done: int, total: int | None, rate: float, text: str) -> None:
    assert progress_text(done, total, rate) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_names_in_the_ranking_are_printed_literally() -> None:
    console = file_console()
    row = ["[red]lstm", ":dog:", "[/]"]
    console.print(ranking_table([("[b]a.csv", [row], "a [note]")], ["x", "y"], [("[i]r", "[/]")]))
    lines = [line.split() for line in printed(console).splitlines() if line.strip()]
    assert lines[0] == ["[b]a.csv"]
    assert row in lines
    assert lines[-2:] == [["a", "[note]"], ["[i]r", "[/]"]]


@pytest.mark.parametrize("is_terminal", [False, True])
def test_text_cannot_control_the_terminal(is_terminal: bool) -> None:
    console = file_console(is_terminal)
    text = "\x1b]52;c;aGk=\x07[red]\x9b\u202e\udcff"
    Terminal(console).message(text, "warning")
    console.print(ranking_table([(text, [[text, "1"]], text)], [text], [(text, text)]))
    console.print(text)
    with Terminal(console, text).progress(text, 3) as advance:
        advance(1)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert not [each for each in ("\x1b]", "\x07", "\x9b", "\u202e", "\udcff") if each in shown]
    assert printed(console).count("\\x1b]52;c;aGk=") >= 7
    assert "[red]" in shown


def test_characters_that_the_output_lacks_are_escaped() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    print_text("film 映\udcff", stream)
    console = TextConsole(file=stream, width=80)
    console.print(ranking_table([("映", [["é", "1"]], "–")], ["±"], []))
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    written = stream.buffer.getvalue().decode("ascii")
    assert written.startswith("film \\u6620\\udcff\n")
    assert "\\xe9" in written
