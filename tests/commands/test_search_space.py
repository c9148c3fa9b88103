"""The spaces of `lstm-sentiment tune`: what is parsed, refused and typed."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from lstm_sentiment.commands.hydra_config import compose_all
from lstm_sentiment.commands.search_space import Choices, Numbers, SearchSpace, Space
from lstm_sentiment.errors import InputError

DATA = ["data=synthetic"]


def parsed(*overrides: str) -> SearchSpace:
    return SearchSpace.parse([*DATA, *overrides])


@pytest.mark.parametrize(
    ("override", "space"),
    [
        ("head=max,avg", Choices(("max", "avg"))),
        ("head=choice(max,avg)", Choices(("max", "avg"))),
        ("head=glob(max*)", Choices(("max", "max_attention"))),
        ("encoder.hidden_size=64,128", Choices(("64", "128"))),
        ("encoder.hidden_size=range(64,512)", Numbers(64, 512, 1)),
        ("encoder.hidden_size=range(64,500,32)", Numbers(64, 480, 32)),
        ("encoder.hidden_size=tag(log,range(8,512))", Numbers(8, 512, 1, True)),
        ("encoder.hidden_size=tag(log,int(interval(8,512)))", Numbers(8, 512, 1, True)),
        ("encoder.hidden_size=int(interval(8,512))", Numbers(8, 512, 1)),
        ("optimizer.lr=interval(1e-3,1e-2)", Numbers(0.001, 0.01)),
        ("optimizer.lr=tag(log,interval(1e-4,1e-2))", Numbers(0.0001, 0.01, None, True)),
        ("embedding.dropout=range(0.2,0.5,0.1)", Numbers(0.2, 0.5, 0.1)),
        ("embedding.dropout=range(0.2,0.55,0.1)", Numbers(0.2, 0.5, 0.1)),
    ],
)
def test_a_space_is_that_of_hydra_with_both_ends(override: str, space: Space) -> None:
    name = override.partition("=")[0]
    assert parsed(override).spaces == {name: space}
    assert parsed(f"{name}={space.override}").spaces == {name: space}


def test_a_later_override_replaces_an_earlier_one() -> None:
    space = parsed("head=max,avg", "optimizer.lr=0.1", "head=last", "optimizer.lr=0.1,0.2")
    assert space.spaces == {"optimizer.lr": Choices(("0.1", "0.2"))}
    assert space.fixed == ["data=synthetic", "head=last"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "nothing to search"),
        (["optimizer.lr=interval(1,0.1)"], "upper end must be above"),
        (["optimizer.lr=tag(log,interval(0,1))"], "logarithmic scale begins above 0"),
        (["optimizer.lr=tag(log,range(0.1,1,0.1))"], "logarithmic scale has no step"),
        (["optimizer.lr=tag(ln,interval(0.1,1))"], r"tag\(ln,...\) is unknown"),
        (["head=tag(log,choice(max,avg))"], "for range and interval only"),
        (["encoder.hidden_size=range(8,4,-1)"], r"step must be above 0 \(got -1\)"),
        (["optimizer.lr=range(0,1,1e-30)"], "ends must be finite, and the step larger"),
        (["++rerun=true", "head=max,avg"], "rerun=true is not allowed"),
        (["encoder.hidden_size=5,5"], "fewer than two different values"),
        (["test=true", "head=max,avg"], "test=true is not allowed: .* test set"),
        (["rerun=true", "head=max,avg"], "rerun=true is not allowed"),
    ],
)
def test_an_override_that_is_no_space_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parsed(*overrides)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        # Each end in turn, and every choice.
        ("encoder.hidden_size=range(0,8)", r"encoder.hidden_size must be .* \(got 0\)"),
        ("embedding.dropout=interval(0,1)", r"embedding.dropout must be .* \(got 1.0\)"),
        ("encoder.num_layers=1,2,4", r"encoder.num_layers must be .* \(got 4\)"),
        ("head=max,mean", "head/mean"),
        ("encoder.hiden=range(1,3)", "did you mean encoder.hidden_size"),
        ("heads=max,avg", "heads is not a field: did you mean head"),
        (
            "encoder.hidden_size=interval(8,512)",
            r"must be a whole number: give encoder.hidden_size=range\(8,512\) or, .*"
            r"encoder.hidden_size=tag\(log,range\(8,512\)\)",
        ),
        ("seed=0,1", "seed cannot be searched: .* with the seeds 0, 1, 2"),
        ("test=true,false", "test cannot be searched: no choice may be made by the test set"),
        ("data=synthetic,imdb", "data cannot be searched: all trials must validate on the same"),
        ("trainer.threads=1,2", "trainer.threads cannot be searched: .* not change"),
        ("trainer=cpu,auto", "trainer cannot be searched: .* not change"),
    ],
)
def test_a_space_is_checked_at_its_ends(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parsed(override).check()


def test_choices_that_exclude_each_other_are_checked_alone() -> None:
    space = parsed("encoder.backward=true,false", "encoder.bidirectional=true,false")
    first, ends = space.check()
    assert (first.config.encoder.backward, first.config.encoder.bidirectional) == (True, False)
    assert [(name, value) for name, value, _ in ends] == [
        ("encoder.backward", "True"),
        ("encoder.backward", "False"),
        ("encoder.bidirectional", "True"),
        ("encoder.bidirectional", "False"),
    ]
    with pytest.raises(InputError, match="encoder.backward=true is not allowed"):
        space.compose({"encoder.backward": "true", "encoder.bidirectional": "true"})


def test_numbers_are_typed_shortly_and_stay_in_their_space() -> None:
    rates = Numbers(1e-5, 0.0123456789, is_log=True)
    assert rates.typed(0.00123456789) == "0.00123457"
    assert rates.typed(1e-5) == "1e-05"
    assert float(rates.typed(0.0123456788)) <= rates.high  # and is not rounded above it
    assert Numbers(8, 64, 8).typed(16.0) == "16"


@pytest.mark.parametrize(
    ("low", "high", "is_log", "expected"),
    [(1e-4, 1e-2, False, True), (1e-4, 1e-2, True, False), (1e-3, 1e-2, False, False),
     (0.0, 0.5, False, False), (1, 512, False, False)],
)  # fmt: skip
def test_small_numbers_on_a_linear_scale_are_pointed_out(
    low: float, high: float, is_log: bool, expected: bool
) -> None:
    assert Numbers(low, high, is_log=is_log).is_wide_and_linear == expected


@pytest.mark.parametrize(
    ("overrides", "sweep"),
    [([], "tune"), (["experiment=smoke"], "smoke-tune"), (["sweep=mine"], "mine")],
)
def test_runs_of_a_search_are_not_among_those_of_the_experiment(
    overrides: list[str], sweep: str
) -> None:
    config = parsed("head=max,avg", *overrides).compose({"head": "max"}).config
    assert config.sweep == sweep
    assert not config.test


def test_the_best_configuration_is_trained_as_it_was_found() -> None:
    """The axes of an experiment are not swept, and the networks are tested."""
    space = SearchSpace.parse(
        ["experiment=demo", "seed=5", "sweep=mine", "test=false", "trainer.max_epochs=3",
         "encoder.hidden_size=range(4,64)", "optimizer.lr=tag(log,interval(1e-4,1e-2))"]
    )  # fmt: skip
    values = {"encoder.hidden_size": "17", "optimizer.lr": "0.00123457"}
    found = space.compose(values).config
    runs = compose_all(shlex.split(space.training(values)))
    assert [run.seed for run in runs] == [0, 1, 2]
    assert {run.sweep for run in runs} == {"demo"}
    for run in runs:
        assert run.test
        assert replace(run, seed=5, sweep="mine", test=False) == found


def test_the_folder_of_own_choices_is_used_and_repeated(tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    for size in (3, 5):
        text = f"hidden_size: {size}\n"
        (tmp_path / "encoder" / f"own_{size}.yaml").write_text(text)
    space = SearchSpace.parse([*DATA, "encoder=own_3,own_5"], tmp_path)
    assert space.compose({"encoder": "own_5"}).config.encoder.hidden_size == 5
    words = shlex.split(space.training({"encoder": "own_5"}))
    assert words[:2] == ["--config-dir", str(tmp_path)]
    runs = compose_all(words[2:], tmp_path)
    assert [run.encoder.hidden_size for run in runs] == [5, 5, 5]


def test_an_experiment_that_is_not_tested_is_tested_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "own.yaml").write_text("# @package _global_\ntest: false\n")
    space = SearchSpace.parse([*DATA, "experiment=own", "head=max,avg"], tmp_path)
    assert re.search("test=true.* head=max seed=0,1,2$", space.training({"head": "max"}))
