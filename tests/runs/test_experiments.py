"""The experiments of conf/experiment: the runs that each of them trains."""

from collections import Counter

import pytest

from lstm_sentiment.config import Config, Padding, Reference, Side
from lstm_sentiment.errors import InputError
from lstm_sentiment.runs.record import recorded
from tests.support.experiments import NAMES, experiment
from tests.support.project import ROOT


def test_published_experiments_keep_the_preparation_of_their_results() -> None:
    """All others use the current one, and those from language models need it."""
    former = {name for name in NAMES if {c.data.preparation for c in experiment(name)} == {1}}
    assert former == {
        name for name in NAMES if (ROOT / "results" / name).is_dir() and name != "best_cpu"
    }
    assert {name: experiment(name)[0].data.preparation for name in {*NAMES} - former} == {
        "best_cpu": 2,
        "demo": 2,
        "smoke": 2,
    }


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


def test_pooling_combines_every_head_with_every_padding() -> None:
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


def test_architectures_differ_only_in_the_network() -> None:
    configs = experiment("architectures")
    networks = {config.encoder.network for config in configs}
    assert networks == {"rnn", "lstm", "stacked_lstm", "bilstm", "deep_lstm"}
    assert {config.encoder.dropout for config in configs} == {0.2}
    assert {config.data.val_fraction for config in configs} == {0.2}
    assert {config.early_stopping.monitor for config in configs} == {"val/loss"}
    assert len({config.encoder.hidden_size for config in configs}) == 1


def test_keras_lstm_follows_the_recipe_of_keras() -> None:
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


def test_lstm_vs_gru_has_published_results() -> None:
    configs = experiment("lstm_vs_gru")
    assert {config.encoder.network for config in configs} == {"lstm", "gru"}
    lstm, gru = configs[0].reference
    assert (lstm.run, lstm.accuracy, lstm.loss) == ("encoder=lstm", 0.8715, 0.3507)
    assert (gru.run, gru.accuracy, gru.loss) == ("encoder=gru", 0.8777, None)


@pytest.mark.parametrize("name", ["best_scratch", "best_vectors"])
def test_the_best_networks_train_on_all_labels(name: str) -> None:
    configs = experiment(name)
    assert [config.seed for config in configs] == [0, 1, 2]
    assert {config.data.val_fraction for config in configs} == {0}
    assert {config.data.limit_train for config in configs} == {None}
    assert {str(config.embedding.kind) for config in configs} == {
        "random" if name == "best_scratch" else "word2vec"
    }


def test_the_grid_has_every_combination() -> None:
    configs = experiment("grid")
    nets = {(config.encoder.network, str(config.head.kind)) for config in configs}
    assert len(nets) == len(configs) == 3 * 2 * 3 * 4
    assert len({network for network, _ in nets}) == 18


def test_a_record_has_the_published_results() -> None:
    config = Config(reference=[Reference("encoder=lstm", 0.8715, source="a paper")])
    expected = {"run": "encoder=lstm", "accuracy": 0.8715, "loss": None, "source": "a paper"}
    unknown = {"reviews": None, "labels": None, "otherwise": ""}
    assert recorded(config)["reference"] == [{**expected, **unknown}]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"run": "lstm"}, "run"),
        ({"run": "encoder="}, "run"),
        ({"accuracy": 87.15}, "accuracy"),
        ({"accuracy": -0.1}, "accuracy"),
        ({"accuracy": float("nan")}, "accuracy"),
        ({"loss": -1}, "loss"),
    ],
)
def test_an_impossible_published_result_is_refused(fields: dict[str, object], name: str) -> None:
    with pytest.raises(InputError, match=rf"^reference\.{name} .*got {fields[name]!r}"):
        Reference(**fields)  # type: ignore[arg-type]


def test_published_results_are_a_list_of_references() -> None:
    with pytest.raises(InputError, match="reference"):
        Config(reference=["encoder=lstm"])  # type: ignore[list-item]


def test_glove_bilstm_uses_published_vectors_of_50_dimensions() -> None:
    for config in experiment("glove_bilstm"):
        vectors = config.embedding
        assert (vectors.kind, vectors.name, vectors.dim) == ("glove", "6B", 50)
        assert (config.encoder.network, config.data.limit_train) == ("bilstm", 10_000)


@pytest.mark.parametrize("name", NAMES)
def test_the_questions_of_an_experiment_are_of_its_own_runs(name: str) -> None:
    """Except for best_vectors, which is compared with best_scratch."""
    asked = experiment(name)[0].compare
    assert len({entry.question for entry in asked}) == len(asked)
    assert all(entry.question.endswith("?") for entry in asked)
    if name in ("pooling", "architectures", "lstm_vs_gru", "best_vectors", "demo"):
        assert asked
