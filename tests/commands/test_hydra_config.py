"""Overrides of a command line and the configuration that they give."""

import re
from pathlib import Path

import pytest

from lstm_sentiment import Config, InputError
from lstm_sentiment.commands.hydra_config import compose, compose_all, refuse_code, seed_experiments
from lstm_sentiment.commands.main import main


def test_overrides_give_the_configuration_of_a_training_command() -> None:
    config = compose(["encoder=gru", "head=max", "data=synthetic", "data.limit_train=7"])
    assert (config.encoder.network, config.head.kind, config.data.limit_train) == ("gru", "max", 7)
    assert config.sweep is None


def test_no_overrides_give_the_defaults() -> None:
    assert compose([]) == Config()


def test_an_experiment_names_the_sweep() -> None:
    assert compose(["experiment=lstm_vs_gru"]).sweep == "lstm_vs_gru"
    assert compose(["experiment=lstm_vs_gru", "sweep=mine"]).sweep == "mine"


def test_axes_of_an_experiment_are_ignored() -> None:
    config = compose(["experiment=lstm_vs_gru"])
    assert (config.encoder.network, config.seed) == ("lstm", 0)


def test_a_path_is_used_literally() -> None:
    config = compose(["data=reviews"], path="a ${seed}/[b],{c}=d.csv")
    assert config.data.path == "a ${seed}/[b],{c}=d.csv"


@pytest.mark.parametrize("override", ["encoder=none", "seed", "data.path=${nothing}"])
def test_an_invalid_override_is_named(override: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(override)}: "):
        compose([override])


@pytest.mark.parametrize("content", ["nonsense", "[a question]"])
def test_a_list_of_questions_must_have_entries(tmp_path: Path, content: str) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/mine.yaml").write_text(f"# @package _global_\ncompare: {content}\n")
    problem = "In 'experiment/mine': compare must be a list of entries with the keys question, run"
    with pytest.raises(InputError, match=problem):
        compose(["experiment=mine"], config_dir=tmp_path)


def test_a_folder_of_the_user_adds_choices(tmp_path: Path) -> None:
    """As with Hydra's --config-dir in training, names of the package keep their meaning."""
    folder = tmp_path / "it's [mine]"
    (folder / "encoder").mkdir(parents=True)
    (folder / "encoder" / "small.yaml").write_text("hidden_size: 3")
    (folder / "encoder" / "gru.yaml").write_text("cell: rnn")
    assert compose(["encoder=small"], config_dir=folder).encoder.hidden_size == 3
    configs = compose_all(["encoder=small,gru", "seed=0,1"], folder)
    assert [(c.encoder.hidden_size, c.encoder.cell) for c in configs[::2]] == [
        (3, "lstm"),
        (128, "gru"),
    ]
    with pytest.raises(InputError, match="encoder/small"):
        compose(["encoder=small"])
    with pytest.raises(InputError, match=r"--config-dir \S+ is not a folder\."):
        compose([], config_dir=tmp_path / "nowhere")


def test_an_unknown_field_is_refused_with_a_similar_name() -> None:
    with pytest.raises(InputError) as refused:
        compose(["optimizer.ler=1"])
    assert str(refused.value) == (
        "optimizer.ler=1: optimizer.ler is not a field: did you mean optimizer.lr? "
        "lstm-sentiment train --help lists all fields."
    )


@pytest.mark.parametrize(
    ("override", "field"),
    [("+encoder.foo=3", "encoder.foo"), ("+foo=3", "foo"), ("++data.augment.mask=1", "mask")],
)
def test_a_field_that_a_plus_adds_is_refused(override: str, field: str) -> None:
    """Hydra allows adding any key, but no part of the program would read it."""
    with pytest.raises(
        InputError, match=rf"{field} is not a field: .*train --help lists all fields\.$"
    ):
        compose([override])
    assert compose(["++optimizer.lr=0.5"]).optimizer.lr == 0.5


@pytest.mark.parametrize(
    ("words", "question"),
    [
        (["train", "language_model.parts=3"], ""),
        (["pretrain", "objective.adversarial=1"], "did you mean optimizer.adversarial? "),
        (["pretrain", "language_model.part=3"], "did you mean language_model.parts? "),
        (["pretrain", "experiments=demo"], ""),
        (["pretrain", "+encoders=3"], "did you mean encoder? "),
    ],
)
def test_only_fields_of_the_command_are_suggested(
    words: list[str], question: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    name = words[1].partition("=")[0].lstrip("+")
    option = {"train": "--help", "pretrain": "--cfg job"}[words[0]]
    listing = f"lstm-sentiment {words[0]} {option} lists all fields."
    printed = " ".join(capsys.readouterr().err.split())
    assert printed.endswith(f"{name} is not a field: {question}{listing}")


def test_a_value_of_the_wrong_type_is_refused_in_one_sentence() -> None:
    with pytest.raises(InputError) as refused:
        compose(["seed=one"])
    assert str(refused.value).endswith(
        "Value 'one' of type 'str' could not be converted to Integer"
    )


@pytest.mark.parametrize(
    "override",
    [
        "+hydra.callbacks.x._target_=os.system",
        "+hydra.callbacks.x={_target_: os.system}",
        "hydra.callbacks=null",
        "~hydra.callbacks.planning",
        "hydra/callbacks=x",
        "+x@hydra.callbacks.y=z",
        "hydra.launcher._target_=os.system",
        "+hydra={launcher: {x: [{_target_: os.system}]}}",
        "hydra.sweeper={_target_: a},{_target_: b}",
    ],
)
def test_a_function_for_hydra_to_call_is_refused(
    override: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for function in (compose, compose_all):
        with pytest.raises(InputError, match=f"^{re.escape(override)} is not allowed: _target_ "):
            function(["seed=1", override])
    assert main(["train", "seed=1", override]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{override} is not allowed")


def test_other_overrides_and_words_are_left_to_hydra() -> None:
    words = ["data.path=my_target_file.csv", "head=glob(max*)", "encoder=lstm,gru", "a b", "x=${y}"]
    refuse_code([*words, "my_conf", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "x={y: 1}"])


def test_the_commands_of_missing_runs_start_from_experiments_with_seeds_only() -> None:
    names = ["best_vectors", "pooling", "demo", "smoke", "None", "../experiment/best_scratch"]
    known = seed_experiments(names)
    assert known == {"best_vectors": compose(["experiment=best_vectors"])}
