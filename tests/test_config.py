from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from lstm_sentiment.config import (
    SCORES,
    Cell,
    Config,
    DataConfig,
    EarlyStoppingConfig,
    EncoderConfig,
    OptimizerConfig,
    Side,
    flat,
)
from lstm_sentiment.errors import InputError

CONF = ROOT / "conf"


def composed(*overrides: str) -> Config:
    ConfigStore.instance().store(name="schema", node=Config)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = OmegaConf.to_object(compose("config", [*overrides]))
    assert isinstance(config, Config)
    return config


def test_the_command_line_without_arguments_is_the_baseline() -> None:
    assert composed() == Config()


@pytest.mark.parametrize(
    "file", sorted(CONF.rglob("*/*.yaml")), ids=lambda file: f"{file.parent.name}={file.stem}"
)
def test_every_file_of_conf_makes_a_valid_config(file: Path) -> None:
    baseline = file.stem in ("lstm", "last", "random", "imdb", "auto")
    needed = ["data.path=reviews.csv"] if file.stem == "reviews" else []
    assert (composed(f"{file.parent.name}={file.stem}", *needed) == Config()) == baseline


@pytest.mark.parametrize(
    ("name", "cell", "layers", "bidirectional"),
    [
        ("rnn", "rnn", 1, False),
        ("lstm", "lstm", 1, False),
        ("gru", "gru", 1, False),
        ("bilstm", "lstm", 1, True),
        ("stacked_lstm", "lstm", 2, False),
        ("deep_lstm", "lstm", 3, False),
    ],
)
def test_encoders_are_what_their_names_say(
    name: str, cell: str, layers: int, bidirectional: bool
) -> None:
    encoder = composed(f"encoder={name}").encoder
    assert (encoder.cell, encoder.num_layers, encoder.bidirectional) == (
        cell,
        layers,
        bidirectional,
    )


@pytest.mark.parametrize("head", ["last", "flatten", "max", "avg", "attention", "max_attention"])
def test_heads_are_what_their_names_say(head: str) -> None:
    assert composed(f"head={head}").head.kind == head


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("seed", -1, "a whole number from 0 to 4294967295"),
        ("encoder.hidden_size", -3, "a whole number from 1 up"),
        ("encoder.num_layers", 4, "a whole number from 1 to 3"),
        ("encoder.num_layers", 0, "a whole number from 1 to 3"),
        ("encoder.dropout", 1.0, "a number from 0 to below 1"),
        ("encoder.recurrent_dropout", -0.1, "a number from 0 to below 1"),
        ("embedding.dim", 0, "a whole number from 1 up"),
        ("embedding.dropout", 2.0, "a number from 0 to below 1"),
        ("data.max_length", 0, "a whole number from 1 up"),
        ("data.max_vocab", 2, "a whole number from 3 up"),
        ("data.val_fraction", 1.0, "a number from 0 to below 1"),
        ("data.val_fraction", float("nan"), "a number from 0 to below 1"),
        ("data.split_seed", -1, "a whole number from 0 up"),
        ("data.limit_train", 1, "a whole number from 2 up"),
        ("data.limit_test", 0, "a whole number from 2 up"),
        ("data.batch_size", 0, "a whole number from 1 up"),
        ("data.test_fraction", 1.0, "a number from 0 to below 1"),
        ("data.text_column", "", "a name, or null"),
        ("data.path", " ", "a file or folder"),
        ("data.test_path", "test.csv", "data=reviews"),
        ("data.positive_label", "good", "data=reviews"),
        ("data.augment.crop", 0.0, "a number above 0 up to 1"),
        ("data.augment.crop", 1.5, "a number above 0 up to 1"),
        ("data.augment.drop", 1.0, "a number from 0 to below 1"),
        ("data.augment.replace", -0.5, "a number from 0 to below 1"),
        ("embedding.name", "6B", "embedding=glove and no embedding.path"),
        ("data.test_fraction", 0.5, "data=reviews"),
        ("embedding.freeze_epochs", -1, "a whole number from 0 up"),
        ("embedding.path", "vectors.txt", "embedding=glove or embedding=word2vec"),
        ("optimizer.lr", 0.0, "a number above 0"),
        ("optimizer.lr", float("inf"), "a number above 0"),
        ("optimizer.weight_decay", -1.0, "a number from 0 up"),
        ("optimizer.clip", 0.0, "a number above 0, or null"),
        ("optimizer.adversarial", -0.1, "a number from 0 to 1"),
        ("optimizer.adversarial", 1.1, "a number from 0 to 1"),
        ("early_stopping.monitor", "val_loss", "val/loss"),
        ("early_stopping.patience", 0, "a whole number from 1 up"),
        ("trainer.precision", "16", "32-true, bf16-mixed"),
        ("trainer.max_epochs", 0, "a whole number from 1 up"),
        ("trainer.limit_train_batches", 0, "a whole number from 1 up"),
        ("trainer.threads", 0, "a whole number from 1 up"),
        ("trainer.log_every_n_steps", 0, "a whole number from 1 up"),
        ("sweep", "a/b", "a folder's name"),
        ("sweep", "..", "a folder's name"),
    ],
)
def test_a_value_out_of_bounds_is_named_with_what_is_allowed(
    field: str, value: Any, allowed: str
) -> None:
    changed = OmegaConf.structured(Config)
    OmegaConf.update(changed, field, value)
    with pytest.raises(InputError) as refusal:
        OmegaConf.to_object(changed)
    assert field in str(refusal.value)
    assert str(value) in str(refusal.value)
    assert allowed in str(refusal.value)


@pytest.mark.parametrize(
    "override", ["encoder=foo", "encoder.cell=elman", "encoder.width=3", "data.max_length=long"]
)
def test_hydra_refuses_what_the_schema_does_not_know(override: str) -> None:
    with pytest.raises((ConfigCompositionException, ValueError)):
        composed(override)


def test_synthetic_reviews_have_no_path() -> None:
    with pytest.raises(InputError, match="data.path=somewhere goes with data=imdb"):
        composed("data=synthetic", "data.path=somewhere")


def test_reviews_of_ones_own_need_a_path() -> None:
    with pytest.raises(InputError, match=r"^data=reviews needs data\.path=FILE: CSV"):
        composed("data=reviews")


def test_a_label_that_is_a_number_on_the_command_line_is_a_text() -> None:
    assert composed("data=reviews", "data.path=a.csv", "data.positive_label=5").data == DataConfig(
        "reviews",  # type: ignore[arg-type]
        path="a.csv",
        positive_label=5,  # type: ignore[arg-type]
    )


def test_only_published_glove_has_a_name() -> None:
    with pytest.raises(InputError, match="7B is not known: choose one of 6B, 42B, 840B, twitter"):
        composed("embedding=glove", "embedding.name=7B")
    with pytest.raises(InputError, match="embedding.name=6B goes with embedding=glove and no"):
        composed("embedding=glove", "embedding.name=6B", "embedding.path=vectors.txt")
    assert composed("embedding=glove").embedding.name == "6B"


def test_a_test_part_is_named_or_drawn() -> None:
    films = ["data=reviews", "data.path=films.csv"]
    assert composed(*films).data.test_fraction == 0.2
    assert composed(*films, "data.test_path=test.csv").data.test_fraction is None
    with pytest.raises(InputError, match="data.test_fraction=0.5 goes without data.test_path=test"):
        composed(*films, "data.test_path=test.csv", "data.test_fraction=0.5")


@pytest.mark.parametrize(
    ("name", "dim", "published"),
    [("6B", 128, "50, 100, 200, 300"), ("840B", 100, "300"), ("twitter.27B", 300, "25, 50, 100")],
)
def test_glove_has_the_dimensions_it_was_published_with(
    name: str, dim: int, published: str
) -> None:
    with pytest.raises(InputError, match=rf"^embedding\.dim={dim} is not .*: choose .*{published}"):
        composed("embedding=glove", f"embedding.name={name}", f"embedding.dim={dim}")
    composed("embedding=glove", f"embedding.dim={dim}", "embedding.path=vectors.txt")


def test_python_takes_names_for_choices() -> None:
    assert EncoderConfig(cell="gru").cell is Cell.gru  # type: ignore[arg-type]
    with pytest.raises(
        InputError, match="encoder.cell=elman is not known: choose one of rnn, lstm"
    ):
        EncoderConfig(cell="elman")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Config(test="false"),
        lambda: Config(rerun=1),
        lambda: Config(root=3),
        lambda: Config(sweep=3.5j),
        lambda: Config(sweep="x" * 101),
        lambda: Config(encoder="gru"),
        lambda: EncoderConfig(dropout=None),
        lambda: EncoderConfig(bidirectional="no"),
        lambda: OptimizerConfig(lr="fast"),
        lambda: DataConfig(path=7),
    ],
)
def test_a_wrong_type_is_refused_in_python(make: Callable[[], Any]) -> None:
    with pytest.raises(InputError, match="is not (allowed|known)"):
        make()


def test_folders_may_be_paths() -> None:
    config = Config(root=Path("runs"), data=DataConfig(path=Path("imdb")))  # type: ignore[arg-type]
    assert config == Config(data=DataConfig(path="imdb"))


def test_whole_numbers_are_numbers() -> None:
    # One configuration, one fingerprint: 0 and 0.0 would read differently in JSON.
    assert repr(EncoderConfig(dropout=0)) == repr(EncoderConfig(dropout=0.0))
    assert repr(OptimizerConfig(clip=5)) == repr(OptimizerConfig(clip=5.0))


@pytest.mark.parametrize("score", SCORES)
def test_only_of_a_loss_less_is_better(score: str) -> None:
    stopping = EarlyStoppingConfig(monitor=f"val/{score}")
    assert stopping.mode == ("min" if score == "loss" else "max")


def test_flat_names_fields_as_the_command_line_does() -> None:
    values = flat(composed("data.truncation_side=left", "encoder.hidden_size=7"))
    assert values["encoder.hidden_size"] == 7
    assert values["data.truncation_side"] == "left"
    assert type(values["data.truncation_side"]) is str
    assert type(values["data.truncation_side"]) is not Side
    assert values["seed"] == 0
