"""The connection to the Hugging Face hub."""

import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import reason_of

TIMEOUT = 5.0  # seconds for the first answer
LOG_IN = "log in with hf auth login, or put an access token into HF_TOKEN"


class HubUnavailableError(InputError):
    """The hub, or the connection to it, fails for a while."""


def is_online() -> bool:
    """Return whether the hub may be asked, and answers."""
    from huggingface_hub import constants

    return not constants.HF_HUB_OFFLINE and is_reachable(constants.ENDPOINT)


@contextmanager
def errors_of_hub() -> Iterator[None]:
    """Turn every error of a request to a repository of the hub into InputError with its reason."""
    from huggingface_hub import errors

    try:
        yield
    except InputError:
        raise
    except errors.GatedRepoError as error:
        raise InputError(
            f"its owner grants access on request: ask for it on the page of the repository, and "
            f"{LOG_IN}."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(
            f"the hub has no such repository, or it is private: check its name, or {LOG_IN}."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise InputError(
            "the repository has no such revision: give a branch, a tag or the hash of a commit."
        ) from error
    except Exception as error:  # connections raise errors of many kinds
        cause = error.__cause__ if type(error) is RuntimeError else error  # of one of several files
        if isinstance(cause, errors.HfHubHTTPError):
            status = cause.response.status_code
            is_passing = status == 429 or status >= 500
            kind = HubUnavailableError if is_passing else InputError
            raise kind(_refusal(status)) from error
        reason = f"{type(error).__name__}: {reason_of(error)}"
        raise HubUnavailableError(
            f"the connection to the hub failed ({reason}): try again."
        ) from error


def _refusal(status: int) -> str:
    """Return the sentence for an answer of the hub with the status of an error."""
    if status == 401:
        return f"the hub does not accept the access token: {LOG_IN}."
    if status == 403:
        return "the access token does not permit this: use one of the owner that does."
    if status == 412:
        return "the repository has changed meanwhile: try again."
    return f"the hub answered with the status {status}: try again later."


def is_reachable(url: str, timeout: float = TIMEOUT) -> bool:
    """Return whether a server answers in time, whatever it answers."""
    answers: list[bool] = []
    # In a thread, since the timeout of urlopen does not cover the lookup of the host's name.
    request = threading.Thread(target=lambda: answers.append(_answers(url, timeout)), daemon=True)
    request.start()
    request.join(timeout)
    return answers == [True]


def _answers(url: str, timeout: float) -> bool:
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=timeout).close()
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        # The libraries of the hub may know certificates that Python does not know.
        return isinstance(error.reason, ssl.SSLError)
    except (OSError, ValueError, HTTPException):
        return False
    return True
