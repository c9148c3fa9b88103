"""A running service for the tests of the page."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from lstm_sentiment.serving.http.connection import Connection
from lstm_sentiment.serving.http.loaded_models import LoadedModels
from lstm_sentiment.serving.http.server import application
from lstm_sentiment.serving.http.service import Service
from lstm_sentiment.serving.http.settings import Settings


@contextmanager
def serving(folders: Sequence[Path], settings: Settings | None = None) -> Iterator[str]:
    """Answer requests in a thread, with all layers; yield the address, which ends in "/"."""
    service = Service(LoadedModels(folders), settings or Settings())
    service.load()
    server = uvicorn.Server(
        uvicorn.Config(
            application(service),
            port=0,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()
        service.close()
