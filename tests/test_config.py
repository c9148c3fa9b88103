"""The configuration: its defaults, the files of conf/, and the values that are refused."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from lstm_sentiment.commands.hydra_config import CONF, compose
from lstm_sentiment.config import (
    GLOVE_DIMS,
    SCORES,
    Cell,
    CompareConfig,
    Config,
    DataConfig,
    EarlyStoppingConfig,
    EmbeddingConfig,
    EncoderConfig,
    OptimizerConfig,
    Reference,
    Side,
    flat,
    updated,
)
from lstm_sentiment.config_fields import Field, fields_of
from lstm_sentiment.errors import InputError

FIELDS = {
    field.name: field for kind in (Config, Reference, CompareConfig) for field in fields_of(kind)
}


def composed(*words: str) -> Config:
    """Return the configuration for which these words of a command line train."""
    return compose([*words])


def test_the_command_line_without_arguments_is_the_default_configuration() -> None:
    assert composed() == Config()


@pytest.mark.parametrize(
    "file", sorted(CONF.rglob("*/*.yaml")), ids=lambda file: f"{file.parent.name}={file.stem}"
)
def test_every_file_of_conf_makes_a_valid_config(file: Path) -> None:
    is_default = file.stem in ("lstm", "last", "random", "imdb", "supervised", "auto")
    needed = ["data.path=reviews.csv"] if file.stem == "reviews" else []
    assert (composed(f"{file.parent.name}={file.stem}", *needed) == Config()) == is_default


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
def test_encoder_files_match_their_names(
    name: str, cell: str, layers: int, bidirectional: bool
) -> None:
    encoder = composed(f"encoder={name}").encoder
    assert encoder.cell == cell
    assert (encoder.num_layers, encoder.bidirectional) == (layers, bidirectional)
    assert encoder.network == name


@pytest.mark.parametrize(
    "head", ["last", "flatten", "max", "avg", "attention", "max_attention", "concat"]
)
def test_head_files_match_their_names(head: str) -> None:
    assert composed(f"head={head}").head.kind == head


def test_a_message_names_the_field_the_allowed_values_and_the_value() -> None:
    with pytest.raises(InputError) as refusal:
        DataConfig(max_length=0)
    assert str(refusal.value) == "data.max_length must be a whole number of at least 1 (got 0)."
    with pytest.raises(InputError) as refusal:
        EncoderConfig(cell="foo")  # type: ignore[arg-type]
    assert str(refusal.value) == f"encoder.cell must be one of {', '.join(Cell)} (got 'foo')."


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("seed", -1, "a whole number from 0 to 4294967295"),
        ("encoder.hidden_size", -3, "a whole number of at least 1"),
        ("encoder.num_layers", 4, "a whole number from 1 to 3"),
        ("encoder.num_layers", 0, "a whole number from 1 to 3"),
        ("encoder.dropout", 1.0, "a number of at least 0 and below 1"),
        ("encoder.recurrent_dropout", -0.1, "a number of at least 0 and below 1"),
        ("embedding.dim", 0, "a whole number of at least 1"),
        ("embedding.dropout", 2.0, "a number of at least 0 and below 1"),
        ("data.max_length", 0, "a whole number of at least 1"),
        ("data.max_vocab", 2, "a whole number of at least 3"),
        ("data.val_fraction", 1.0, "a number of at least 0 and below 1"),
        ("data.val_fraction", float("nan"), "a number of at least 0 and below 1"),
        ("data.split_seed", -1, "a whole number of at least 0"),
        ("data.limit_train", 1, "a whole number of at least 2, or null"),
        ("data.limit_test", 0, "a whole number of at least 2, or null"),
        ("data.batch_size", 0, "a whole number of at least 1"),
        ("data.test_fraction", 1.0, "a number of at least 0 and below 1, or null"),
        ("data.text_column", "", "a name, or null"),
        ("data.path", " ", "a file or folder, or null"),
        ("data.test_path", "test.csv", "data=reviews"),
        ("data.positive_label", "good", "data=reviews"),
        ("data.augment.crop", 0.0, "a number above 0 and at most 1"),
        ("data.augment.crop", 1.5, "a number above 0 and at most 1"),
        ("data.augment.drop", 1.0, "a number of at least 0 and below 1"),
        ("data.augment.replace", -0.5, "a number of at least 0 and below 1"),
        ("embedding.name", "6B", "embedding=glove and without embedding.path"),
        ("data.test_fraction", 0.5, "data=reviews"),
        ("embedding.freeze_epochs", -1, "a whole number of at least 0"),
        ("embedding.path", "vectors.txt", "embedding=glove or embedding=word2vec"),
        ("optimizer.lr", 0.0, "a number above 0"),
        ("optimizer.lr", float("inf"), "a number above 0"),
        ("optimizer.weight_decay", -1.0, "a number of at least 0"),
        ("optimizer.clip", 0.0, "a number above 0, or null"),
        ("optimizer.warmup", 0.0, "a number above 0 and below 1"),
        ("optimizer.warmup", 1.0, "a number above 0 and below 1"),
        ("optimizer.warmup", 0.1, "optimizer.schedule=one_cycle"),
        ("optimizer.layer_decay", 0.0, "a number above 0 and at most 1"),
        ("optimizer.layer_decay", 1.5, "a number above 0 and at most 1"),
        ("optimizer.unfreeze_every", -1, "a whole number of at least 0"),
        ("optimizer.average", 1.0, "a number of at least 0 and below 1"),
        ("optimizer.average", -0.1, "a number of at least 0 and below 1"),
        ("optimizer.adversarial", -0.1, "a number from 0 to 1"),
        ("optimizer.adversarial", 1.1, "a number from 0 to 1"),
        ("objective.adversarial", -1.0, "a number of at least 0"),
        ("objective.epsilon", 0.0, "a number above 0"),
        ("objective.xi", 0.0, "a number above 0"),
        ("objective.power_iterations", 0, "a whole number from 1 to 20"),
        ("objective.unlabelled", -1, "a whole number from 0 to 64"),
        ("objective.unlabelled", 1, "objective.virtual_adversarial or objective.entropy above 0"),
        ("early_stopping.monitor", "val_loss", "val/loss"),
        ("early_stopping.patience", 0, "a whole number of at least 1, or null"),
        ("trainer.precision", "16", "32-true, bf16-mixed"),
        ("trainer.max_epochs", 0, "a whole number of at least 1"),
        ("trainer.limit_train_batches", 0, "a whole number of at least 1, or null"),
        ("trainer.threads", 0, "a whole number of at least 1, or null"),
        ("trainer.log_every_n_steps", 0, "a whole number of at least 1"),
        ("sweep", "a/b", "a folder's name"),
        ("sweep", "..", "a folder's name"),
        ("sweep", "🎬" * 64, "a folder's name of at most 100 characters and 255 bytes"),
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
    ("override", "reason"),
    [
        ("encoder=foo", "bilstm deep_lstm gru"),
        ("encoder.cell=elman", f"[{', '.join(Cell)}]"),
        ("encoder.width=3", "encoder.width is not a field"),
        ("data.max_length=long", "'long' of type 'str'"),
    ],
)
def test_an_override_that_does_not_fit_the_schema_is_refused(override: str, reason: str) -> None:
    with pytest.raises(InputError) as refusal:
        composed(override)
    assert override in str(refusal.value)
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("supervised", (0, 0, 0)),
        ("adversarial", (1, 0, 0)),
        ("virtual_adversarial", (0, 1, 0)),
        ("mixed", (1, 1, 1)),
    ],
)
def test_objectives_are_weights_of_terms(name: str, weights: tuple[float, ...]) -> None:
    objective = composed(f"objective={name}").objective
    assert (objective.adversarial, objective.virtual_adversarial, objective.entropy) == weights
    assert objective.is_supervised == (name == "supervised")
    assert (objective.epsilon, objective.xi, objective.unlabelled) == (5.0, 0.1, 0)


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("optimizer.adversarial=0.02", "is allowed only with objective=supervised"),
        ("data.preparation=1 objective.unlabelled=1", "is allowed only with data.preparation=2"),
    ],
)
def test_objectives_refuse_what_they_do_not_combine_with(override: str, reason: str) -> None:
    with pytest.raises(InputError) as refusal:
        composed("objective=mixed", *override.split())
    assert override.split()[-1] in str(refusal.value)
    assert reason in str(refusal.value)
    composed("objective=mixed", "objective.unlabelled=1", "data.preparation=2")


def test_synthetic_reviews_have_no_path() -> None:
    with pytest.raises(InputError, match=r"^data\.path=somewhere .* data=imdb or data=reviews\.$"):
        composed("data=synthetic", "data.path=somewhere")


def test_reviews_of_ones_own_need_a_path() -> None:
    with pytest.raises(InputError, match=r"^data=reviews requires data\.path: .* CSV"):
        composed("data=reviews")


def test_a_label_that_is_a_number_on_the_command_line_is_a_text() -> None:
    assert composed("data=reviews", "data.path=a.csv", "data.positive_label=5").data == DataConfig(
        "reviews",  # type: ignore[arg-type]
        path="a.csv",
        positive_label=5,  # type: ignore[arg-type]
    )


def test_only_downloaded_glove_vectors_have_a_name() -> None:
    with pytest.raises(InputError, match=r"^embedding\.name .* 6B, 42B, 840B, twitter.*'7B'"):
        composed("embedding=glove", "embedding.name=7B")
    with pytest.raises(InputError, match=r"^embedding\.name=6B .*embedding\.path"):
        composed("embedding=glove", "embedding.name=6B", "embedding.path=vectors.txt")
    assert composed("embedding=glove").embedding.name == "6B"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("folds=5", "data.folds=5 needs data.fold: give data.fold=0,1,2,3,4 with -m."),
        ("fold=7", "data.fold=7 needs data.folds: give the number of folds, such as data.folds=8."),
        ("folds=3 fold=3", "data.fold must be from 0 to 2 with data.folds=3 (got 3)."),
        ("folds=1 fold=0", "data.folds must be a whole number from 2 to 20, or null (got 1)."),
        ("folds=3 fold=0 preparation=1", "data.folds=3 is allowed only with data.preparation=2."),
        (
            "group_column=product",
            "data.group_column=product is not allowed with data=imdb: give film.",
        ),
        (
            "group_column=film preparation=1",
            "data.group_column=film is allowed only with data.preparation=2.",
        ),
        (
            "source=synthetic group_column=film",
            "data.group_column=film is allowed only with data=imdb or data=reviews.",
        ),
        *(
            (
                f"source=reviews path=a.csv folds=3 fold=0 {name}={value}",
                f"data.folds=3 and data.{name}={value} exclude each other: give one of them.",
            )
            for name, value in (
                ("val_path", "b.csv"),
                ("val_split", "b"),
                ("test_path", "b.csv"),
                ("test_split", "b"),
                ("test_fraction", "0.3"),
            )
        ),
    ],
)
def test_impossible_groups_and_folds_are_refused(fields: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        composed(*(f"data.{field}" for field in fields.split()))
    assert str(raised.value) == message


def test_a_fold_is_always_evaluated() -> None:
    with pytest.raises(InputError, match=r"^test=false is not allowed with data\.folds=3"):
        composed("data.folds=3", "data.fold=0", "test=false")


def test_the_test_set_is_either_given_or_held_out() -> None:
    films = ["data=reviews", "data.path=films.csv"]
    data = composed(*films).data
    assert data.test_fraction is None
    assert updated(data, {"test_path": "test.csv"}).test_path == "test.csv"
    with pytest.raises(InputError, match=r"data\.test_path=test\.csv and data\.test_fraction=0\.5"):
        composed(*films, "data.test_path=test.csv", "data.test_fraction=0.5")


@pytest.mark.parametrize(
    ("name", "dim", "published"),
    [("6B", 128, "50, 100, 200, 300"), ("840B", 100, "300"), ("twitter.27B", 300, "25, 50, 100")],
)
def test_glove_has_the_dimensions_it_was_published_with(
    name: str, dim: int, published: str
) -> None:
    sentence = rf"^embedding\.dim must be one of {published}.*{name} \(got {dim}\)"
    with pytest.raises(InputError, match=sentence):
        composed("embedding=glove", f"embedding.name={name}", f"embedding.dim={dim}")
    composed("embedding=glove", f"embedding.dim={dim}", "embedding.path=vectors.txt")


def test_python_takes_names_for_choices() -> None:
    assert EncoderConfig(cell="gru").cell is Cell.gru  # type: ignore[arg-type]
    assert EncoderConfig("gru", hidden_size=32) == EncoderConfig(Cell.gru, 32)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"encoder\.cell .* rnn, lstm, gru, .*'elman'"):
        EncoderConfig(cell="elman")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Config(test="false"),
        lambda: Config(rerun=1),
        lambda: Config(root=3),
        lambda: Config(sweep=3.5j),
        lambda: Config(sweep="x" * 101),
        lambda: Config(sweep="a\x1b"),
        lambda: Config(sweep="a\udcff"),
        lambda: Config(encoder="gru"),
        lambda: Config(reference=Reference()),
        lambda: EncoderConfig(dropout=None),
        lambda: EncoderConfig(bidirectional="no"),
        lambda: OptimizerConfig(lr="fast"),
        lambda: OptimizerConfig(lr=10**400),
        lambda: DataConfig(path=7),
    ],
)
def test_a_wrong_type_is_refused_in_python(make: Callable[[], Any]) -> None:
    with pytest.raises(InputError, match=r"^[a-z_.]+ must be .+ \(got .+\)\.$"):
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


def test_fields_have_the_names_and_the_defaults_of_the_configuration() -> None:
    listed = {field.name: field.default for field in fields_of(Config)}
    assert [*listed.items()] == [*flat(Config()).items()]


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_every_field_is_described(field: Field) -> None:
    assert field.allows(field.default)
    assert not field.allows(object())
    assert field.allows(None) == field.optional
    assert field.optional == field.allowed.endswith(", or null")
    assert field.help.strip().rstrip(".") == field.help


def test_fields_know_their_roles() -> None:
    assert {name: field.factor for name, field in FIELDS.items() if field.factor} == {
        "encoder.cell": "cell",
        "encoder.bidirectional": "direction",
        "encoder.num_layers": "depth",
        "head.kind": "head",
    }
    assert {name for name, field in FIELDS.items() if not field.recorded} == {
        "root",
        "data.path",
        "data.test_path",
        "data.val_path",
        "data.pseudo_labels",
        "encoder.start_from",
        "data.cache",
        "embedding.path",
        "rerun",
        "keep_checkpoints",
    }
    assert all(not field.fingerprinted for field in FIELDS.values() if not field.recorded)
    assert {name: field.if_missing for name, field in FIELDS.items() if field.if_missing} == {
        "data.preparation": 1,
        "data.tokenizer": "basic_english",
    }
    assert {name for name, field in FIELDS.items() if field.describes == "vectors"} == {
        "embedding.kind",
        "embedding.name",
    }


def test_the_help_on_dropout_says_that_it_also_stands_before_the_output() -> None:
    assert "between the layers" in FIELDS["encoder.dropout"].help
    assert "output" in FIELDS["encoder.dropout"].help


def test_a_group_is_copied_and_taken_apart_as_any_dataclass() -> None:
    config = Config(embedding=EmbeddingConfig("glove", dim=50))  # type: ignore[arg-type]
    assert replace(config, seed=1).embedding == config.embedding
    assert asdict(config)["embedding"]["name"] == "6B"
    assert OmegaConf.to_object(OmegaConf.structured(config)) == config
    with pytest.raises(InputError, match="seed"):
        replace(config, seed=-1)
    assert all(dim in FIELDS["embedding.name"].allowed for dim in GLOVE_DIMS)


def test_values_are_replaced_by_their_names_on_the_command_line() -> None:
    config = Config(seed=3)
    changed = updated(config, {"encoder.cell": "gru", "data.augment.crop": 0.5, "test": False})
    assert {n: v for n, v in flat(changed).items() if v != flat(config)[n]} == {
        "encoder.cell": "gru", "data.augment.crop": 0.5, "test": False,
    }  # fmt: skip
    assert config == Config(seed=3)
    with pytest.raises(InputError, match=r"^encoder.hidden_size must be .* \(got 0\)\.$"):
        updated(config, {"encoder.hidden_size": 0})
