"""What is exported answers as its network does, and a graph is believed only if it is ours."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from networks import TEXTS, drawn, predictor

from lstm_sentiment.config import Cell, Config, HeadKind
from lstm_sentiment.data.tokens import SPECIALS
from lstm_sentiment.errors import InputError
from lstm_sentiment.serving.predictor import Predictor

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from lstm_sentiment.serving import export as export_module  # noqa: E402
from lstm_sentiment.serving import onnx_graph  # noqa: E402
from lstm_sentiment.serving.export import export, random_texts  # noqa: E402

Make = Callable[..., Config]
GRID = [(cell, depth, two) for cell in Cell for depth in (1, 3) for two in (False, True)]


@pytest.mark.parametrize("padding", ["exact", "keras", "trailing"])
@pytest.mark.parametrize("head", HeadKind)
@pytest.mark.parametrize(("cell", "depth", "two"), GRID)
def test_an_exported_network_answers_alike(
    tiny: Make, tmp_path: Path, cell: Cell, depth: int, two: bool, head: HeadKind, padding: str
) -> None:
    """Alone and in batches of any length, cut, padded and empty texts among them."""
    config = tiny(
        encoder={"cell": cell, "num_layers": depth, "bidirectional": two},
        head={"kind": head},
        data={"padding": padding, "max_length": 30},
    )
    ours = predictor(tmp_path / "run", config)
    done = export(ours, tmp_path / "onnx", False, TEXTS)
    theirs = Predictor.load(tmp_path / "onnx")
    expected = ours.logits(TEXTS)
    assert expected.std() > 0.01
    np.testing.assert_allclose(theirs.logits(TEXTS), expected, atol=2e-5)
    alone = [theirs.logits([text])[0] for text in TEXTS]
    np.testing.assert_allclose(alone, expected, atol=2e-5)
    assert done.difference < 1e-5
    assert done.agreement == 1
    assert done.texts == len(TEXTS)


@pytest.mark.parametrize("head", ["last", "max_attention"])
@pytest.mark.parametrize("cell", Cell)
def test_eight_bits_take_less_and_say_nearly_the_same(
    tiny: Make, tmp_path: Path, cell: Cell, head: str
) -> None:
    config = tiny(
        encoder={"cell": cell, "hidden_size": 32}, embedding={"dim": 64}, head={"kind": head}
    )
    ours = predictor(tmp_path / "run", config)
    whole = export(ours, tmp_path / "onnx", False, TEXTS)
    small = export(ours, tmp_path / "int8", True, TEXTS)
    assert small.size < whole.size * (0.5 if cell is Cell.lstm else 0.95)
    theirs = Predictor.load(tmp_path / "int8").logits(TEXTS)
    error = np.abs(theirs - ours.logits(TEXTS))
    assert 1e-5 < error.max() < 0.3 * ours.logits(TEXTS).std()


def test_an_export_that_answers_otherwise_is_not_written(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = predictor(tmp_path / "run", tiny())
    other = drawn(tiny(encoder={"cell": "gru"}))
    whole = export_module.save_onnx

    def wrong(folder: Path, _: object, vocabulary: object, config: Config, int8: bool) -> None:
        config = tiny(encoder={"cell": "gru"})
        whole(folder, other, vocabulary, config, int8)  # type: ignore[arg-type]

    monkeypatch.setattr(export_module, "save_onnx", wrong)
    with pytest.raises(InputError, match="The exported network answers otherwise: .* MiB; on 8 te"):
        export(ours, tmp_path / "out" / "onnx", False, TEXTS)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_export_takes_the_place_of_another_and_of_nothing_else(
    tiny: Make, tmp_path: Path
) -> None:
    ours = predictor(tmp_path / "run", tiny())
    export(ours, tmp_path / "onnx", False, TEXTS)
    export(ours, tmp_path / "onnx", True, TEXTS)
    with pytest.raises(InputError, match="run exists and holds no exported network"):
        export(ours, tmp_path / "run", False, TEXTS)
    assert Predictor.load(tmp_path / "run").predict(TEXTS[0])
    with pytest.raises(InputError, match="exported already"):
        export(Predictor.load(tmp_path / "onnx"), tmp_path / "more", False, TEXTS)
    with pytest.raises(InputError, match="no text"):
        export(ours, tmp_path / "more", False, [])


def test_an_exported_network_explains_nothing(tiny: Make, tmp_path: Path) -> None:
    export(predictor(tmp_path / "run", tiny()), tmp_path / "onnx", False, TEXTS)
    with pytest.raises(InputError, match="has no gradients"):
        Predictor.load(tmp_path / "onnx").predict(TEXTS[0], weights=True)


def test_random_texts_are_of_known_words_and_of_every_length(tiny: Make, tmp_path: Path) -> None:
    ours = predictor(tmp_path / "run", tiny())
    texts = [text.split() for text in random_texts(ours)]
    assert len(texts[0]) == 1
    assert len(texts[-1]) == ours.config.data.max_length + 1
    words = {word for text in texts for word in text}
    assert words == set(ours.vocabulary.words) - set(SPECIALS)


@pytest.fixture
def exported(tiny: Make, tmp_path: Path) -> Path:
    ours = predictor(tmp_path / "run", tiny(head={"kind": "flatten"}, data={"max_length": 20}))
    export(ours, tmp_path / "onnx", False, TEXTS)
    return tmp_path / "onnx"


def refused(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        Predictor.load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_damage_is_said(exported: Path, tmp_path: Path) -> None:
    file = exported / "model.onnx"
    whole = file.read_bytes()
    for content in (b"", whole[:1000], b"\x80\x04" + whole, whole[:-500], b"{}"):
        file.write_bytes(content)
        assert "model.onnx" in refused(exported)
    file.unlink()
    shutil.copy(tmp_path / "run" / "model" / "config.json", file)
    assert "damaged, or something else" in refused(exported)
    file.unlink()
    (tmp_path / "outside").write_bytes(whole)
    file.symlink_to(tmp_path / "outside")
    assert "leads out of its folder" in refused(exported)


def test_other_words_are_refused(exported: Path) -> None:
    words = json.loads((exported / "vocab.json").read_text())
    (exported / "vocab.json").write_text(json.dumps(words[:-1]))
    assert "its network has not the 21 words of its vocabulary" in refused(exported)


def changed(exported: Path, change: Callable[[onnx.ModelProto], None]) -> str:
    model = onnx.load(exported / "model.onnx")
    change(model)
    (exported / "model.onnx").write_bytes(model.SerializeToString())
    return refused(exported)


def test_weights_elsewhere_are_not_opened(exported: Path) -> None:
    def move(model: onnx.ModelProto) -> None:
        weight = model.graph.initializer[0]
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "/etc/passwd"), ("offset", "0"), ("length", "100")):
            entry = weight.external_data.add()
            entry.key, entry.value = key, value

    assert "lie in another file, which is not opened" in changed(exported, move)


def test_a_graph_of_other_nodes_is_refused(exported: Path) -> None:
    def insert(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node("Loop", [], ["x"]))

    assert "a node 'Loop', which is not allowed" in changed(exported, insert)


def test_numbers_within_nodes_are_refused(exported: Path) -> None:
    def insert(model: onnx.ModelProto) -> None:
        value = numpy_helper.from_array(np.zeros(3, np.float32))
        node = helper.make_node("Identity", ["v0_0"], ["x"], value=value)
        model.graph.node.append(node)

    assert "holds a graph or numbers of its own" in changed(exported, insert)


def test_padding_without_bounds_is_refused(exported: Path) -> None:
    def widen(model: onnx.ModelProto) -> None:
        for weight in model.graph.initializer:
            if numpy_helper.to_array(weight).tolist() == [6 * 20]:  # what flatten pads to
                weight.CopyFrom(numpy_helper.from_array(np.array([2**40]), weight.name))
                return
        raise AssertionError

    assert "pads beyond its own weights" in changed(exported, widen)


def test_a_shape_that_is_only_declared_is_refused(exported: Path) -> None:
    def declare(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].dims[:] = [22, 2**30]

    assert "larger than its file" in changed(exported, declare)


def test_weights_that_are_no_numbers_are_refused(exported: Path) -> None:
    def spoil(model: onnx.ModelProto) -> None:
        weight = model.graph.initializer[0]
        values = numpy_helper.to_array(weight).copy()
        values[3, 2] = np.nan
        weight.CopyFrom(numpy_helper.from_array(values, weight.name))

    assert "not finite" in changed(exported, spoil)


def test_another_signature_is_refused(exported: Path) -> None:
    def rename(model: onnx.ModelProto) -> None:
        model.graph.input[0].name = "tokens"

    assert "does not read ids and lengths" in changed(exported, rename)


def test_what_has_no_form_is_said(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(head={"kind": "max"})
    monkeypatch.delitem(onnx_graph.HEADS, HeadKind.max)
    with pytest.raises(InputError, match="The head max has no form in ONNX: last, flatten, avg"):
        onnx_graph.onnx_model(drawn(config), config)
