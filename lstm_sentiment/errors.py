"""How a run can fail to come about, in one sentence for the person who asked for it."""


class InputError(ValueError):
    """What was asked for cannot be begun: names the value and what is allowed."""


class RunError(RuntimeError):
    """A run that had begun came to grief; the reason also stands in its `failed.json`."""
