"""The errors that callers may catch; their messages are written for users."""


class InputError(ValueError):
    """An error in an input; the message names the input and the allowed values."""


class UsageError(InputError):
    """An error in the command line itself, such as an option that needs another one."""


class RunError(RuntimeError):
    """A failure of a run that was started; `failed.json` in its folder gives the reason."""


class FittingError(Exception):
    """A failure of fitting, with its cause and its epoch, counted from 1."""

    def __init__(self, error: Exception, epoch: int) -> None:
        super().__init__(f"epoch {epoch}: {error}")
        self.error, self.epoch = error, epoch
