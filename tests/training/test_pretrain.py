"""Training language models: the same after a kill, never on held-out texts, and what follows."""

import json
import shutil
from dataclasses import replace
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lstm_sentiment import Config, run
from lstm_sentiment.commands.main import main
from lstm_sentiment.config import (
    DataConfig,
    EmbeddingConfig,
    EncoderConfig,
    OptimizerConfig,
    Tokenizer,
    TrainerConfig,
)
from lstm_sentiment.config_pretraining import LanguageModelConfig, PretrainingConfig
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.language_batches import EncodedTexts, PieceOrder, RowBatches, RowOrder
from lstm_sentiment.display import SILENT
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.language_module import LanguageModule
from lstm_sentiment.runs.language_model_folder import read_language_model
from lstm_sentiment.training.pretrain import PretrainingPlan, pretrain
from lstm_sentiment.training.run import execute
from tests.support.corpora import refusal_of
from tests.support.project import Killed, StepCalls, folder_of
from tests.support.tables import write_columns

WORDS = "film plot actor scene music ending joke script".split()
ADJECTIVES = {1: "good great fine".split(), 0: "bad dull poor".split()}


def texts(count: int, seed: int) -> tuple[list[str], list[int]]:
    """Return different sentences, and whether their adjectives are positive."""
    random = np.random.default_rng(seed)
    labels = [row % 2 for row in range(count)]
    written = [
        " ".join(
            f"the {random.choice(WORDS)} was {random.choice(ADJECTIVES[label])}"
            for _ in range(random.integers(2, 5))
        )
        + f" {seed} {row}"
        for row, label in enumerate(labels)
    ]
    return written, labels


@pytest.fixture
def imdb(tmp_path: Path) -> Path:
    folder = tmp_path / "imdb"
    train, labels = texts(60, 1)
    test, test_labels = texts(20, 2)
    write_columns(folder / "train.parquet", train, labels)
    write_columns(folder / "test.parquet", test, test_labels)
    others = [*texts(80, 3)[0], test[4]]  # a copy of a test review among the unlabelled ones
    write_columns(folder / "unsupervised.parquet", others, [-1] * len(others))
    return folder


def configuration(imdb: Path, cache: str, root: Path, **fields: Any) -> PretrainingConfig:
    chosen: dict[str, Any] = {
        "encoder": EncoderConfig(hidden_size=6, recurrent_dropout=0.2),
        "embedding": EmbeddingConfig(dim=5),
        "data": DataConfig(path=str(imdb), cache=cache, batch_size=8, max_length=12, max_vocab=40),
        "language_model": LanguageModelConfig(parts=3, held_out=0.1),
        "optimizer": OptimizerConfig(lr=0.01, schedule="one_cycle"),  # type: ignore[arg-type]
        "trainer": TrainerConfig(max_epochs=2, enable_progress_bar=False),
        "root": str(root),
    }
    return PretrainingConfig(**{**chosen, **fields})


def trained(config: PretrainingConfig) -> tuple[Path, dict[str, Any]]:
    plan = PretrainingPlan.of(config, DataCache())
    return plan.folder, execute(plan, SILENT, train=pretrain)


@pytest.mark.parametrize("truncation", [None, 4])
def test_a_killed_language_model_is_resumed_to_the_last_digit(
    imdb: Path, cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truncation: int | None
) -> None:
    language_model = LanguageModelConfig(parts=3, held_out=0.1, truncation=truncation)
    undisturbed = configuration(imdb, cache, tmp_path / "a", language_model=language_model)
    folder, record = trained(undisturbed)
    assert len(record["parts"]) == 6

    killed = replace(undisturbed, root=str(tmp_path / "b"))
    step, calls = LanguageModule.training_step, 0
    batches = len(order_of(undisturbed))

    def counted(self: LanguageModule, batch: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2 * batches + 2:  # in the third part
            raise Killed
        return step(self, batch)

    monkeypatch.setattr(LanguageModule, "training_step", counted)
    with pytest.raises(Killed):
        trained(killed)
    resumed_folder, resumed = trained(killed)

    assert calls == 2 * batches + 2 + 4 * batches  # parts 3 to 6 once more
    assert [part["val"] for part in resumed["parts"]] == [part["val"] for part in record["parts"]]
    assert [part["train"] for part in resumed["parts"]] == [p["train"] for p in record["parts"]]
    assert [attempt["epoch"] for attempt in resumed["attempts"]] == [1, 3]
    weights, others = (load_file(f / "model/model.safetensors") for f in (folder, resumed_folder))
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert resumed["digest"] == record["digest"]
    assert not (folder / "checkpoints").exists()


def order_of(config: PretrainingConfig) -> Any:
    plan = PretrainingPlan.of(config, DataCache())
    plan.prepare()
    return plan.data.order


def test_the_perplexity_is_that_of_the_saved_model_on_the_held_out_reviews(
    imdb: Path, cache: str, tmp_path: Path
) -> None:
    config = configuration(imdb, cache, tmp_path)
    folder, record = trained(config)
    saved = read_language_model(folder / "model")
    plan = PretrainingPlan.of(config, DataCache())
    plan.prepare()
    from lstm_sentiment.model.language_model import LanguageModel

    model = LanguageModel(config, len(saved.vocabulary)).eval()
    model.load_state_dict(saved.weights)
    held_out = plan.data.held_out
    losses = [
        model(batch.ids, batch.lengths).losses
        for batch in (held_out[held_out.pieces[[k]]] for k in range(len(held_out.pieces)))
    ]
    assert record["perplexity"] == pytest.approx(exp(torch.cat(losses).mean().item()), rel=1e-5)
    assert record["perplexity"] < 40  # it has learned something: there are 40 words


def test_no_text_of_a_test_or_validation_review_is_read(
    imdb: Path, cache: str, tmp_path: Path
) -> None:
    config = configuration(imdb, cache, tmp_path)
    data = replace(config.data, val_fraction=0.25)
    plan = PretrainingPlan.of(replace(config, data=data), DataCache())
    plan.prepare()
    own = plan.data
    assert own.left_out == 1
    reviews = own.reviews
    train = len(reviews.train_split.rows)
    assert train + len(reviews.val_split.rows) == 60
    assert len(own.copies) == train + 80
    test = reviews.whole_test
    assert test is not None
    for held_out in (test, reviews.val_split):
        values = held_out.tokenized.copies[held_out.rows, 0]
        assert not np.isin(values, own.copies).any()
    assert len(own.train.offsets) - 1 == train + 72
    assert len(own.held_out.offsets) - 1 == 8


def test_a_finished_language_model_is_not_trained_again(
    imdb: Path, cache: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "pretrain", f"data.path={imdb}", f"data.cache={cache}", f"root={tmp_path / 'runs'}",
        "encoder.hidden_size=6", "embedding.dim=5", "trainer.max_epochs=1",
        "language_model.parts=2", "data.batch_size=8", "data.max_vocab=40",
        "trainer.enable_progress_bar=false",
    ]  # fmt: skip
    assert main(words) == 0
    printed = capsys.readouterr().out
    [folder] = (tmp_path / "runs/pretrained").iterdir()
    assert f"train encoder.start_from={folder}" in printed.replace("\n", "")
    assert "perplexity" in printed
    before = (folder / "pretraining.json").read_bytes()
    assert main(words) == 0
    assert "is finished" in capsys.readouterr().out
    assert (folder / "pretraining.json").read_bytes() == before


def test_the_record_of_a_language_model_is_no_run(
    imdb: Path, cache: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, record = trained(configuration(imdb, cache, tmp_path / "runs"))
    root = str(tmp_path / "runs")
    assert main(["report", root]) == 1
    assert "contains no runs" in capsys.readouterr().err
    assert main(["status", root]) == 0
    printed = [" ".join(each.split()) for each in capsys.readouterr().out.splitlines()]
    *_, line, count = filter(None, printed)
    assert line == f"done pretrained/{folder.name} perplexity {record['perplexity']:.2f}"
    assert count == "1 done"


# A network that starts from a language model


def classifier(imdb: Path, cache: str, root: Path, start: Path | None, **fields: Any) -> Config:
    chosen: dict[str, Any] = {
        "encoder": EncoderConfig(hidden_size=6, start_from=None if start is None else str(start)),
        "embedding": EmbeddingConfig(dim=5),
        "data": DataConfig(path=str(imdb), cache=cache, batch_size=8, max_vocab=30),
        "trainer": TrainerConfig(max_epochs=1, enable_progress_bar=False),
        "root": str(root),
    }
    return Config(**{**chosen, **fields})


def test_a_network_starts_with_the_vectors_and_the_encoder(
    imdb: Path, cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network's vocabulary has other ids than that of the language model."""
    folder, record = trained(configuration(imdb, cache, tmp_path))
    saved = read_language_model(folder / "model")
    seen: dict[str, torch.Tensor] = {}

    def stop(_: Any, module: Any, *__: Any, **___: Any) -> None:
        seen.update({name: value.clone() for name, value in module.classifier.state_dict().items()})
        raise Killed

    config = classifier(imdb, cache, tmp_path, folder)
    with monkeypatch.context() as patch:
        patch.setattr("lightning.Trainer.fit", stop)
        with pytest.raises(Killed):
            run(config)
    for name, weight in saved.weights.items():
        if name.startswith("encoder."):
            assert torch.equal(seen[name], weight)
    run(config)
    words = json.loads((folder_of(config) / "model/vocab.json").read_text())
    theirs = {word: number for number, word in enumerate(saved.vocabulary.words)}
    known = [(id, theirs[word]) for id, word in enumerate(words) if word in theirs]
    assert len(known) >= 25
    assert any(ours != other for ours, other in known)
    for ours, other in known:
        assert torch.equal(seen["embedding.weight"][ours], saved.weights["embedding.weight"][other])
    entry = json.loads((folder_of(config) / "run.json").read_text())["language_model"]
    assert entry["digest"] == record["digest"]
    assert entry["words"] == (len(known) - 2) / (len(words) - 2)  # but for <pad> and <unk>


def test_another_language_model_is_another_run(imdb: Path, cache: str, tmp_path: Path) -> None:
    first, _ = trained(configuration(imdb, cache, tmp_path))
    second, _ = trained(configuration(imdb, cache, tmp_path, seed=1))
    folders = {
        folder_of(classifier(imdb, cache, tmp_path, start)) for start in (None, first, second)
    }
    assert len(folders) == 3
    moved = tmp_path / "moved"
    first.rename(moved)  # the digest counts, not the path
    assert folder_of(classifier(imdb, cache, tmp_path, moved / "model")) in folders


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"encoder": {"hidden_size": 7}}, r"needs encoder.hidden_size=6.*\(got 7\)"),
        ({"encoder": {"cell": "gru"}}, r"needs encoder.cell=lstm.*\(got gru\)"),
        ({"encoder": {"backward": True}}, r"needs encoder.backward=false.*\(got true\)"),
        ({"embedding": EmbeddingConfig(dim=4)}, r"needs embedding.dim=5.*\(got 4\)"),
        ({"embedding": EmbeddingConfig(kind="word2vec", dim=5)}, "Give embedding=random"),  # type: ignore[arg-type]
    ],
)
def test_a_network_of_another_form_is_refused(
    imdb: Path, cache: str, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    folder, _ = trained(configuration(imdb, cache, tmp_path))
    encoder = {"hidden_size": 6, "start_from": str(folder), **fields.pop("encoder", {})}
    with pytest.raises(InputError, match=message):
        run(classifier(imdb, cache, tmp_path, None, encoder=EncoderConfig(**encoder), **fields))


def test_a_language_model_that_has_read_test_reviews_is_refused(
    imdb: Path, cache: str, tmp_path: Path
) -> None:
    """Here, they were its unlabelled reviews."""
    folder, _ = trained(configuration(imdb, cache, tmp_path))
    (imdb / "test.parquet").unlink()
    write_columns(imdb / "test.parquet", *texts(80, 3))
    config = classifier(imdb, cache, tmp_path, folder)
    assert "has read the texts of 80 test reviews" in refusal_of(lambda: run(config))
    assert not folder_of(config).exists()


def test_test_reviews_that_repeat_labelled_reviews_are_allowed(
    imdb: Path, cache: str, tmp_path: Path
) -> None:
    """As in IMDB. Whoever trains on the labelled reviews reads these texts, limits or not."""
    train, labels = texts(60, 1)
    test, test_labels = texts(20, 2)
    (imdb / "test.parquet").unlink()
    write_columns(imdb / "test.parquet", test + train[:9], test_labels + labels[:9])
    folder, _ = trained(configuration(imdb, cache, tmp_path))
    config = classifier(imdb, cache, tmp_path, folder)
    assert run(config)["data"]["test_copies"] == 9
    limited = replace(config, data=replace(config.data, limit_train=40))
    assert run(limited)["language_model"]["texts"] > 100


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("copies.bin", b"123", "damaged"),
        ("config.json", b"{}", "not the configuration of a language model"),
        ("vocab.json", b'["<pad>","<unk>"]', "weights"),
        ("model.safetensors", b"no", "safetensors"),
    ],
)
def test_a_damaged_language_model_is_refused(
    imdb: Path, cache: str, tmp_path: Path, file: str, content: bytes, message: str
) -> None:
    folder, _ = trained(configuration(imdb, cache, tmp_path))
    (folder / "model" / file).write_bytes(content)
    config = classifier(imdb, cache, tmp_path, folder)
    assert message in refusal_of(lambda: run(config))


def test_a_folder_without_a_language_model_is_refused(
    imdb: Path, cache: str, tmp_path: Path
) -> None:
    config = classifier(imdb, cache, tmp_path, tmp_path)
    assert "is not the folder of a language model" in refusal_of(lambda: run(config))


# Batches


def encoded(*lengths: int, max_length: int = 4) -> EncodedTexts:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return EncodedTexts(np.arange(2, 2 + offsets[-1], dtype=np.int32), offsets, max_length)


def test_reviews_are_cut_into_pieces_that_predict_each_word_once() -> None:
    pieces = encoded(10, 1, 9, 3).pieces
    assert pieces.tolist() == [[0, 4], [3, 7], [6, 10], [11, 15], [14, 18], [17, 20], [20, 23]]
    assert (pieces[:, 1] - pieces[:, 0] - 1).sum() == 9 + 0 + 8 + 2  # all words but the first ones
    batch = encoded(10, 1, 9, 3)[pieces[[2, 6]]]
    assert batch.ids.tolist() == [[8, 9, 10, 11], [22, 23, 24, 0]]
    assert batch.lengths.tolist() == [4, 3]


def test_the_parts_of_a_pass_have_all_its_pieces_once() -> None:
    texts = encoded(*range(2, 40))
    order = PieceOrder(texts, size=3, seed=5, parts=4)
    passes = []
    for number in range(2):
        read = []
        for part in range(4):
            order.set_epoch(4 * number + part)
            batches = list(order)
            assert len(batches) == len(order)
            read += [tuple(piece) for batch in batches for piece in batch.tolist()]
        assert len(set(read)) == len(read)
        assert len(texts.pieces) - len(read) < 4 * 3  # fewer than a batch for each part
        passes.append(read)
    assert passes[0] != passes[1]


@pytest.mark.parametrize("backward", [False, True])
def test_reviews_in_a_row_go_on_from_batch_to_batch(backward: bool) -> None:
    texts = encoded(5, 7, 9, 4)
    config = PretrainingConfig(
        encoder=EncoderConfig(backward=backward), data=DataConfig(batch_size=2)
    )
    order = RowOrder(texts, rows=2, steps=3, parts=3)
    batches = RowBatches(texts, config, steps=3)
    rows: list[list[int]] = [[], []]
    for part in range(3):
        order.set_epoch(part)
        for place in order:
            for row, ids in zip(rows, batches[place].ids.tolist(), strict=True):
                assert not row or row[-1] == ids[0]  # the word that was predicted last
                row += ids[1:] if row else ids
    permutation = np.random.default_rng([0, 0]).permutation(4)
    joined = np.concatenate(
        [texts.ids[texts.offsets[k] : texts.offsets[k + 1]] for k in permutation]
    )
    joined = joined[::-1] if backward else joined
    assert rows[0] == joined[: len(rows[0])].tolist()
    assert rows[1] == joined[12 : 12 + len(rows[1])].tolist()
    assert len(rows[0]) == 10  # 12 words in a row, cut to three batches of three predictions


# Inputs that cannot be used


@pytest.mark.parametrize(
    "words",
    [
        "data.augment.drop=0.1", "data.class_weights=balanced", "embedding.freeze_epochs=1",
        "encoder.segment=5", "data.truncation_side=left", "data.preparation=1",
        "optimizer.average=0.9", "data.max_length=1", "encoder.start_from=a",
    ],
)  # fmt: skip
def test_settings_without_an_effect_are_refused(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pretrain", words]) == 1
    message = capsys.readouterr().err
    assert words.partition("=")[0] in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("truncation", [None, 3])
def test_reviews_without_two_words_are_refused(
    cache: str, tmp_path: Path, truncation: int | None
) -> None:
    folder = tmp_path / "short"
    words = [f"word{row}" for row in range(12)]
    write_columns(folder / "train.parquet", words, [0, 1] * 6)
    write_columns(folder / "test.parquet", ["one", "two"], [0, 1])
    language_model = LanguageModelConfig(truncation=truncation)
    config = configuration(folder, cache, tmp_path, language_model=language_model)
    config = replace(config, data=replace(config.data, batch_size=2, val_fraction=0.0))
    assert "has two words" in refusal_of(lambda: trained(config))


def test_a_model_that_could_not_be_read_is_refused(
    imdb: Path, cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_MODEL_BYTES", "1000")
    config = configuration(imdb, cache, tmp_path)
    assert "more than the 1,000 allowed" in refusal_of(lambda: trained(config))
    assert not (tmp_path / "pretrained").exists()


@pytest.mark.parametrize("start", ["x" * 300, "~nosuchuser/x", "a\0b"])
def test_a_path_that_is_none_is_refused(imdb: Path, cache: str, tmp_path: Path, start: str) -> None:
    config = classifier(imdb, cache, tmp_path, None)
    config = replace(config, encoder=replace(config.encoder, start_from=start))
    assert "encoder.start_from" in refusal_of(lambda: run(config))


def test_a_model_of_the_hub_is_no_language_model(imdb: Path, cache: str, tmp_path: Path) -> None:
    config = classifier(imdb, cache, tmp_path, None)
    config = replace(config, encoder=replace(config.encoder, start_from="hub:ann/films@v1"))
    assert refusal_of(lambda: run(config)) == (
        "encoder.start_from: hub:ann/films@v1 is a model of the Hugging Face hub, where there are "
        "no language models: give a folder that lstm-sentiment pretrain has made."
    )


@pytest.mark.parametrize("content", ['{"name": "NAME"}', "[]", '{"name": "NAME", "cost": 3}'])
def test_a_damaged_record_is_not_taken_for_a_finished_one(
    imdb: Path, cache: str, tmp_path: Path, content: str
) -> None:
    config = configuration(imdb, cache, tmp_path)
    folder, record = trained(config)
    (folder / "pretraining.json").write_text(content.replace("NAME", folder.name))
    again, repeated = trained(config)
    assert again == folder
    assert repeated["perplexity"] == record["perplexity"]


def test_bf16_predicts_rare_words(imdb: Path, cache: str, tmp_path: Path) -> None:
    """PyTorch's adaptive softmax needs all its parts in one type."""
    trainer = TrainerConfig(max_epochs=1, precision="bf16-mixed", enable_progress_bar=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lstm_sentiment.model.language_model.CUTOFFS", (5, 12))
        _, record = trained(configuration(imdb, cache, tmp_path, trainer=trainer))
    assert 1 < record["perplexity"] < 60


@pytest.mark.parametrize("limits", [{}, {"limit_test": 4}])
def test_a_search_refuses_a_language_model_that_has_read_test_reviews(
    imdb: Path, cache: str, tmp_path: Path, limits: dict[str, int]
) -> None:
    folder, _ = trained(configuration(imdb, cache, tmp_path))
    (imdb / "test.parquet").unlink()
    write_columns(imdb / "test.parquet", *texts(80, 3))
    config = classifier(imdb, cache, tmp_path, folder, test=bool(limits))
    config = replace(config, data=replace(config.data, **limits))
    assert "has read the texts of 80 test reviews" in refusal_of(lambda: run(config))


def test_a_run_that_starts_from_a_language_model_resumes_without_it_changing_anything(
    imdb: Path, cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, _ = trained(configuration(imdb, cache, tmp_path))
    trainer = TrainerConfig(max_epochs=3, enable_progress_bar=False)
    undisturbed = classifier(imdb, cache, tmp_path / "a", start, trainer=trainer)
    run(undisturbed)
    killed = replace(undisturbed, root=str(tmp_path / "b"))
    with monkeypatch.context() as patch:
        StepCalls(patch, "training_step", 8)
        with pytest.raises(Killed):
            run(killed)
    run(killed)
    one, other = (
        load_file(folder_of(config) / "model/model.safetensors") for config in (undisturbed, killed)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_network_of_other_subwords_is_refused(imdb: Path, cache: str, tmp_path: Path) -> None:
    base = configuration(imdb, cache, tmp_path)
    data = replace(base.data, tokenizer=Tokenizer.bpe, max_vocab=60, val_fraction=0.0)
    folder, _ = trained(replace(base, data=data))
    config = classifier(imdb, cache, tmp_path, folder)
    own = replace(config.data, tokenizer=Tokenizer.bpe, max_vocab=60)
    same = replace(config, data=replace(own, val_fraction=0.0))
    record = run(same)
    assert record["language_model"]["words"] == 1.0
    assert "reads other subwords" in refusal_of(lambda: run(replace(config, data=own)))


def test_a_record_of_a_newer_version_is_not_replaced(
    imdb: Path, cache: str, tmp_path: Path
) -> None:
    config = configuration(imdb, cache, tmp_path)
    folder, _ = trained(config)
    file = folder / "pretraining.json"
    file.write_text(file.read_text().replace('"schema": 2', '"schema": 99', 1))
    before = file.read_bytes()
    assert "has schema 99" in refusal_of(lambda: trained(config))
    assert file.read_bytes() == before


def test_a_language_model_without_its_files_is_trained_again(
    imdb: Path, cache: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configuration(imdb, cache, tmp_path)
    folder, record = trained(config)
    shutil.rmtree(folder / "model")
    assert main(["status", str(tmp_path)]) == 0
    assert "model/ is missing" in " ".join(capsys.readouterr().out.split())
    assert trained(config)[1]["digest"] == record["digest"]


def test_a_language_model_classifies_nothing(
    imdb: Path, cache: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = trained(configuration(imdb, cache, tmp_path))
    assert main(["predict", str(folder), "a film"]) == 1
    assert "is that of a language model, which knows no classes" in capsys.readouterr().err
