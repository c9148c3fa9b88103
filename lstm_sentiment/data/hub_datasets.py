"""Data sets of the Hugging Face hub: their names, and the cache if the hub cannot be reached."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lstm_sentiment.data.hub import is_online
from lstm_sentiment.errors import InputError


@contextmanager
def cache_if_unreachable() -> Iterator[bool]:
    """Yield whether the hub can be reached; if not, its libraries only use their cache meanwhile.

    Otherwise they would repeat each request for half a minute and report every attempt.
    """
    import datasets
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or is_online():
        yield True
        return
    settings: tuple[Any, ...] = (constants, datasets.config)  # both are read at each request
    try:
        for module in settings:
            module.HF_HUB_OFFLINE = True
        yield False
    finally:
        for module in settings:
            module.HF_HUB_OFFLINE = False


def require_hub_name(name: str) -> None:
    """Raise InputError if the library `datasets` would read files of this machine for a name.

    It takes the name of a folder for the files in it, and the name of a format, such as "csv", for
    all files of the working folder.
    """
    from datasets import packaged_modules

    if name in packaged_modules._PACKAGED_DATASETS_MODULES:
        reason = "the name of a format of files"
    elif Path(name).exists():
        reason = "a file or folder of this machine"
    else:
        return
    raise InputError(
        f"{name} is {reason}, not a data set of the Hugging Face hub: give the path of a file, or "
        "the name of a data set with its owner, such as stanfordnlp/imdb."
    )
