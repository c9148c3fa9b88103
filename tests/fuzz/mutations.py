"""Mutations of valid files: some keep the format, so that they reach code behind the parsers."""

import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.cases import Case
from tests.fuzz.seeds import parquet

NUMBERS = (0, 1, -1, 2, 127, 255, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
FRAGMENTS = (
    b"\0 \xff \x1a \x1b[2J \r \n \r\n \xef\xbb\xbf \xff\xfe \xed\xa0\x80 \xc3 \xe2\x80\xa8".split(
        b" "
    )
    + b'" "" , ; \t { } [ ] : null NaN -Infinity 1e999 \\ud800 \\u0000 ../ ${x} $ <script>'.split(
        b" "
    )
    + [b" ", b"", b"text", b"label", b"0", b"-1", b"1" * 400, b"[" * 300, b"a" * 5_000]
)
VALUES: Sequence[Any] = (
    None, True, False, 0, 1, -1, 0.5, -0.0, 1e300, -1e300, 5e-324, 10**18, 2**63, 10**30,
    "", "x", "\0", "\ud800", "\x1b]52;c;eA==\x07", "../..", "/etc/passwd", "<script>", "$x^{2",
    "a|b", "[x](javascript:y)", "é" * 300, "🎬" * 100, "a" * 20_000, [], {}, [[]], [None], [0, 0],
    {"": None}, [1.5] * 300, "nan", "lstm", "ngrams", "_target_",
)  # fmt: skip
DEEPEST = 500
TYPES = (
    pa.int8(), pa.int64(), pa.uint64(), pa.float16(), pa.float64(), pa.bool_(), pa.string(),
    pa.large_string(), pa.binary(), pa.date32(), pa.date64(), pa.time32("ms"), pa.time64("us"),
    pa.time64("ns"), pa.timestamp("s"), pa.timestamp("ns", tz="UTC"), pa.duration("s"),
    pa.decimal128(38, 3), pa.decimal256(50, 2), pa.list_(pa.string()), pa.binary(3), pa.null(),
    pa.dictionary(pa.int8(), pa.string()), pa.struct({"a": pa.int8()}),
    pa.map_(pa.string(), pa.int8()),
)  # fmt: skip

Mutation = Callable[[bytes, Random], bytes]


def mutated(case: Case, others: Sequence[Case], random: Random) -> Case:
    """Return a case with one to four changes of its files."""
    files = dict(case)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        name = random.choice(sorted(files))
        donor = random.choice(others).get(name, b"")
        files[name] = _changed(name, files[name], donor, random)
    if len(files) > 1 and random.random() < 0.02:
        del files[random.choice(sorted(files))]
    return files


def _changed(name: str, content: bytes, donor: bytes, random: Random) -> bytes:
    if name.endswith(".gz") or (content[:2] == b"\x1f\x8b" and random.random() < 0.7):
        try:
            inner = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            inner = b""
        if inner and random.random() < 0.8:
            return gzip.compress(_changed(name.removesuffix(".gz"), inner, donor, random), 1)
    keeping = FORMATS.get(name.rpartition(".")[2])
    if keeping is not None and random.random() < 0.7:
        try:
            return keeping(content, random)
        except Exception:  # the content has no longer this format
            pass
    return _bytes(content, donor, random)


def _bytes(content: bytes, donor: bytes, random: Random) -> bytes:
    """Change some bytes, whatever their meaning."""
    start = random.randint(0, len(content))
    end = min(len(content), start + random.choice((0, 1, 1, 2, 4, 8, 30, 1000)))
    kind = random.randrange(9)
    if kind == 0:
        return content[:start]
    if kind == 1:
        return content[:start] + content[end:]
    if kind == 2:
        return content[:end] + content[start:end] * random.choice((1, 2, 50)) + content[end:]
    if kind == 3:
        return content[:start] + donor[random.randint(0, len(donor)) :]
    if kind in (4, 5):
        return content[:start] + random.choice(FRAGMENTS) + content[end:]
    if kind == 6:
        width = random.choice((1, 2, 4, 8))
        number = (random.choice(NUMBERS) % 256**width).to_bytes(width, "little")
        return content[:start] + number + content[start + width :]
    flipped = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 10))):
        if flipped:
            flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
    return bytes(flipped)


def _json(content: bytes, random: Random) -> bytes:
    return json.dumps(_value(json.loads(content), random)).encode()


def _json_lines(content: bytes, random: Random) -> bytes:
    lines = content.splitlines(keepends=True)
    number = random.randrange(len(lines))
    lines[number] = _json(lines[number], random) + random.choice((b"\n", b"\r\n", b"", b"\n\n"))
    return b"".join(lines)


def _value(root: Any, random: Random) -> Any:
    """Return a JSON value with one change inside."""
    containers = [each for each in _containers(root) if each]
    if not containers:
        return random.choice(VALUES)
    container = random.choice(containers)
    keys = list(container) if isinstance(container, dict) else range(len(container))
    key = random.choice(keys)
    kind = random.randrange(8)
    if kind == 0:
        del container[key]
    elif kind == 1:
        other = random.choice(containers)
        container[key] = json.loads(json.dumps(other))
    elif kind == 2:
        new = random.choice([*map(str, VALUES[:4]), "x", "label", "text", "schema", "ngrams"])
        if isinstance(container, dict):
            container[new] = container.pop(key)
        else:
            container.append(container[key])
    elif kind == 3:
        value = container[key]
        for _ in range(random.choice((1, 2, 70, DEEPEST))):
            value = [value] if random.random() < 0.9 else {"x": value}
        container[key] = value
    elif kind == 4 and type(container[key]) in (int, float):
        factor = random.choice((-1, 0.5, 2, 10, 1e6, 1e-9, 1 + 1e-7))
        container[key] = type(container[key])(container[key] * factor)
    else:
        container[key] = random.choice(VALUES)
    return root


def _containers(value: Any) -> list[Any]:
    found, level = [], [value]
    while level:
        level = [each for each in level if isinstance(each, dict | list)]
        found += level
        level = [each for one in level for each in (one.values() if isinstance(one, dict) else one)]
    return found


def _safetensors(content: bytes, random: Random) -> bytes:
    """Change the header, or the numbers after it."""
    size = int.from_bytes(content[:8], "little")
    header, numbers = content[8 : 8 + size], content[8 + size :]
    if random.random() < 0.5:
        numbers = _bytes(numbers, numbers, random)
    else:
        header = _json(header, random)
    return len(header).to_bytes(8, "little") + header + numbers


def _onnx(content: bytes, random: Random) -> bytes:
    """Change a field of the message or of one inside it."""
    import onnx

    model = onnx.load_model_from_string(content)
    for _ in range(random.choice((1, 1, 3))):
        _message(model, random)
    return model.SerializeToString()


def _message(message: Any, random: Random) -> None:
    fields = message.ListFields()
    while fields:
        descriptor, value = random.choice(fields)
        is_message = descriptor.message_type is not None
        repeated = not hasattr(value, "ListFields") and hasattr(value, "extend")
        if is_message and (not repeated or (len(value) and random.random() < 0.7)):
            message = random.choice(list(value)) if repeated else value
            fields = message.ListFields()
            continue
        if repeated:
            _repeated(value, is_message, random)
        elif isinstance(value, bytes):
            setattr(message, descriptor.name, _bytes(value, value, random))
        elif isinstance(value, str):
            names = [value, "", "x", "ids", "logits", "w0", "Loop", "Add", "Concat", "Reshape"]
            setattr(message, descriptor.name, random.choice(names))
        else:
            number = random.choice((*NUMBERS[:9], -1, value + 1, value - 1))
            setattr(message, descriptor.name, type(value)(number))
        return


def _repeated(value: Any, is_message: bool, random: Random) -> None:
    number = random.randrange(len(value))
    if random.random() < 0.4:
        del value[number]
    elif is_message:
        value.add().CopyFrom(random.choice(list(value)))
    elif isinstance(value[number], int):
        value[number] = random.choice((0, 1, -1, 2, 7, 2**31, 2**40, 2**63 - 1))
    else:
        value.append(random.choice(list(value)))


def _parquet(content: bytes, random: Random) -> bytes:
    """Change the columns of the table, and the way in which it is written."""
    table = pq.ParquetFile(pa.BufferReader(content)).read()
    if len(table) > 10_000:
        raise ValueError("too large to be changed quickly")
    for _ in range(random.choice((1, 1, 2))):
        table = _table(table, random)
    if random.random() < 0.1:
        texts = {b"huggingface": random.choice(FRAGMENTS), b"reviews": random.choice(FRAGMENTS)}
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **texts})
    return parquet(
        table,
        compression=random.choice(("none", "snappy", "zstd", "gzip")),
        use_dictionary=random.random() < 0.5,
        row_group_size=random.choice((1, 3, 1_000)),
        data_page_version=random.choice(("1.0", "2.0")),
        store_schema=random.random() < 0.7,
    )


def _table(table: pa.Table, random: Random) -> pa.Table:
    number = random.randrange(table.num_columns)
    name, column = table.column_names[number], table.column(number)
    kind = random.randrange(7)
    if kind == 0:
        return table.drop_columns([name])
    if kind == 1:
        return table.append_column(random.choice((name, "", "x", "label", "\x1b[1m")), column)
    if kind == 2:
        names = [random.choice((each, "text", "", "\0", "é" * 200)) for each in table.column_names]
        return table.rename_columns(names)
    if kind == 3:
        return table.slice(random.randrange(len(table) + 1), random.choice((0, 1, 5, 1_000)))
    if kind == 4:
        return pa.concat_tables([table] * random.choice((2, 30)))
    values = column.to_pylist()
    for _ in range(random.choice((1, 1, len(values)))):
        if values:
            values[random.randrange(len(values))] = random.choice((*VALUES, b"\xff\xfe"))
    try:
        new = pa.array(values, random.choice((column.type, *TYPES)), from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, UnicodeError):
        new = pa.array([None] * len(table), random.choice(TYPES))
    return table.set_column(number, name, new)


FORMATS: dict[str, Mutation] = {
    "json": _json,
    "jsonl": _json_lines,
    "safetensors": _safetensors,
    "onnx": _onnx,
    "parquet": _parquet,
}
