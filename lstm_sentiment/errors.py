"""The errors that callers may catch; their messages are written for users."""


class InputError(ValueError):
    """An error in an input; the message names the input and the allowed values."""


class RunError(RuntimeError):
    """A failure of a run that was started; `failed.json` in its folder gives the reason."""
