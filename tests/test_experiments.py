"""The reference systems as experiments: what each of them trains."""

from collections import Counter

import hydra
import pytest

from lstm_sentiment import launch
from lstm_sentiment.config import Config, Padding, Reference, Side
from lstm_sentiment.errors import InputError
from lstm_sentiment.training.record import recorded


def experiment(name: str) -> list[Config]:
    """The configurations of its runs."""
    with hydra.initialize_config_dir(str(launch.CONF), version_base="1.3"):
        words = [f"experiment={name}"]
        composed = hydra.compose("config", words, return_hydra_config=True)
        runs = [*launch.combinations(composed)]
    return [launch.compose(run) for run in runs]


@pytest.mark.parametrize(
    ("name", "networks"),
    [
        ("pooling", 12),
        ("architectures", 5),
        ("keras_lstm", 1),
        ("lstm_vs_gru", 2),
        ("glove_bilstm", 1),
    ],
)
def test_a_reference_system_has_three_seeds(name: str, networks: int) -> None:
    configs = experiment(name)
    assert len(configs) == 3 * networks
    assert Counter(config.seed for config in configs) == dict.fromkeys(range(3), networks)
    assert {config.sweep for config in configs} == {name}


def test_pooling_tries_every_head_with_every_padding() -> None:
    configs = experiment("pooling")
    pairs = {(str(config.head.kind), str(config.data.padding)) for config in configs}
    heads, paddings = ("last", "flatten", "max", "avg"), ("exact", "keras", "trailing")
    assert pairs == {(head, padding) for head in heads for padding in paddings}
    assert {config.encoder.network for config in configs} == {"lstm"}
    published = {figure.run: figure.accuracy for figure in configs[0].reference}
    assert published == {
        "head=last": 0.77,
        "head=flatten": 0.86,
        "head=max": 0.87,
        "head=avg": 0.86,
    }


def test_architectures_differ_in_nothing_else() -> None:
    configs = experiment("architectures")
    networks = {config.encoder.network for config in configs}
    assert networks == {"rnn", "lstm", "stacked_lstm", "bilstm", "deep_lstm"}
    assert {config.encoder.dropout for config in configs} == {0.2}
    assert {config.data.val_fraction for config in configs} == {0.2}
    assert {config.early_stopping.monitor for config in configs} == {"val/loss"}
    assert len({config.encoder.hidden_size for config in configs}) == 1


def test_keras_lstm_is_that_recipe() -> None:
    config = experiment("keras_lstm")[0]
    assert config.encoder.network == "lstm"
    assert (config.encoder.hidden_size, config.encoder.recurrent_dropout) == (100, 0.2)
    assert (config.embedding.dim, config.embedding.dropout) == (128, 0.2)
    assert (config.data.max_vocab, config.data.max_length, config.data.batch_size) == (
        10_000,
        500,
        64,
    )
    assert (config.data.padding, config.data.truncation_side) == (Padding.keras, Side.left)
    assert (config.trainer.max_epochs, config.early_stopping.patience) == (5, None)


def test_lstm_vs_gru_has_its_published_figures() -> None:
    configs = experiment("lstm_vs_gru")
    assert {config.encoder.network for config in configs} == {"lstm", "gru"}
    lstm, gru = configs[0].reference
    assert (lstm.run, lstm.accuracy, lstm.loss) == ("encoder=lstm", 0.8715, 0.3507)
    assert (gru.run, gru.accuracy, gru.loss) == ("encoder=gru", 0.8777, None)


@pytest.mark.parametrize("name", ["best_scratch", "best_vectors"])
def test_the_best_train_on_all_labels_for_a_number_of_epochs(name: str) -> None:
    configs = experiment(name)
    assert [config.seed for config in configs] == [0, 1, 2]
    assert {config.data.val_fraction for config in configs} == {0}
    assert {config.data.limit_train for config in configs} == {None}
    assert {str(config.embedding.kind) for config in configs} == {
        "random" if name == "best_scratch" else "word2vec"
    }


def test_the_grid_is_whole() -> None:
    configs = experiment("grid")
    nets = {(config.encoder.network, str(config.head.kind)) for config in configs}
    assert len(nets) == len(configs) == 3 * 2 * 3 * 4
    assert len({network for network, _ in nets}) == 18


def test_a_record_has_the_published_figures() -> None:
    config = Config(reference=[Reference("encoder=lstm", 0.8715, source="a paper")])
    expected = {"run": "encoder=lstm", "accuracy": 0.8715, "loss": None, "source": "a paper"}
    assert recorded(config)["reference"] == [expected]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"run": "lstm"}, "reference.run=lstm"),
        ({"run": "encoder="}, "reference.run=encoder="),
        ({"accuracy": 87.15}, "reference.accuracy=87.15"),
        ({"accuracy": -0.1}, "reference.accuracy=-0.1"),
        ({"accuracy": float("nan")}, "reference.accuracy=nan"),
        ({"loss": -1}, "reference.loss=-1"),
    ],
)
def test_a_figure_that_cannot_be_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Reference(**fields)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="reference"):
        Config(reference=["encoder=lstm"])  # type: ignore[list-item]
