"""Ensembles: the mean of the members' probabilities, in a folder like a run's."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn import metrics

from lstm_sentiment import InputError
from lstm_sentiment.commands.main import main
from lstm_sentiment.config import Config
from lstm_sentiment.labels import Classes
from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.differences import differing
from lstm_sentiment.report.sections import build_report
from lstm_sentiment.report.variants import variant_groups
from lstm_sentiment.report.verdict_sentences import ENSEMBLES
from lstm_sentiment.runs.predictions import read_predictions, read_table
from lstm_sentiment.runs.reader import State, read_run, read_runs
from lstm_sentiment.runs.record import defect
from lstm_sentiment.training.ensemble import ensemble
from tests.support.displays import RecordingDisplay
from tests.support.records import DATA, LABELS, amend, answers, network, put_baseline, put_run

Capture = pytest.CaptureFixture[str]
STARS = Classes(("1", "2", "3"))
THREE = np.arange(200) % 3


def drawn(seed: int, labels: np.ndarray = LABELS) -> np.ndarray:
    """Return probabilities of positive that agree with most labels."""
    noise = np.random.default_rng(seed).normal(size=len(labels))
    return np.asarray(expit(2 * labels - 1 + noise))


def drawn_of_three(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(len(THREE), 3))
    return np.asarray(softmax(noise + np.eye(3)[THREE], axis=1))


def seeds(sweep: Path, count: int = 3, **changes: Any) -> list[Path]:
    return [
        put_run(sweep, network(seed=k), test=drawn(k), val=drawn(k + 9), **changes)
        for k in range(count)
    ]


def test_a_worked_example(tmp_path: Path) -> None:
    """Two of three members are wrong on the first review, but less sure than the third one."""
    labels = np.array([1, 0, 1, 0])
    each = [[0.4, 0.1, 0.9, 0.6], [0.45, 0.3, 0.2, 0.2], [0.95, 0.2, 0.6, 0.1]]
    data = DATA | {"val": None, "test": 4}
    runs = [
        put_run(tmp_path / "s", network(seed=k), test=np.array(p), labels=labels, data=data)
        for k, p in enumerate(each)
    ]
    folder, record = ensemble(runs)
    table = read_predictions(read_run(folder), "test")
    np.testing.assert_allclose(table.probability, [0.6, 0.2, 0.5667, 0.3], atol=1e-4)
    assert record["test"]["confusion_matrix"] == [[2, 0], [0, 2]]
    loss = -np.log([0.6, 0.8, 17 / 30, 0.7]).mean()
    assert record["test"]["loss"] == pytest.approx(loss, abs=1e-6)
    folder, record = ensemble(runs, [1, 2, 1])
    table = read_predictions(read_run(folder), "test")
    np.testing.assert_allclose(table.probability, [0.5625, 0.225, 0.475, 0.275], atol=1e-6)
    assert record["choices"] == {"encoder": "ensemble", "head": "weighted"}


def test_scores_are_those_of_scikit_learn(tmp_path: Path) -> None:
    runs = [*seeds(tmp_path / "s"), put_baseline(tmp_path / "s", drawn(5), drawn(6))]
    _, record = ensemble(runs)
    for stage, shown in (("test", [0, 1, 2, 5]), ("val", [9, 10, 11, 6])):
        mean = np.mean([drawn(k) for k in shown], 0)
        scores = record[stage]
        assert scores["accuracy"] == metrics.accuracy_score(LABELS, mean > 0.5)
        assert scores["auroc"] == pytest.approx(metrics.roc_auc_score(LABELS, mean), abs=1e-6)
        assert scores["loss"] == pytest.approx(metrics.log_loss(LABELS, mean), abs=1e-6)


def test_scores_of_three_classes(tmp_path: Path) -> None:
    given = {"labels": THREE, "classes": STARS}
    runs = [
        put_run(tmp_path / "s", network(seed=k), test=drawn_of_three(k), **given) for k in range(3)
    ]
    folder, record = ensemble(runs)
    mean = np.mean([drawn_of_three(k) for k in range(3)], 0)
    assert record["test"]["accuracy"] == metrics.accuracy_score(THREE, mean.argmax(1))
    table = read_predictions(read_run(folder), "test")
    np.testing.assert_allclose(table.probability, mean, atol=1e-6)
    assert record["val"] is None


def test_the_record(tmp_path: Path) -> None:
    runs = seeds(tmp_path / "s")
    folder, record = ensemble(runs[::-1])
    assert folder.parent == (tmp_path / "s").resolve()
    assert folder.name.startswith("ensemble-mean-s0-")
    assert read_run(folder).record == record
    assert [member["folder"] for member in record["members"]] == [f"s/{run.name}" for run in runs]
    assert str(tmp_path) not in json.dumps(record)
    members = [read_run(run).record or {} for run in runs]
    for cost in ("parameters", "fit_seconds"):
        assert record["cost"][cost] == pytest.approx(sum(each["cost"][cost] for each in members))
    # The reviews are those of the members, in the same file.
    assert len([*(tmp_path / "s").glob("reviews-*.parquet")]) == 1
    assert read_table(folder / "predictions.parquet").num_rows == 400


def test_the_order_of_the_runs_does_not_matter(tmp_path: Path) -> None:
    runs = seeds(tmp_path / "s")
    display = RecordingDisplay()
    first = ensemble(runs, display=display)
    assert ensemble([runs[2], runs[0], runs[1]], display=display) == first
    assert any("is finished; --rerun makes it again" in text for text in display.messages)
    assert ensemble(runs[:2])[0] != first[0]
    assert ensemble(runs, [1, 1, 2])[0] != first[0]
    amend(first[0], lambda record: record.update(sweep="changed"))
    assert ensemble(runs)[1]["sweep"] == "changed"
    assert ensemble(runs, rerun=True)[1] == first[1]


def test_members_with_other_predictions_give_another_folder(tmp_path: Path) -> None:
    runs = seeds(tmp_path / "s")
    before = ensemble(runs)[0]
    put_run(tmp_path / "s", network(seed=0), test=drawn(50), val=drawn(51))
    assert ensemble(runs)[0] != before


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (lambda runs: runs[:1], "An ensemble needs at least two runs (got 1)."),
        (lambda runs: [runs[0], runs[0]], "is given 2 times: give each run once."),
        (lambda runs: [*runs, runs[0].parent], "is not a finished run"),
        (lambda runs: [*runs, ensemble(runs)[0]], "is an ensemble: give its members, each once."),
    ],
)
def test_refused_runs(
    tmp_path: Path, chosen: Callable[[list[Path]], list[Path]], message: str
) -> None:
    runs = chosen(seeds(tmp_path / "s"))
    with pytest.raises(InputError) as error:
        ensemble(runs)
    assert message in str(error.value)


def test_a_copy_of_a_run_is_the_same_run(tmp_path: Path) -> None:
    run = seeds(tmp_path / "s", 1)[0]
    shutil.copytree(tmp_path / "s", tmp_path / "t")
    with pytest.raises(InputError, match="is given 2 times"):
        ensemble([run, tmp_path / "t" / run.name])


def test_other_classes_are_refused(tmp_path: Path) -> None:
    one = put_run(tmp_path / "s", network(), test=drawn(1))
    other = put_run(
        tmp_path / "s",
        network(seed=1),
        test=drawn(2),
        classes=Classes(("ham", "spam")),
    )
    with pytest.raises(InputError, match="have different classes: negative, positive; ham"):
        ensemble([one, other])


def test_other_reviews_are_refused(tmp_path: Path) -> None:
    one = put_run(tmp_path / "s", network(), test=drawn(1))
    other = put_run(
        tmp_path / "s",
        network(seed=1),
        test=drawn(2),
        data=DATA | {"val": None, "fingerprint": "2"},
    )
    with pytest.raises(InputError, match="s/lstm-last-s0-.* are of different reviews"):
        ensemble([one, other])


def test_other_test_reviews_are_refused(tmp_path: Path) -> None:
    one = put_run(tmp_path / "s", network(), test=drawn(1))
    other = put_run(tmp_path / "s", network(seed=1), test=drawn(2), rows=np.arange(200) + 1)
    with pytest.raises(InputError, match="were not tested on the same reviews"):
        ensemble([one, other])
    assert not [*(tmp_path / "s").glob("ensemble*")]


def test_a_fold_is_refused(tmp_path: Path) -> None:
    data = DATA | {"val": None, "folds": 5, "fold": 1}
    runs = [put_run(tmp_path / "s", network(seed=k), test=drawn(k), data=data) for k in range(2)]
    with pytest.raises(InputError, match="is a fold of a cross-validation"):
        ensemble(runs)


def test_of_different_validation_sets_only_test_is_kept(tmp_path: Path) -> None:
    """One member learned from the validation reviews of the other one."""
    one = put_run(tmp_path / "s", network(), test=drawn(1), val=drawn(3))
    other = put_run(
        tmp_path / "s", network(seed=1), test=drawn(2), data=DATA | {"train": 1100, "val": 0}
    )
    display = RecordingDisplay()
    folder, record = ensemble([one, other], display=display)
    assert any("do not have the same validation set" in text for text in display.messages)
    assert (record["val"], record["data"]["val"], record["data"]["train"]) == (None, 0, 1100)
    assert set(read_table(folder / "predictions.parquet")["split"].to_pylist()) == {"test"}


def test_runs_with_nothing_in_common_are_refused(tmp_path: Path) -> None:
    one = put_run(tmp_path / "s", network(), val=drawn(3), data=DATA | {"test": None})
    other = put_run(
        tmp_path / "s",
        network(seed=1),
        val=drawn(4),
        rows=np.arange(200) + 1,
        data=DATA | {"test": None},
    )
    with pytest.raises(InputError, match="have no predictions for the same reviews"):
        ensemble([one, other])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda record: record["members"].pop(), "members"),
        (lambda record: record["members"][0].update(folder="../../elsewhere"), "folder"),
        (lambda record: record["members"][0].update(folder="/tmp"), "folder"),
        (lambda record: record["members"][0].update(weight=-1), "weight"),
        (lambda record: record["members"][0].update(weight=1), "sum of the weights"),
        (lambda record: record["members"][0].pop("name"), "name is missing"),
        (lambda record: record.update(epochs=[{}]), "is damaged"),
        (lambda record: record.update(test=None, val=None), "val and test"),
    ],
)
def test_a_damaged_record_is_no_record(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], problem: str
) -> None:
    folder, record = ensemble(seeds(tmp_path / "s", 2))
    change(record)
    assert problem in str(defect(record, folder.name))


# Reports


@pytest.fixture
def compared(tmp_path: Path) -> Comparison:
    """Return the comparison of three seeds, their ensemble, one with a baseline, and baselines."""
    sweep = tmp_path / "s"
    runs = seeds(sweep)
    baseline = put_baseline(sweep, drawn(5), drawn(6))
    ensemble(runs)
    ensemble([*runs, baseline])
    return Comparison(variant_groups(read_runs(sweep))[0])


def test_reports_show_ensembles_beside_runs(compared: Comparison) -> None:
    variants = {variant.model: variant for variant in compared.tested}
    assert variants.keys() == {"network", "n-gram baseline", "ensemble"}
    assert len([v for v in compared.tested if v.is_ensemble]) == 2
    assert [v.model for v in compared.networks] == ["network"]
    assert compared.best_network is variants["network"]
    verdicts = compared.against(compared.baseline)
    assert len(verdicts) == 3
    [difference] = differing(variants["ensemble"], variants["network"])
    assert (difference.ours, difference.theirs) == ("ensemble", "network")


def test_claims_on_an_ensemble_are_those_on_its_members(tmp_path: Path) -> None:
    sweep = tmp_path / "s"
    ensemble(seeds(sweep))
    put_baseline(sweep, answers(20), answers(20))
    blocks, _ = build_report(read_runs(sweep), [])
    assert ENSEMBLES in str(blocks)


def test_an_ensemble_alone_can_be_reported(tmp_path: Path) -> None:
    folder, _ = ensemble(seeds(tmp_path / "s"), root=str(tmp_path / "other"))
    blocks, [comparison] = build_report([read_run(folder)], [])
    assert [v.name for v in comparison.variants] == ["ensemble-mean"]
    assert ENSEMBLES not in str(blocks)


# Commands


def test_the_command(tmp_path: Path, capsys: Capture) -> None:
    runs = [str(run) for run in seeds(tmp_path / "s")]
    assert main(["ensemble", *runs, "--sweep", "means", "--weights", "1,1,2"]) == 0
    output = capsys.readouterr().out
    assert "ensemble-weighted-s0-" in output
    assert "3 members" in output
    [summary] = read_runs(tmp_path / "means")
    assert summary.state is State.done
    assert main(["status", str(tmp_path / "means")]) == 0
    assert "3 members" in capsys.readouterr().out
    assert main(["ensemble", runs[0]]) == 1
    assert "at least two runs" in capsys.readouterr().err
    assert main(["ensemble", *runs, "--weights", "1,1"]) == 1
    assert "3 runs need as many weights (got 2)." in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["ensemble", *runs, "--weights", "1,0,1"])
    assert "must be positive numbers" in capsys.readouterr().err


def test_a_configuration_names_no_seed(tmp_path: Path) -> None:
    """The record holds the fields of data that the members have in common, and no others."""
    sweep = tmp_path / "s"
    runs = [*seeds(sweep), put_run(sweep, network("gru"), test=drawn(4), val=drawn(5))]
    _, record = ensemble(runs)
    assert record["config"].keys() == {"seed", "test", "sweep", "ensemble", "data"}
    assert record["config"]["data"]["val_fraction"] == Config().data.val_fraction
