"""The errors that callers may catch; their messages are written for users."""


class InputError(ValueError):
    """An error in an input; the message names the input and the allowed values."""


class UsageError(InputError):
    """An error in the command line itself, such as an option that needs another one."""


class RunError(RuntimeError):
    """A failure of a run that was started; `failed.json` in its folder gives the reason."""
