"""Files with predictions: the same as those of `lstm-sentiment predict -o`, sent as a stream."""

import gzip
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest

from lstm_sentiment.commands.main import main
from lstm_sentiment.serving.http import uploads
from tests.support.networks import TEXTS
from tests.support.processes import disk_full
from tests.support.service import RunningService, serving, wait_until
from tests.support.tables import table_bytes

TYPES = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "jsonl": "application/jsonl",
}
MANY = {"id": [*range(80)], "review": TEXTS * 10, "more": ["x"] * 80}


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the place of temporary files, which must be empty at the end."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    wait_until(lambda: not [*place.iterdir()])


def assert_equal(content: bytes, expected: bytes) -> None:
    """Compare files, whose numbers may differ in their last digits, since the batches differ."""
    number = re.compile(rb"\d\.\d+(?:e-\d+)?")
    assert number.sub(b"#", content) == number.sub(b"#", expected)
    got, wanted = ([float(n) for n in number.findall(text)] for text in (content, expected))
    assert got == pytest.approx(wanted, abs=1e-6)


def upload(service: RunningService, content: bytes, **parameters: str) -> httpx.Response:
    return service.client.post("/v1/predict/file", content=content, params=parameters)


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("model", ["binary", "stars"])
def test_the_answer_is_that_of_the_command(
    service: RunningService,
    folders: list[Path],
    tmp_path: Path,
    suffix: str,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uploads, "CHUNK_ROWS", 16)
    [folder] = [folder for folder in folders if folder.name == model]
    source, expected = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    source.write_bytes(table_bytes(source.name, MANY))
    assert main(["predict", str(folder), "--file", str(source), "-o", str(expected)]) == 0
    answers = [
        upload(service, source.read_bytes(), format=suffix, model=model),
        service.client.post(
            f"/v1/predict/file?model={model}",
            content=source.read_bytes(),
            headers={"Content-Type": f"{TYPES[suffix]}; charset=utf-8"},
        ),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] == TYPES[suffix]
        assert answer.headers["transfer-encoding"] == "chunked"
        assert_equal(answer.content, expected.read_bytes())


def test_bytes_that_are_not_predictions_stay_as_they_are(service: RunningService) -> None:
    content = '\ufeffid;text;mark\r\n1;"A; <b>film</b>";\'=1+1\r\n\r\n2;;\r\n'.encode()
    answer = upload(service, content, format="csv").content
    assert answer.startswith("\ufeffid;text;mark;label;probability\r\n".encode())
    lines = answer.split(b"\r\n")
    assert lines[1].startswith(b'1;"A; <b>film</b>";\'=1+1;')
    assert lines[2:] == [b"", b"2;;;;", b""]


@pytest.mark.parametrize(
    ("content", "parameters", "sentence"),
    [
        (b"id,text\n1,a\n", {}, "The format of the file is unknown: give the parameter format"),
        (b"id,text\n1,a\n", {"format": "xls"}, "format must be 'csv', 'tsv' or 'jsonl'"),
        (b"id,what\n1,a\n", {"format": "csv"}, "file.csv: "),
        (b"id,text\n1,a\n", {"format": "csv", "text_column": "z"}, "there is no column z"),
        (b"id,text\n1,a\n", {"format": "csv", "encoding": "z"}, "encoding must be auto or"),
        (b"id,text\n1,a\n", {"format": "csv", "delimiter": "z"}, "delimiter must be"),
        (b"", {"format": "csv"}, "file.csv: "),
        (b"{", {"format": "jsonl"}, "file.jsonl: row 1: not valid JSON"),
        (b"\xff\xfe\x00", {"format": "tsv"}, "file.tsv: "),
        (gzip.compress(b"id,text\n1,a\n", mtime=0), {"format": "csv"}, "file.csv: "),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(
    service: RunningService,
    content: bytes,
    parameters: dict[str, str],
    sentence: str,
    scratch: Path,
) -> None:
    refused = upload(service, content, **parameters)
    assert refused.status_code == 422
    detail = refused.json()["detail"]
    assert sentence in detail
    assert str(scratch) not in detail
    assert "--" not in detail


def test_a_compressed_body_is_refused(service: RunningService) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/csv"}
    content = gzip.compress(b"text\na\n", mtime=0)
    refused = service.client.post("/v1/predict/file", content=content, headers=headers)
    assert refused.status_code == 415
    assert "send the file uncompressed" in refused.json()["detail"]


@pytest.mark.parametrize("place", ["folder", "file", "predictions"])
def test_a_full_temporary_folder_is_a_reason_to_try_again(
    service: RunningService, place: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"text\n" + b"A film.\n" * (100 if place == "file" else 2)
    if place == "folder":
        monkeypatch.setattr(tempfile, "tempdir", str(scratch / "missing"))
    with disk_full() if place != "folder" else nullcontext():
        refused = upload(service, content, format="csv")
    assert (refused.status_code, refused.json()["detail"]) == (
        503,
        "The service cannot store the file in its temporary folder: try again later.",
    )
    assert refused.headers["retry-after"] == "60"
    assert service.service.files == 0
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    assert upload(service, content, format="csv").status_code == 200


def test_a_row_that_fails_later_ends_the_answer_abnormally(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "CHUNK_ROWS", 8)
    content = b"id,text\n" + b"1,A film.\n" * 800 + b"1,2,3\n"
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        upload(service, content, format="csv")
    assert service.predict("a").status_code == 200


def test_a_text_that_is_too_long_is_refused(folders: list[Path]) -> None:
    with serving(folders[0], max_characters=10) as service:
        refused = upload(service, b"text\n" + b"a" * 11 + b"\n", format="csv")
        assert refused.status_code == 422
        assert "A text has 11 characters, more than the 10 allowed." in refused.json()["detail"]


def test_short_requests_do_not_wait_for_a_file(service: RunningService) -> None:
    lines = b"text\n" + b"The film was good and the actors great.\n" * 20_000
    done: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: done.append(upload(service, lines, format="csv")))
    thread.start()
    wait_until(lambda: service.service.files == 1)
    answered_meanwhile = 0
    while thread.is_alive():
        assert service.predict("A film.").status_code == 200
        answered_meanwhile += thread.is_alive()
    assert done[0].content.count(b"\n") == 20_001
    assert answered_meanwhile > 5
    assert service.service.files == 0


def test_a_client_that_has_gone_frees_its_place(service: RunningService) -> None:
    lines = b"text\n" + b"The film was good and the actors great.\n" * 50_000
    with service.client.stream("POST", "/v1/predict/file?format=csv", content=lines) as answer:
        assert next(answer.iter_raw()).startswith(b"text,label,probability\n")
        assert service.service.files == 1
    wait_until(lambda: service.service.files == 0)
    assert service.service.predictions.waiting <= uploads.CHUNK_ROWS


def test_more_files_than_places_are_refused(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = threading.Event()
    with serving(folders[0], max_files=1) as service:
        compute = service.service.predictions.compute

        def held(model: Any, texts: Any) -> Any:
            assert allowed.wait(30)
            return compute(model, texts)

        monkeypatch.setattr(service.service.predictions, "compute", held)
        content = b"text\na\n"
        thread = threading.Thread(target=upload, args=(service, content), kwargs={"format": "csv"})
        thread.start()
        wait_until(lambda: service.service.files == 1)
        refused = upload(service, content, format="csv")
        assert refused.status_code == 503
        assert refused.json()["detail"].startswith("The service is busy: 1 files are")
        assert int(refused.headers["retry-after"]) > 1
        allowed.set()
        thread.join()
