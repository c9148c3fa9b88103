"""A PostgreSQL server for tests: of the system's package, in a temporary folder."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DEBIAN = Path("/usr/lib/postgresql")  # a folder for each version; its programs are not on the PATH
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")


def programs() -> Path | None:
    """Return the folder of the server's programs, or None if it is not installed."""
    if (found := shutil.which("initdb")) and shutil.which("postgres"):
        return Path(found).parent
    return max(DEBIAN.glob("*/bin"), default=None, key=lambda path: float(path.parent.name))


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Start a server on a free port of this machine, and yield the URL of its database."""
    folder = programs()
    assert folder is not None
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    # Not in pytest's folder, which other users cannot enter.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        if user is not None:
            shutil.chown(place, user)
        data, log = Path(place, "data"), Path(place, "log")
        subprocess.run(
            [folder / "initdb", "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync",
             "--locale=C"],
            user=user, cwd=place, check=True, capture_output=True,
        )  # fmt: skip
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        url = f"postgresql://tests@127.0.0.1:{port}/postgres"
        options = [word for option in FAST for word in ("-c", option)]
        with log.open("wb") as output:
            server = subprocess.Popen(
                [folder / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", place,
                 *options],
                user=user, cwd=place, stdout=output, stderr=output,
            )  # fmt: skip
        try:
            _wait_for(url, server, log)
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # ends connections, too
            server.wait(60)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server accepts connections; fail if it ends, or does not within a minute."""
    import psycopg  # of the extra postgresql

    end = time.monotonic() + 60
    while True:
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        with suppress(psycopg.OperationalError):
            return psycopg.connect(url).close()
        time.sleep(0.05)
