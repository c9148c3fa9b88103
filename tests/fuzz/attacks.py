"""Small files that once cost much memory or time, or crashed a reader, made by code.

Regressions that are small as files lie in `regressions/`.
"""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from tests.fuzz import seeds
from tests.fuzz.cases import Case

MIB = 2**20
DEEP = b"[" * 100_000


def changed(case: Case, name: str, change: Callable[[Any], object]) -> Case:
    """Return a case with a change of the content of a JSON file, made in place."""
    content = json.loads(case[name])
    change(content)
    return case | {name: json.dumps(content).encode()}  # type: ignore[operator]


def models() -> dict[str, Case]:
    """Return model folders."""
    folder, attention, *_ = seeds.models()
    padded = seeds.network(seeds.network_config("rnn", "last", padding="keras"))
    config, words = "run/model/config.json", "run/model/vocab.json"

    def longest(content: Any) -> None:
        content["config"]["data"]["max_length"] = 1_000_000

    return {
        "many-lists": {**folder, words: b"[" + b"[]," * (11 * MIB) + b"[]]"},
        "deep-configuration": {**folder, config: DEEP},
        "deep-vocabulary": {**folder, words: DEEP},
        "long-padding": changed(padded, config, longest),
        "long-reviews": changed(attention, config, longest),
    }


def onnx_folders() -> dict[str, Case]:
    """Return folders for ONNX Runtime with graphs that the project does not write."""
    import onnx
    from onnx import helper, numpy_helper

    folder = seeds.onnx_folders()[0]
    name = "run/model.onnx"

    def graph(change: Callable[[Any], object]) -> Case:
        model = onnx.load_model_from_string(folder[name])
        change(model.graph)
        return {**folder, name: model.SerializeToString()}

    def instead(*nodes: Any, **weights: Any) -> Case:
        """Replace all nodes but keep the weights."""
        import numpy as np

        def change(graph: Any) -> None:
            del graph.node[:]
            graph.node.extend(nodes)
            graph.initializer.extend(
                numpy_helper.from_array(np.array(value), key) for key, value in weights.items()
            )

        return graph(change)

    cast = helper.make_node("Cast", ["lengths"], ["x0"], to=1)
    doubled = [
        helper.make_node("Concat", [f"x{i}", f"x{i}"], [f"x{i + 1}"], axis=0) for i in range(29)
    ]
    last = helper.make_node("ReduceMax", ["x29"], ["logits"], keepdims=1)
    logits = helper.make_node("Cast", ["lengths"], ["logits"], to=1)
    ones = helper.make_node("Add", ["x0", "ones"], ["logits"])

    def twice(graph: Any) -> None:
        import numpy as np

        first = graph.initializer[0]
        broken = numpy_helper.from_array(np.full(tuple(first.dims), np.nan, np.float32), first.name)
        weights = [broken, *graph.initializer]
        del graph.initializer[:]
        graph.initializer.extend(weights)

    return {
        "doubled": instead(cast, *doubled, last),
        "range": instead(
            cast,
            helper.make_node("Range", ["zero", "end", "one"], ["range"]),
            helper.make_node("Cast", ["range"], ["numbers"], to=1),
            helper.make_node("ReduceMax", ["numbers"], ["largest"], keepdims=0),
            helper.make_node("Add", ["x0", "largest"], ["logits"]),
            zero=0,
            end=2**30,
            one=1,
        ),
        "gather-out-of-bounds": instead(
            helper.make_node("Gather", ["two", "ids"], ["rows"]), logits, two=[[0.0], [0.0]]
        ),
        "shape-mismatch": instead(cast, ones, ones=[1.0] * 7),
        "weights-twice": graph(twice),
    }


def records() -> dict[str, Case]:
    """Return sweeps."""
    [sweep] = seeds.records_alone()
    run = next(name for name in sweep if name.startswith("sweep/lstm") and "run.json" in name)

    def counts(content: Any) -> None:
        content["val"]["confusion_matrix"][0][0] = 1e300

    return {
        "huge-counts": changed(sweep, run, counts),
        "deep-record": {**sweep, run: DEEP},
        "long-digits": {**sweep, run: b"1" * 100_000},
        "hostile-plan": {
            **sweep,
            "sweep/sweep.json": b'["a\\u0000b", "\\ud800", "../..", "/etc", "\\u001b[2J", "x", ""]',
        },
    }


def predictions() -> dict[str, Case]:
    """Return sweeps whose predictions repeat one value very often."""
    case = seeds.predictions()[1]
    name = next(name for name in case if name.endswith("predictions.parquet"))
    bomb = pa.DictionaryArray.from_arrays(pa.array([0] * 2_000, pa.int32()), ["x" * MIB])
    content = seeds.parquet(pa.table({"split": bomb}), compression="zstd", store_schema=False)
    return {"dictionary": {**case, name: content}}


def delimited() -> dict[str, Case]:
    """Return CSV files."""
    return {
        "long-line": {"reviews.csv.gz": gzip.compress(b"text\n" + b"a" * (20 * MIB), 1, mtime=0)},
        "many-columns": {"reviews.csv": b"text," + b"a," * 100_000 + b"\n"},
        "open-quote": {"reviews.csv": b"text\n" + b'"' + b"a\n" * (MIB // 2)},
    }


def json_lines() -> dict[str, Case]:
    """Return files of JSON Lines."""
    line = b'{"text": "' + b"a" * (20 * MIB)
    return {
        "long-line": {"reviews.jsonl.gz": gzip.compress(line, 1, mtime=0)},
        "deep": {"reviews.jsonl": b'{"text": ' + DEEP},
    }


def parquet_tables() -> dict[str, Case]:
    """Return Parquet files with a few long values, each of which many rows refer to."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000, pa.int32()), ["a" * (4 * MIB)])
    # Without Arrow's schema, the dictionary is not part of the type, but only of the encoding.
    content = seeds.parquet(pa.table({"text": text}), compression="zstd", store_schema=False)
    return {"dictionary": {"reviews.parquet": content}}


def word_vectors() -> dict[str, Case]:
    """Return a compressed file with one long line."""
    return {"long-line": {"vectors.txt": gzip.compress(b"1 " * (10 * MIB), 1, mtime=0)}}
