"""Exported networks predict like the originals, and no other graph is read."""

import copy
import json
import pickle
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_sentiment.commands.main import main
from lstm_sentiment.config import Cell, Config, HeadKind
from lstm_sentiment.data.vocabulary import SPECIALS, Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.serving.predictor import Predictor
from tests.support.networks import TEXTS, WORDS, drawn, predictor, saved

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from lstm_sentiment.serving import export as export_module  # noqa: E402
from lstm_sentiment.serving import onnx_graph, onnx_model  # noqa: E402
from lstm_sentiment.serving.export import Comparison, export, random_texts  # noqa: E402

Make = Callable[..., Config]
# What an export promises to support; a new cell or head may be trained without being exported.
CELLS, HEADS = [*onnx_graph.CELL_NODES], [*onnx_graph.HEAD_BUILDERS]
ENCODERS = [*product(CELLS, (1, 3), (False, True))]
PADDINGS = ("exact", "keras", "trailing")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("cell", "num_layers", "bidirectional"), ENCODERS)
def test_an_exported_network_predicts_the_same(
    tiny: Make,
    tmp_path: Path,
    cell: Cell,
    num_layers: int,
    bidirectional: bool,
    head: HeadKind,
) -> None:
    """Texts are predicted alone and in a batch; some are truncated, padded or empty.

    Each encoder and each head meet each padding.
    """
    number = ENCODERS.index((cell, num_layers, bidirectional)) + HEADS.index(head)
    padding = PADDINGS[number % len(PADDINGS)]
    config = tiny(
        encoder={"cell": cell, "num_layers": num_layers, "bidirectional": bidirectional},
        head={"kind": head},
        data={"padding": padding, "max_length": 30},
    )
    network = predictor(tmp_path / "run", config)
    comparison = export(network, tmp_path / "onnx", False, TEXTS)
    exported = Predictor.load(tmp_path / "onnx")
    expected = network.logits(TEXTS)
    assert expected.std() > 0.01
    np.testing.assert_allclose(exported.logits(TEXTS), expected, atol=2e-5)
    alone = [exported.logits([text])[0] for text in TEXTS]
    np.testing.assert_allclose(alone, expected, atol=2e-5)
    assert comparison.difference < 1e-5
    assert comparison.agreement == 1
    assert comparison.texts == len(TEXTS)


@pytest.mark.parametrize("head", ["last", "max_attention"])
@pytest.mark.parametrize("cell", CELLS)
def test_weights_in_8_bits_are_smaller_and_predict_nearly_the_same(
    tiny: Make, tmp_path: Path, cell: Cell, head: str
) -> None:
    config = tiny(
        encoder={"cell": cell, "hidden_size": 32}, embedding={"dim": 64}, head={"kind": head}
    )
    network = predictor(tmp_path / "run", config)
    full = export(network, tmp_path / "onnx", False, TEXTS)
    small = export(network, tmp_path / "int8", True, TEXTS)
    assert small.size < full.size * (0.5 if cell is Cell.lstm else 0.95)
    errors = np.abs(Predictor.load(tmp_path / "int8").logits(TEXTS) - network.logits(TEXTS))
    assert 1e-5 < errors.max() < 0.3 * network.logits(TEXTS).std()


@pytest.mark.parametrize("padding", ["exact", "keras"])
@pytest.mark.parametrize(("cell", "head"), [*product(CELLS, ["last", "flatten", "max_attention"])])
def test_in_8_bits_a_logit_does_not_depend_on_the_other_reviews(
    tiny: Make, tmp_path: Path, cell: Cell, head: str, padding: str
) -> None:
    """The same text has exactly the same logit alone, in a batch, and in another order.

    ONNX Runtime scales the numbers of a whole batch together.
    """
    config = tiny(
        encoder={"cell": cell, "bidirectional": True},
        head={"kind": head},
        data={"padding": padding, "max_length": 30},
    )
    words = Vocabulary([*SPECIALS, *WORDS])
    onnx_model.save_onnx(tmp_path / "int8", drawn(config), words, config, int8=True)
    network = Predictor.load(tmp_path / "int8")
    together = network.logits(TEXTS)
    assert together.std() > 0.01
    assert together.tolist() == [network.logits([text]).item() for text in TEXTS]
    assert together.tolist() == network.logits(TEXTS[::-1])[::-1].tolist()


def test_an_export_says_how_fast_it_is() -> None:
    comparison = Comparison(3 * 2**20, 0.00012, 0.995, 1, (1_234.4, 2_500.6))
    assert comparison.summary == (
        "3.0 MiB; on 1 text, 99.50% of the labels are the same, and probabilities differ by at "
        "most 1.2e-04; 2,501 texts per second (before the export: 1,234)."
    )


def test_an_export_that_predicts_differently_is_not_written(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = predictor(tmp_path / "run", tiny())
    other_config = tiny(encoder={"cell": "gru"})
    other = drawn(other_config)
    save_onnx = export_module.save_onnx

    def save_other(
        folder: Path, _net: object, words: Vocabulary, _config: object, *rest: Any
    ) -> None:
        save_onnx(folder, other, words, other_config, *rest)

    monkeypatch.setattr(export_module, "save_onnx", save_other)
    with pytest.raises(InputError, match="predicts differently: .* MiB; on 8 texts"):
        export(network, tmp_path / "out" / "onnx", False, TEXTS)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("preparation", [1, 2])
def test_an_exported_network_tokenizes_as_the_original(
    tiny: Make, tmp_path: Path, preparation: int
) -> None:
    original = predictor(tmp_path / "run", tiny(data={"preparation": preparation}))
    texts = ["It’s ｇｏｏｄ…", "<p>bad</p>", "not&nbsp;bad"]
    export(original, tmp_path / "onnx", int8=False, texts=texts)
    loaded = Predictor.load(tmp_path / "onnx")
    assert loaded.config.data.preparation == preparation
    np.testing.assert_allclose(loaded.logits(texts), original.logits(texts), atol=1e-5)


def test_an_export_replaces_an_export_and_nothing_else(tiny: Make, tmp_path: Path) -> None:
    network = predictor(tmp_path / "run", tiny())
    export(network, tmp_path / "onnx", False, TEXTS)
    export(network, tmp_path / "onnx", True, TEXTS)
    with pytest.raises(InputError, match="run contains .*, which was not written by"):
        export(network, tmp_path / "run", False, TEXTS)
    assert Predictor.load(tmp_path / "run").predict(TEXTS[0])
    with pytest.raises(InputError, match="exported again"):
        export(Predictor.load(tmp_path / "onnx"), tmp_path / "more", False, TEXTS)
    with pytest.raises(InputError, match="no texts"):
        export(network, tmp_path / "more", False, [])


def test_an_exported_network_cannot_be_explained(tiny: Make, tmp_path: Path) -> None:
    export(predictor(tmp_path / "run", tiny()), tmp_path / "onnx", False, TEXTS)
    with pytest.raises(InputError, match="has no gradients"):
        Predictor.load(tmp_path / "onnx").predict(TEXTS[0], weights=True)


@pytest.mark.parametrize("int8", [False, True])
def test_an_exported_network_can_be_pickled_and_copied(
    tiny: Make, tmp_path: Path, int8: bool
) -> None:
    export(predictor(tmp_path / "run", tiny()), tmp_path / "onnx", int8, TEXTS)
    network = Predictor.load(tmp_path / "onnx")
    for copied in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        assert copied.logits(TEXTS).tolist() == network.logits(TEXTS).tolist()
        assert copied.config == network.config


def test_random_texts_have_known_words_and_all_lengths(tiny: Make, tmp_path: Path) -> None:
    network = predictor(tmp_path / "run", tiny())
    texts = [text.split() for text in random_texts(network)]
    assert len(texts[0]) == 1
    assert len(texts[-1]) == network.config.data.max_length + 1
    words = {word for text in texts for word in text}
    assert words == set(network.vocabulary.words) - set(SPECIALS)


@pytest.fixture
def exported(tiny: Make, tmp_path: Path) -> Path:
    network = predictor(tmp_path / "run", tiny(head={"kind": "flatten"}, data={"max_length": 20}))
    export(network, tmp_path / "onnx", False, TEXTS)
    return tmp_path / "onnx"


def error_of_loading(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        Predictor.load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_damaged_files_are_refused(exported: Path, tmp_path: Path) -> None:
    file = exported / "model.onnx"
    intact = file.read_bytes()
    for content in (b"", intact[:1000], b"\x80\x04" + intact, intact[:-500], b"{}"):
        file.write_bytes(content)
        assert "model.onnx" in error_of_loading(exported)
    file.unlink()
    shutil.copy(tmp_path / "run" / "model" / "config.json", file)
    assert "damaged" in error_of_loading(exported)
    file.unlink()
    (tmp_path / "outside").write_bytes(intact)
    file.symlink_to(tmp_path / "outside")
    assert "a link, which is not followed" in error_of_loading(exported)


def test_a_vocabulary_of_another_size_is_refused(exported: Path) -> None:
    words = json.loads((exported / "vocab.json").read_text())
    (exported / "vocab.json").write_text(json.dumps(words[:-1]))
    assert "is 'w0': 22 x 5 in FLOAT, but" in error_of_loading(exported)
    assert "vocabulary need 'w0': 21 x 5 in FLOAT" in error_of_loading(exported)


def error_after(exported: Path, change: Callable[[onnx.ModelProto], None]) -> str:
    model = onnx.load(exported / "model.onnx")
    change(model)
    (exported / "model.onnx").write_bytes(model.SerializeToString())
    return error_of_loading(exported)


def test_weights_in_another_file_are_not_opened(exported: Path) -> None:
    def move(model: onnx.ModelProto) -> None:
        weight = model.graph.initializer[0]
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "/etc/passwd"), ("offset", "0"), ("length", "100")):
            entry = weight.external_data.add()
            entry.key, entry.value = key, value

    assert "in another file, which is not opened" in error_after(exported, move)


def values_of(model: onnx.ModelProto, name: str) -> np.ndarray:
    return numpy_helper.to_array(next(w for w in model.graph.initializer if w.name == name)).copy()


def put(model: onnx.ModelProto, name: str, values: np.ndarray) -> None:
    weight = next(w for w in model.graph.initializer if w.name == name)
    weight.CopyFrom(numpy_helper.from_array(values, name))


def with_nan(model: onnx.ModelProto) -> None:
    values = values_of(model, "w0")
    values[3, 2] = np.nan
    put(model, "w0", values)


def with_another_constant(model: onnx.ModelProto) -> None:
    """Let `flatten` pad to terabytes."""
    name = next(w.name for w in model.graph.initializer if w.dims == [1] and w.data_type == 7
                and values_of(model, w.name).tolist() == [6 * 20])  # fmt: skip
    put(model, name, np.array([2**40]))


def with_tensor_in_node(model: onnx.ModelProto) -> None:
    node = helper.make_node("Identity", ["v0_0"], ["x"], value=numpy_helper.from_array(np.zeros(3)))
    model.graph.node.append(node)


def with_function(model: onnx.ModelProto) -> None:
    model.functions.append(
        helper.make_function("d", "f", ["x"], ["y"], [helper.make_node("Neg", ["x"], ["y"])], [])
    )


CHANGES: dict[str, tuple[Callable[[onnx.ModelProto], object], str]] = {
    "another node": (lambda m: m.graph.node.append(helper.make_node("Loop", [], ["x"])), "Loop"),
    "a node less": (lambda m: m.graph.node.pop(), "is missing, but"),
    "nodes in another order": (lambda m: m.graph.node.reverse(), "its node 1 is"),
    "another kind of node": (lambda m: setattr(m.graph.node[1], "op_type", "Tanh"), "Tanh"),
    "another domain": (lambda m: setattr(m.graph.node[0], "domain", "x"), "its node 1 is"),
    "an attribute": (lambda m: m.graph.node[1].attribute[0].ints.__setitem__(0, 0), "its node 2"),
    "a tensor in a node": (with_tensor_in_node, "Identity"),
    "a function": (with_function, "its function 1 is"),
    "another opset": (lambda m: setattr(m.opset_import[0], "version", 18), "set of operators 1"),
    "another input": (lambda m: setattr(m.graph.input[0], "name", "tokens"), "its input 1 is"),
    "a shape of an output": (
        lambda m: setattr(m.graph.output[0].type.tensor_type.shape.dim[0], "dim_value", 1),
        "its output 1 is",
    ),
    "a weight twice": (
        lambda m: m.graph.initializer.append(m.graph.initializer[0]),
        "is 'w0': 22 x 5 in FLOAT, but the configured network and its vocabulary need missing",
    ),
    "a huge shape": (
        lambda m: m.graph.initializer[0].dims.__setitem__(1, 2**30),
        "is 'w0': 22 x 1073741824 in FLOAT",
    ),
    "an unknown type": (lambda m: setattr(m.graph.initializer[0], "data_type", 99), "cannot be"),
    "too few numbers": (
        lambda m: setattr(m.graph.initializer[0], "raw_data", bytes(8)), "cannot be read"
    ),
    "not a number": (with_nan, "its weights 'w0' are not all finite"),
    "another constant": (with_another_constant, "is not that of the configured network"),
    "many small parts": (
        lambda m: m.graph.node.extend(onnx.NodeProto() for _ in range(100_000)), "it is damaged"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_another_graph_than_that_of_the_configuration_is_refused(exported: Path, name: str) -> None:
    change, reason = CHANGES[name]
    assert reason in error_after(exported, change)


def test_what_does_not_change_the_graph_is_ignored(exported: Path) -> None:
    """The names of producers, and the shapes of intermediate results."""
    before = Predictor.load(exported).logits(TEXTS)
    model = onnx.load(exported / "model.onnx")
    model.producer_name, model.producer_version = "another", "9"
    shape = helper.make_tensor_value_info("v0_0", TensorProto.FLOAT, [2**40, 1])
    model.graph.value_info.append(shape)
    (exported / "model.onnx").write_bytes(model.SerializeToString())
    assert Predictor.load(exported).logits(TEXTS).tolist() == before.tolist()


@pytest.mark.parametrize("int8", [False, True])
def test_the_shape_of_a_network_gives_the_graph_that_is_written(
    tiny: Make, tmp_path: Path, int8: bool
) -> None:
    """Only the weights have no data, and those of two directions have another shape than of one."""
    config = tiny(encoder={"bidirectional": True, "num_layers": 2}, head={"kind": "attention"})
    words = Vocabulary([*SPECIALS, *WORDS])
    onnx_model.save_onnx(tmp_path / "onnx", drawn(config), words, config, int8)
    written = onnx.load(tmp_path / "onnx" / "model.onnx")
    network, *_ = onnx_model.read_onnx(tmp_path / "onnx")
    read = onnx.load_model_from_string(network.content)
    assert read.graph.node == written.graph.node
    for given, kept in zip(written.graph.initializer, read.graph.initializer, strict=True):
        assert numpy_helper.to_array(given).tolist() == numpy_helper.to_array(kept).tolist()
    assert network.one_by_one == int8


@pytest.mark.parametrize("int8", [False, True])
def test_a_flipped_bit_is_refused_or_leaves_a_finite_answer(
    tiny: Make, tmp_path: Path, int8: bool
) -> None:
    config = tiny(head={"kind": "max"})
    folder = tmp_path / "onnx"
    onnx_model.save_onnx(folder, drawn(config), Vocabulary([*SPECIALS, *WORDS]), config, int8)
    file, random, accepted = folder / "model.onnx", np.random.default_rng(0), 0
    intact = file.read_bytes()
    for _ in range(10):
        content = bytearray(intact)
        content[random.integers(len(content))] ^= 1 << random.integers(8)
        file.write_bytes(content)
        with suppress(InputError):
            assert np.isfinite(Predictor.load(folder).logits(TEXTS[:1])).all()
            accepted += 1
    assert 0 < accepted < 10


@pytest.mark.parametrize(
    ("table", "choice", "problem"),
    [
        ("HEAD_BUILDERS", HeadKind.last, "head.kind=last cannot .*allowed are flatten, max, "),
        ("CELL_NODES", Cell.lstm, "encoder.cell=lstm cannot .*allowed are rnn, gru"),
    ],
)
def test_a_part_without_an_onnx_form_is_refused(
    tiny: Make,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    choice: str,
    problem: str,
) -> None:
    """A new head or cell can be trained at once; the refusal says which can be exported."""
    run = saved(tmp_path / "run", tiny())
    monkeypatch.delitem(getattr(onnx_graph, table), choice)
    assert main(["export", str(run), "--onnx"]) == 1
    error = capsys.readouterr().err
    assert re.search(problem, error)
    assert error.count("\n") == 1
    assert [path.name for path in run.iterdir()] == ["model"]


@pytest.mark.parametrize("cell", [cell for cell in Cell if cell.is_elementwise])
def test_a_cell_that_onnx_lacks_is_refused(
    tiny: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], cell: Cell
) -> None:
    run = saved(tmp_path / "run", tiny(encoder={"cell": cell}))
    assert main(["export", str(run), "--onnx"]) == 1
    problem = f"encoder.cell={cell} cannot be exported to ONNX: allowed are rnn, lstm, gru."
    assert capsys.readouterr().err == problem + "\n"
    assert [path.name for path in run.iterdir()] == ["model"]
