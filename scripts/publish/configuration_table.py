"""The fields of the configuration as Markdown tables, one for each group.

docs/configuration.md shows them; `make results` writes them there.
"""

from collections.abc import Iterator

from lstm_sentiment.config import CompareConfig, Config, Reference
from lstm_sentiment.config_fields import Checked, Field, own_fields
from lstm_sentiment.config_pretraining import LanguageModelConfig
from lstm_sentiment.display import typed_value

COLUMNS = ("field", "default", "allowed", "in fingerprint", "meaning")
INTRODUCTION = (
    "The column *in fingerprint* says whether a field is part of a run's fingerprint. Other fields "
    "do not change the results: runs that differ only in such fields share a folder."
)


def markdown() -> str:
    """Return a heading, a description and a table for each group of fields."""
    kinds = (*_groups(Config), Reference, CompareConfig, LanguageModelConfig)
    return "\n\n".join([INTRODUCTION, *map(_section, kinds)])


def _groups(kind: type[Checked]) -> Iterator[type[Checked]]:
    """Yield a dataclass of the configuration and all groups in it, each before its own groups."""
    yield kind
    for field in own_fields(kind).values():
        if isinstance(field.default, Checked):
            yield from _groups(type(field.default))


def _section(kind: type[Checked]) -> str:
    title = f"### `{kind.prefix.rstrip('.')}`" if kind.prefix else "### Run"
    description = (kind.__doc__ or "").partition("\n")[0]
    return "\n\n".join([title, description, table(kind)])


def table(kind: type[Checked]) -> str:
    """Return the table of the fields of one group, without the groups in it."""
    lines = [COLUMNS, ("---",) * len(COLUMNS)]
    lines += [
        _row(field) for field in own_fields(kind).values() if not isinstance(field.default, Checked)
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _row(field: Field) -> tuple[str, ...]:
    in_fingerprint = "yes" if field.fingerprinted else "no"
    return (
        f"`{field.name}`",
        "`" + (typed_value(field.default) or "''") + "`",
        field.allowed,
        in_fingerprint,
        _escaped(field.help),
    )


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
