"""Waiting for the answer of a request, and the errors that clients receive."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import Receive

from lstm_sentiment.display import shortened
from lstm_sentiment.errors import InputError
from lstm_sentiment.serving.http.batching import QueueFullError
from lstm_sentiment.serving.http.schemas import ErrorAnswer, shown

Result = TypeVar("Result")

CLIENT_GONE = 499  # as in nginx; for the log, since nobody receives it
SOURCES = ("body", "query", "path", "header")  # of a value, as FastAPI names them
SENTENCES = {
    404: "There is nothing at this address: /docs lists what there is.",
    405: "This method is not allowed here: /docs lists what is.",
}
STATUSES = {
    401: "the token is missing or wrong",
    403: "the request comes from another site",
    404: "unknown model",
    408: "the request arrived too slowly",
    413: "the body is too large",
    415: "the body is compressed",
    422: "a value is not allowed",
    503: "the queue or the disk is full, or models are being loaded",
    504: "the answer took too long",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of error answers for the OpenAPI schema."""
    return {
        status: {"model": ErrorAnswer, "description": STATUSES[status].capitalize() + "."}
        for status in (403, *statuses)
    }


def unavailable(detail: str, retry_after: int = 1) -> HTTPException:
    """Return the error of a request that should be repeated after some seconds."""
    return HTTPException(503, detail, {"Retry-After": str(retry_after)})


async def answer_of(request: Request, future: "Future[Result]", seconds: float) -> Result:
    """Return the result of a computation, whose request has been read completely.

    Raises HTTPException with status 504 after this time, and 499 if the client has gone; the texts
    that still wait are then removed from the queue.
    """
    result = asyncio.wrap_future(future)
    gone = asyncio.ensure_future(disconnected(request.receive))
    try:
        await asyncio.wait((result, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if result.done():
            return result.result()
        if gone.done():
            raise HTTPException(CLIENT_GONE, "The client has gone.")
        raise HTTPException(504, f"The answer took longer than the {seconds:g} s allowed.")
    finally:
        gone.cancel()
        result.cancel()


async def disconnected(receive: Receive) -> None:
    """Wait until the client of a request, which has been read completely, has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def add_error_handlers(app: FastAPI) -> None:
    """Let all errors be answered with one sentence."""
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(InputError, _input_error)
    app.add_exception_handler(QueueFullError, _busy)
    app.add_exception_handler(Exception, _internal_error)


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    if error.status_code == 400:  # FastAPI could not decode the body
        return error_answer(422, "The body is not JSON in UTF-8.")
    # Starlette has no sentences of its own for these.
    usual = error.detail in ("Not Found", "Method Not Allowed")
    detail = SENTENCES[error.status_code] if usual else error.detail
    return error_answer(error.status_code, detail, error.headers)


async def _validation_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return error_answer(422, " ".join(map(_sentence, error.errors()[:3])))


async def _input_error(_: Request, error: Exception) -> JSONResponse:
    return error_answer(422, str(error))


async def _busy(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, QueueFullError)
    retry = {"Retry-After": str(error.retry_after)}
    return error_answer(503, f"The service is busy: {error}", retry)


async def _internal_error(_: Request, __: Exception) -> JSONResponse:
    return error_answer(500, "The service failed: its log gives the reason.")


def _sentence(error: Mapping[str, Any]) -> str:
    """Return one sentence for an error of pydantic."""
    if error["type"] == "json_invalid":
        return f"The body is not JSON ({error['ctx']['error']})."
    if error["type"] == "value_error":
        return f"{error['ctx']['error']}."
    name = _name(error["loc"])
    if not name:
        return "The body must be an object of JSON, sent with Content-Type: application/json."
    if error["type"] == "extra_forbidden":
        return f"{name} is not a field of this request."
    problem = str(error["msg"]).replace("Input should be", "must be").replace("Field", "is")
    if error["type"] == "missing":
        return f"{name} is required."
    return f"{name} {problem} (got {shown(error['input'])})."


def _name(location: Sequence[Any]) -> str:
    """Return the name of a value, without the source, such as "texts"."""
    parts = [shortened(part) for part in location]
    return ".".join(parts[1:] if parts and parts[0] in SOURCES else parts)


def error_answer(
    status: int, detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the answer to a request that is refused."""
    return JSONResponse({"detail": detail}, status, dict(headers or {}))
