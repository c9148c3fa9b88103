"""Untrusted files: what is opened, the limits, JSON, and errors as sentences."""

import json
import os
from pathlib import Path

import pytest

from lstm_sentiment.errors import InputError
from lstm_sentiment.files import limits
from lstm_sentiment.files.limits import LIMITS, Limit
from lstm_sentiment.files.reading import (
    content_digest,
    errors_named,
    open_regular,
    parse_json,
    read_bytes,
    read_json,
    require_json,
)

TEN = Limit("TEN", 10, "bytes", "tests")


def test_a_regular_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with open_regular(tmp_path / "file") as stream:
        assert stream.read() == b"content"


@pytest.mark.parametrize("follow_links", [True, False])
def test_nothing_but_a_regular_file_is_opened(tmp_path: Path, follow_links: bool) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(OSError, match="not a regular file"):
            open_regular(path, follow_links)


def test_links_are_followed_only_on_request(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(OSError, match="a link, which is not followed"):
        open_regular(tmp_path / "link")
    with open_regular(tmp_path / "link", follow_links=True) as stream:
        assert stream.read() == b"content"
    (tmp_path / "to_fifo").symlink_to("fifo")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(tmp_path / "to_fifo", follow_links=True)


def test_a_digest_of_anything_but_files_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        content_digest(tmp_path / "fifo")


def test_the_size_is_checked_before_and_after_reading(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(10))
    assert read_bytes(file, TEN) == bytes(10)
    file.write_bytes(b"")
    os.truncate(file, 2**40)  # sparse
    with pytest.raises(InputError, match="1,099,511,627,776 bytes, more than the 10 allowed"):
        read_bytes(file, TEN)


def test_a_variable_raises_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="LSTM_SENTIMENT_MAX_TEN raises this limit"):
        TEN.check(11)
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_TEN", "11")
    TEN.check(11)
    with pytest.raises(InputError, match="12 bytes, more than the 11 allowed"):
        TEN.check(12)


@pytest.mark.parametrize("text", ["0", "-1", "1e9", "", "many", "٣", "9" * 19])
def test_a_variable_must_be_a_whole_number(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_TEN", text)
    with pytest.raises(InputError, match="must be a whole number of at least 1"):
        TEN.check(1)


def test_every_limit_is_listed_once() -> None:
    defined = [value for value in vars(limits).values() if isinstance(value, Limit)]
    assert set(defined) == set(LIMITS)
    assert len({limit.variable for limit in LIMITS}) == len(LIMITS) == len(defined)


@pytest.mark.parametrize(
    "value", [None, True, 3, -1.5, "a,[{", [], {}, {"a": [1, {"b": [[]]}]}, 2**63 - 1, 1e308]
)
def test_json_is_read_as_by_the_standard_library(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[NaN]", "NaN is not a number"),
        (b"[-Infinity]", "-Infinity is not a number"),
        (b"1e999", "the number 1e999 is too large"),
        (b"1" * 30, "does not fit into 64 bits"),
        (b"9223372036854775808", "does not fit into 64 bits"),
        (b"1" * 10_000, "does not fit into 64 bits"),
        (b'"\xff"', "not JSON"),
        (b"[" * 100_000, "levels of lists and objects"),
        (b"[" * 65 + b"]" * 65, "65 levels of lists and objects, more than the 64 allowed"),
        (b'{"a":' * 65 + b"{}" + b"}" * 65, "levels of lists and objects"),
    ],
)
def test_json_that_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_json(content)


def test_many_values_are_refused_before_they_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_ELEMENTS", "100")
    assert parse_json(b"[" + b"[]," * 49 + b"[]]") == [[]] * 50
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))
    with pytest.raises(InputError, match="more than the 100 allowed"):
        parse_json(b"[" + b"[]," * 50 + b"[]]")


def test_a_file_that_cannot_be_read_has_its_name_in_the_error(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    for content, reason in ((b"{", "not JSON"), (b"[" * 9_999, "levels")):
        file.write_bytes(content)
        assert read_json(file) is None
        with pytest.raises(InputError, match=f"run.json: .*{reason}"):
            require_json(file)
    file.unlink()
    with pytest.raises(InputError, match=r"run.json: cannot be read \(No such file"):
        require_json(file)
    file.write_text("[1]")
    assert require_json(file) == read_json(file) == [1]


class OddError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("row 3 is wrong."), "x.csv: row 3 is wrong."),
        (OddError("line one.\nline two"), "x.csv: cannot be read (line one)."),
        (OddError(), "x.csv: cannot be read (OddError)."),
        (MemoryError(), "x.csv: cannot be read (the memory does not suffice)."),
        (OSError(5, "Input/output error"), "x.csv: cannot be read (Input/output error)."),
    ],
)
def test_every_error_becomes_a_sentence(error: Exception, message: str) -> None:
    with pytest.raises(InputError) as raised, errors_named("x.csv"):
        raise error
    assert str(raised.value) == message


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_the_end_of_a_command_is_no_error(stop: type[BaseException]) -> None:
    with pytest.raises(stop), errors_named("x.csv"):
        raise stop


def test_a_message_repeats_no_long_value() -> None:
    with pytest.raises(InputError) as raised, errors_named("x.csv"):
        raise InputError("a" * 10_000)
    assert len(str(raised.value)) < 1_000
