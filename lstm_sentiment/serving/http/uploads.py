"""The rows of a file -> the same rows with predictions, while they are computed.

The file is first written to a private folder, since its columns and its format are found in it.
The rows then enter the queue chunk by chunk, so that requests of few texts do not wait for a file.
"""

import asyncio
import logging
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lstm_sentiment.errors import InputError
from lstm_sentiment.files.writing import scratch_folder
from lstm_sentiment.serving.http.answers import disconnected, unavailable
from lstm_sentiment.serving.http.batching import QueueFullError
from lstm_sentiment.serving.http.loaded_models import LoadedModel
from lstm_sentiment.serving.http.service import Service

if TYPE_CHECKING:
    from lstm_sentiment.serving.predictor import Prediction

CHUNK_ROWS = 256  # in the queue at the same time
BLOCK_BYTES = 2**20  # written to the disk at once
STORAGE_DELAY = 60  # seconds after which a client may try again if the disk is full
NAME = "file"  # of the file in messages

logger = logging.getLogger(__name__)


class Format(StrEnum):
    """The formats of files, by their suffixes."""

    csv = "csv"
    tsv = "tsv"
    jsonl = "jsonl"


CONTENT_TYPES = {
    "text/csv": Format.csv,
    "text/tab-separated-values": Format.tsv,
    "application/jsonl": Format.jsonl,
    "application/x-ndjson": Format.jsonl,
}
MEDIA_TYPES = {format: media for media, format in reversed(CONTENT_TYPES.items())}


def format_of(request: Request, chosen: Format | None) -> Format:
    """Return the format of a file, by the parameter or by Content-Type.

    Raises HTTPException if neither names one, or if the body is compressed.
    """
    if (encoding := request.headers.get("content-encoding", "identity")) != "identity":
        raise HTTPException(
            415, f"Content-Encoding {encoding!r:.60} is not supported: send the file uncompressed."
        )
    if chosen is not None:
        return chosen
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in CONTENT_TYPES:
        raise HTTPException(
            422,
            f"The format of the file is unknown: give the parameter format ({', '.join(Format)}) "
            f"or a Content-Type ({', '.join(CONTENT_TYPES)}; got {content_type!r:.60}).",
        )
    return CONTENT_TYPES[content_type]


async def predicted_file(
    request: Request, service: Service, model: LoadedModel, format: Format, options: dict[str, Any]
) -> "FileAnswer":
    """Return the answer to a request whose body is a file.

    `options` say how the file is read, see `file_reading`. Raises HTTPException if the file cannot
    be read, or none of its rows, or if it or its first rows cannot be stored.
    """
    with _errors_of_storage(), ExitStack() as resources:
        resources.enter_context(service.file_slot())
        folder = resources.enter_context(scratch_folder())
        file = folder / f"{NAME}.{format}"
        await _receive(request, file)
        parts = _predicted(service, model, file, options)
        resources.callback(parts.close)  # before the folder is removed
        try:
            first = await asyncio.to_thread(next, parts, b"")
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/", "")) from error
        kept = resources.pop_all()  # until the answer has been sent
    return FileAnswer(first, parts, kept, MEDIA_TYPES[format])


@contextmanager
def _errors_of_storage() -> Iterator[None]:
    """Turn the errors of a temporary folder, such as a full disk, into HTTPException."""
    try:
        yield
    except OSError as error:
        logger.error("a file cannot be stored: %s", error.strerror)
        detail = "The service cannot store the file in its temporary folder: try again later."
        raise unavailable(detail, STORAGE_DELAY) from error


async def _receive(request: Request, file: Path) -> None:
    """Write the body of a request to a file."""
    block = bytearray()
    with file.open("wb") as stream:
        async for part in request.stream():
            block += part
            if len(block) >= BLOCK_BYTES:
                await asyncio.to_thread(stream.write, bytes(block))
                block.clear()
        stream.write(block)


def _predicted(
    service: Service, model: LoadedModel, file: Path, options: dict[str, Any]
) -> Generator[bytes]:
    """Yield the parts of the file with predictions; called in threads.

    No part is empty but the last one. Raises QueueFullError, and InputError if the file cannot be
    read.
    """
    # They import PyTorch, which takes long.
    from lstm_sentiment.data.formats import read_rows
    from lstm_sentiment.serving.file_prediction import predicted_rows
    from lstm_sentiment.serving.file_reading import file_reading
    from lstm_sentiment.serving.table_output import InputTable, table_output

    config, classes = model.predictor.config, model.predictor.classes
    reading = file_reading(file, {model.name: config}, options, on_command_line=False)
    table = read_rows(file, reading.columns, reading.text_format, text_only=True)
    source, predict = InputTable(file, table, classes), partial(_computed, service, model)
    output = file.with_stem("predictions")
    output.touch()
    with output.open("rb") as written:
        with table_output(source, output, output) as write:
            for rows, predictions in predicted_rows(predict, file, table, CHUNK_ROWS):
                write(rows, predictions)
                if part := written.read():
                    yield part
        yield written.read()


def _computed(service: Service, model: LoadedModel, texts: list[str]) -> "list[Prediction]":
    """Return the predictions for texts, which wait for room in the queue."""
    timeout, most = service.settings.timeout, service.settings.max_characters
    if (longest := max(map(len, texts), default=0)) > most:
        raise InputError(f"A text has {longest:,} characters, more than the {most:,} allowed.")
    service.metrics.texts.labels(model.name).inc(len(texts))
    return service.predictions.submit(model, texts, patience=timeout).result()


class FileAnswer(Response):
    """The rows of a file with their predictions, which are sent while they are computed.

    If a row cannot be read, or the client has gone, the answer ends without its last chunk, so that
    no client takes it for complete. `resources` are then, and at the end, given back.
    """

    def __init__(
        self, first: bytes, parts: Generator[bytes], resources: ExitStack, media_type: str
    ) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]  # of a body that is known
        self.first, self.parts, self.resources = first, parts, resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            start = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **start})
            part: bytes | None = self.first
            while part is not None and not gone.done():
                await send({"type": "http.response.body", "body": part, "more_body": True})
                part = await asyncio.to_thread(next, self.parts, None)
        except (InputError, QueueFullError, OSError) as error:
            logger.warning("a file was not predicted to its end: %s", type(error).__name__)
            return
        finally:
            gone.cancel()
            await asyncio.to_thread(self.resources.close)
        if part is None:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
