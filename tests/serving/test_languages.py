"""Models of other tokenizers than the default: saved, loaded, pickled, exported and explained."""

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lstm_sentiment.config import Config, Tokenizer
from lstm_sentiment.data.subwords import MARK
from lstm_sentiment.data.tokenizer import tokenize
from lstm_sentiment.data.vocabulary import SPECIALS, Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.runs.network_folder import save_model
from lstm_sentiment.serving.export import export, random_texts
from lstm_sentiment.serving.predictor import Predictor
from lstm_sentiment.serving.torch_predictor import TorchPredictor

Make = Callable[..., Config]

WORDS = "der film war nicht langweilig langweilige 好看 不好看 电影 . ,".split()
TEXTS = [
    "Der Film war nicht langweilig.",
    "LANGWEILIGER Film, „größer“ als nichts",
    "电影不好看。Film 好看吗🎬",
    "ดีมาก ॐ \ud83d",
    "",
]


def saved(folder: Path, config: Config) -> Path:
    """Write a network with random weights and a small vocabulary of the config's tokenizer."""
    counts = np.arange(len(WORDS), 0, -1) * 3
    if config.data.tokenizer is Tokenizer.bpe:
        vocabulary = Vocabulary.of_subwords(WORDS, counts, 60)
    else:
        vocabulary = Vocabulary([*SPECIALS, *WORDS])
    torch.manual_seed(5)
    net = Classifier(config, len(vocabulary)).eval()
    nn.init.normal_(net.embedding.weight[1:])
    nn.init.normal_(net.output.weight)
    folder.mkdir()
    save_model(folder / "model", net, vocabulary, config)
    return folder


def loaded(folder: Path, config: Config) -> TorchPredictor:
    predictor = Predictor.load(saved(folder, config))
    assert isinstance(predictor, TorchPredictor)
    return predictor


@pytest.mark.parametrize("tokenizer", Tokenizer)
def test_every_form_of_a_model_has_the_same_logits(
    tiny: Make, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    model = loaded(tmp_path / "run", tiny(data={"tokenizer": tokenizer}))
    logits = model.logits(TEXTS)
    assert logits.std() > 0.01
    model.save(tmp_path / "saved")
    for other in (
        Predictor.load(tmp_path / "saved"),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
    ):
        assert other.logits(TEXTS).tolist() == logits.tolist()
    files = {file.name for file in (tmp_path / "saved").iterdir()}
    assert ("merges.json" in files) == (tokenizer is Tokenizer.bpe)
    export(model, tmp_path / "onnx", int8=False, texts=[*TEXTS, *random_texts(model)[:5]])
    exported = Predictor.load(tmp_path / "onnx")
    np.testing.assert_allclose(exported.logits(TEXTS), logits, atol=1e-5)
    assert exported.config.data.tokenizer is tokenizer


def test_a_text_is_read_in_the_subwords_of_the_training(tiny: Make, tmp_path: Path) -> None:
    model = loaded(tmp_path / "run", tiny(data={"tokenizer": "bpe"}))
    content = json.loads((tmp_path / "run" / "model" / "merges.json").read_text())
    assert content == [list(merge) for merge in model.vocabulary.merges or ()]
    (_, layout, ids), *_ = model._encoded_batches(["Film langweiliger"], [["film", "langweiliger"]])
    assert model.vocabulary.decode(ids) == ["▁film", "▁langweilige", "r"]
    assert layout.lengths.tolist() == [3]


@pytest.mark.parametrize("head", ["max", "max_attention"])
def test_explanations_show_whole_words(tiny: Make, tmp_path: Path, head: str) -> None:
    config = tiny(data={"tokenizer": "bpe"}, head={"kind": head})
    model = loaded(tmp_path / "run", config)
    for text in TEXTS:
        explanation = model.explain(text)
        attribution = explanation.attribution
        assert attribution.logit == pytest.approx(model.logits([text]).item(), abs=1e-5)
        total = attribution.baseline + sum(attribution.contributions) + attribution.gap
        assert total == pytest.approx(attribution.logit, abs=1e-5)
        assert len(explanation.tokens) == len(attribution.contributions)
        if attribution.attention is not None:
            assert sum(attribution.attention) == pytest.approx(1, abs=1e-5)
        spelled = "".join(tokenize(text, 2, Tokenizer.bpe))
        assert "".join(explanation.tokens) == spelled
    explanation = model.explain("Langweiliger Filmz, 电影x不好看")
    *words, comma = explanation.tokens[:3]
    assert (words, comma) == (["langweiliger", "filmz"], ",")
    assert explanation.known[:3] == (True, False, True)  # no training word has a z
    chinese = model.vocabulary.subwords("电影x不好看")
    assert chinese[0] == "▁电影"
    assert len(chinese) > 2
    assert explanation.tokens[3:] == ("电影", *chinese[1:])
    assert model.explain("映画").tokens == ("映", "画")  # the mark is no token of its own


def test_an_explanation_is_the_sum_over_subwords(tiny: Make, tmp_path: Path) -> None:
    """A model that reads the same ids without merges explains each of them."""
    model = loaded(tmp_path / "run", tiny(data={"tokenizer": "bpe"}))
    text = "langweiliger filmw der"
    subwords = model.vocabulary.tokens_of(text.split())
    assert len(subwords) > 3
    single = Vocabulary(model.vocabulary.words)
    plain = TorchPredictor(model.classifier, single, tiny())
    contributions = plain.explain(" ".join(subwords)).attribution.contributions
    ends = np.cumsum([len(model.vocabulary.subwords(word)) for word in text.split()])
    sums = [part.sum() for part in np.split(np.array(contributions), ends[:-1])]
    np.testing.assert_allclose(model.explain(text).attribution.contributions, sums, atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_rest_of_a_truncated_word_is_shown(tiny: Make, tmp_path: Path, side: str) -> None:
    config = tiny(data={"tokenizer": "bpe", "max_length": 2, "truncation_side": side})
    model = loaded(tmp_path / "run", config)
    assert model.vocabulary.subwords("langweiliger") == ["▁langweilige", "r"]
    explanation = model.explain("langweiliger film" if side == "left" else "film langweiliger")
    assert explanation.tokens == (("r", "film") if side == "left" else ("film", "langweilige"))
    assert explanation.unread == 1


def broken_merges(folder: Path, content: object) -> str:
    (folder / "model" / "merges.json").write_text(json.dumps(content))
    with pytest.raises(InputError) as refusal:
        Predictor.load(folder)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_merges_of_a_folder_are_not_trusted(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "run", tiny(data={"tokenizer": "bpe"}))
    merges = json.loads((folder / "model" / "merges.json").read_text())
    for content, reason in (
        ({}, "it is not a list of merges"),
        ([["a"]], "a merge must be two subwords (got ['a'])"),
        (["ab"], "a merge must be two subwords (got 'ab')"),
        ([["a", 1]], "a merge must be two subwords (got ['a', 1])"),
        ([["x" * 999, "y"]], f"the subword '{'x' * 60}' of the merge"),
        ([["f", "\ud83d"]], "is not in the vocabulary"),
        ([*merges, merges[0]], f"the merge {merges[0][0]!r} + {merges[0][1]!r} occurs twice"),
    ):
        message = broken_merges(folder, content)
        assert message.startswith(f"{folder / 'model' / 'merges.json'}: ")
        assert reason in message
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_WORDS", "70")
    assert "it has 71 words, more than the 70 allowed" in broken_merges(folder, [["a", "b"]] * 71)
    monkeypatch.delenv("LSTM_SENTIMENT_MAX_WORDS")
    (folder / "model" / "merges.json").unlink()
    with pytest.raises(InputError, match="merges.json"):
        Predictor.load(folder)


def test_half_a_surrogate_pair_in_the_vocabulary_of_subwords_is_refused(
    tiny: Make, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "run", tiny(data={"tokenizer": "bpe"}))
    file = folder / "model" / "vocab.json"
    words = json.loads(file.read_text())
    file.write_text(json.dumps([*words[:-1], "\ud83d"]))
    merges = json.loads((folder / "model" / "merges.json").read_text())
    assert "half a surrogate pair" in broken_merges(folder, merges[:-1])


def test_an_unknown_tokenizer_is_refused(tiny: Make, tmp_path: Path) -> None:
    folder = saved(tmp_path / "run", tiny())
    file = folder / "model" / "config.json"
    content = json.loads(file.read_text())
    content["config"]["data"]["tokenizer"] = "sentencepiece"
    file.write_text(json.dumps(content))
    with pytest.raises(InputError) as refusal:
        Predictor.load(folder)
    assert str(refusal.value) == (
        f"{file}: data.tokenizer must be one of basic_english, unicode, bpe (got 'sentencepiece')."
    )


def test_a_model_from_before_the_field_has_the_default(tiny: Make, tmp_path: Path) -> None:
    folder = saved(tmp_path / "run", tiny())
    file = folder / "model" / "config.json"
    content = json.loads(file.read_text())
    assert content["config"]["data"].pop("tokenizer") == "basic_english"
    file.write_text(json.dumps(content))
    assert Predictor.load(folder).config.data.tokenizer is Tokenizer.basic_english


def test_random_texts_have_no_marks(tiny: Make, tmp_path: Path) -> None:
    model = loaded(tmp_path / "run", tiny(data={"tokenizer": "bpe"}))
    assert MARK not in "".join(random_texts(model))
