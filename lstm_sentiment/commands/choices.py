"""The folder of the choices that a command line can name, such as `encoder=bilstm`."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def _conf() -> Path:
    """Return the folder `conf`: in the package if it was installed, beside it in a checkout."""
    installed = PACKAGE / "conf"
    return installed if installed.is_dir() else PACKAGE.with_name("conf")


CONF = _conf()


def choices() -> list[str]:
    """Return every choice as it is typed: `encoder=bilstm`."""
    return sorted(f"{file.parent.name}={file.stem}" for file in CONF.glob("*/*.yaml"))
