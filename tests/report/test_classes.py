"""Reports on runs of other classes than negative and positive, compared with scikit-learn."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve
from sklearn.preprocessing import label_binarize

from lstm_sentiment.labels import Classes
from lstm_sentiment.model.rates import are_uneven
from lstm_sentiment.report import comparison_plots as plots
from lstm_sentiment.report.class_wording import NAME_LENGTH
from lstm_sentiment.report.csv_files import comparison_table, run_table
from lstm_sentiment.report.page import Block, Paragraph, Table, markdown, page
from lstm_sentiment.report.ranking import markdown as ranking_markdown
from lstm_sentiment.report.ranking import ranking
from lstm_sentiment.report.sections import build_report
from lstm_sentiment.report.variant_sections import class_table
from lstm_sentiment.report.variants import variant_groups
from lstm_sentiment.runs.predictions import Predictions
from lstm_sentiment.runs.reader import read_runs
from tests.support.plots import legend, line
from tests.support.records import DATA, amend, answers, logits, network, put_baseline, put_run
from tests.support.reports import details, plot, report
from tests.support.reports import ranking as report_ranking

STARS = Classes(tuple("12345"))
SENTIMENT = Classes(("negative", "neutral", "positive"))
SPAM = Classes(("ham", "spam"), threshold=0.25)
COUNT = 300


def labels_of(shares: Sequence[float], seed: int = 0) -> np.ndarray:
    """Return labels with these shares, in which each class occurs."""
    rest = np.random.default_rng(seed).choice(len(shares), COUNT - len(shares), p=shares)
    return np.concatenate([np.arange(len(shares)), rest])


def probabilities_of(labels: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Return probabilities, (N, K), of which the label's is the largest more often than not."""
    noise = np.random.default_rng(seed).standard_normal((len(labels), count))
    return softmax(noise + 2 * (labels[:, None] == np.arange(count)), axis=1)


def predictions_of(classes: Classes, seed: int = 0) -> Predictions:
    labels = labels_of(np.full(len(classes), 1 / len(classes)), seed)
    scores = logits(probabilities_of(labels, len(classes), seed))
    return Predictions(np.arange(COUNT), labels.astype(np.int8), scores, None, classes)


def put(root: Path, classes: Classes, shares: Sequence[float]) -> np.ndarray:
    """Write two runs with these classes, and return their labels."""
    labels = labels_of(shares)
    for seed, cell in enumerate(("gru", "lstm")):
        probabilities = probabilities_of(labels, len(classes), seed)
        put_run(root, network(cell, "max"), probabilities, probabilities, labels, classes=classes)
    return labels


@pytest.mark.parametrize("classes", [SENTIMENT, STARS], ids=["3", "5"])
def test_the_class_report_is_that_of_scikit_learn(classes: Classes) -> None:
    run = predictions_of(classes)
    expected = reference.classification_report(
        run.label, run.probability.argmax(1), target_names=classes.names, output_dict=True
    )
    assert class_table(run).rows == [
        [
            name,
            *(f"{100 * expected[name][s]:.2f}" for s in ("precision", "recall", "f1-score")),
            f"{expected[name]['support']:.0f}",
        ]
        for name in classes.names
    ]


def test_a_class_may_be_named_as_an_average_of_scikit_learn() -> None:
    rows = class_table(predictions_of(Classes(("accuracy", "macro avg", "|")))).rows
    assert [row[0] for row in rows] == ["accuracy", "macro avg", "|"]


def test_the_class_report_of_two_classes_uses_the_threshold() -> None:
    probability = np.array([0.2, 0.3, 0.3, 0.6])
    run = Predictions(
        np.arange(4), np.array([0, 0, 1, 1], np.int8), logits(probability), None, SPAM
    )
    assert class_table(run).rows == [
        ["ham", "100.00", "50.00", "66.67", "2"],
        ["spam", "66.67", "100.00", "80.00", "2"],
    ]


def test_curves_of_each_class_are_those_of_scikit_learn() -> None:
    run = predictions_of(STARS)
    figure = plots.curves_by_class(run, [0, 3])
    roc, pr = figure.axes
    one_hot = label_binarize(run.label, classes=range(5))
    for label, text in zip((0, 3), legend(figure), strict=True):
        truth, score = one_hot[:, label], run.probability[:, label]
        areas = (
            reference.roc_auc_score(truth, score),
            reference.average_precision_score(truth, score),
        )
        assert text == f"{STARS.names[label]}: {areas[0]:.3f}, {areas[1]:.3f}"
        x, y = line(roc, text)
        expected = np.interp(x, *reference.roc_curve(truth, score)[:2])
        assert y == pytest.approx(expected, abs=1e-9)
    assert len(pr.lines) == 2


def test_curves_of_variants_are_macro_averages() -> None:
    run = predictions_of(STARS)
    figure = plots.roc_and_precision_recall({"gru": run})
    one_hot = label_binarize(run.label, classes=range(5))
    roc = reference.roc_auc_score(run.label, run.probability, multi_class="ovr", average="macro")
    precision = reference.average_precision_score(one_hot, run.probability, average="macro")
    [text] = legend(figure)
    assert text == f"gru: {roc:.3f}, {precision:.3f}"
    x, y = line(figure.axes[0], text)
    curves = [
        np.interp(x, *reference.roc_curve(one_hot[:, k], run.probability[:, k])[:2])
        for k in range(5)
    ]
    assert y == pytest.approx(np.mean(curves, 0), abs=1e-9)


def test_the_reliability_is_that_of_the_predicted_class() -> None:
    run = predictions_of(SENTIMENT)
    [axes] = plots.calibration({"gru": run}).axes
    share, probability = calibration_curve(run.correct, run.probability.max(1), n_bins=10)
    assert line(axes, "gru") == (pytest.approx(probability), pytest.approx(share))
    assert axes.get_xlabel() == "probability of the predicted class"
    assert axes.get_ylabel() == "share of correct predictions"


@pytest.mark.parametrize(
    ("share", "classes", "uneven"),
    [(0.55, 2, False), (0.551, 2, True), (0.36, 3, False), (0.37, 3, True), (0.2, 5, False)],
)
def test_uneven_classes(share: float, classes: int, uneven: bool) -> None:
    assert are_uneven(share, classes) == uneven


def test_uneven_classes_show_the_majority_class(tmp_path: Path) -> None:
    labels = put(tmp_path, SENTIMENT, (0.7, 0.2, 0.1))
    [table], columns, _ = ranking(read_runs(tmp_path))
    rows = [dict(zip(("", *columns), row, strict=True)) for row in table.rows]
    share = f"{100 * (labels == 0).mean():.2f}"
    always = rows[-1]
    assert (always[""], always["test %"], always["balanced %"]) == (
        "always negative",
        share,
        "33.33",
    )
    predicted = probabilities_of(labels, 3).argmax(1)
    balanced = 100 * reference.balanced_accuracy_score(labels, predicted)
    [gru] = [row for row in rows if row[""] == "gru-max"]
    assert gru["balanced %"] == f"{balanced:.2f}"
    assert f"{share} % of the test reviews belong to the class negative" in table.note
    assert table.title.endswith(", 3 classes")
    assert "MAE" not in columns


def test_numeric_classes_have_their_scores(tmp_path: Path) -> None:
    labels = put(tmp_path, STARS, np.full(5, 0.2))
    predicted = probabilities_of(labels, 5).argmax(1)
    error = reference.mean_absolute_error(labels, predicted)
    kappa = reference.cohen_kappa_score(labels, predicted, weights="quadratic")
    expected = [f"{error:.3f}", f"{kappa:.3f}"]
    [row] = [row for row in report_ranking(report(tmp_path)) if "gru" in row[""]]
    assert [row["MAE"], row["kappa"]] == expected
    runs = read_runs(tmp_path)
    [table], columns, _ = ranking(runs)
    [cells] = [
        dict(zip(columns, row[1:], strict=True)) for row in table.rows if row[0] == "gru-max"
    ]
    assert [cells["MAE"], cells["kappa"]] == expected
    assert "AUROC is the mean over the classes against the rest" in table.note
    for text in (run_table(runs), comparison_table(build_report(runs)[1])):
        assert "test/mean_absolute_error,test/quadratic_kappa" in text.splitlines()[0]


def test_older_scores_of_numeric_classes_follow_from_the_matrix(tmp_path: Path) -> None:
    put(tmp_path, STARS, np.full(5, 0.2))
    [group] = variant_groups(read_runs(tmp_path))
    before = [variant.scores("test", "quadratic_kappa") for variant in group.variants]
    for variant in group.variants:
        for record in variant.records:
            del record["test"]["quadratic_kappa"]
    after = [variant.scores("test", "quadratic_kappa") for variant in group.variants]
    assert np.array(after) == pytest.approx(np.array(before))


def test_usual_classes_have_no_further_columns(tmp_path: Path) -> None:
    put_run(tmp_path, network(), answers(20), answers(10))
    [table], columns, _ = ranking(read_runs(tmp_path))
    assert not {"MAE", "kappa", "balanced %"} & {*columns}
    assert "classes" not in table.title + table.note


def last_paragraph(blocks: Sequence[Block]) -> str:
    assert isinstance(blocks[-1], Paragraph)
    return blocks[-1].text


def test_mistakes_name_the_predicted_class(tmp_path: Path) -> None:
    labels = labels_of([0.5, 0.3, 0.2])
    probabilities = np.full((COUNT, 3), 0.05) + 0.85 * (labels[:, None] == np.arange(3))
    probabilities[7] = np.roll([0.98, 0.01, 0.01], labels[7] + 1)
    put_run(tmp_path, network(), probabilities, probabilities, labels, classes=SENTIMENT)
    [blocks] = details(report(tmp_path)).values()
    label, predicted = (SENTIMENT.names[k % 3] for k in (labels[7], labels[7] + 1))
    assert last_paragraph(blocks).endswith(
        f"with label and predicted class with its probability: 7 ({label}, {predicted} 0.9800)."
    )


@pytest.mark.parametrize(("count", "shown"), [(10, 10), (14, 10)])
def test_curves_of_many_classes_are_those_of_the_largest(
    tmp_path: Path, count: int, shown: int
) -> None:
    classes = Classes(tuple(f"topic {k}" for k in range(count)))
    labels = put(tmp_path, classes, np.arange(1, count + 1) / sum(range(count + 1)))
    curves = plot(report(tmp_path), "class_curves")
    names = [text.split(":")[0] for text in legend(curves.figure)]
    largest = np.argsort(-np.bincount(labels), kind="stable")[:shown]
    assert names == [classes.names[k] for k in sorted(largest)]
    assert ("the 10 largest classes" in curves.title) == (count > shown)


HOSTILE = Classes(("<b>x</b>", "[a](b.md) | `c`", "\x1b[31m\u202e" + "y" * 1000))


def test_names_of_classes_are_shown_literally(tmp_path: Path) -> None:
    put(tmp_path, HOSTILE, (0.6, 0.2, 0.2))
    runs = read_runs(tmp_path)
    blocks = build_report(runs)[0]
    html, text = page("title", blocks), markdown(blocks)
    assert "<b>" not in html + text + ranking_markdown(runs)
    assert "always &lt;b&gt;x&lt;/b&gt;" in html
    assert "](b.md)" not in text
    assert '(b.md)"' not in html
    for shown in (html, text):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "y" * (NAME_LENGTH + 1) not in shown
    tables = [block for blocks in details(blocks).values() for block in blocks]
    assert [len(block.rows) for block in tables if isinstance(block, Table)] == [3, 3]


def test_different_classes_are_not_compared(tmp_path: Path) -> None:
    for number, classes in enumerate((SENTIMENT, Classes(("a", "b", "c")))):
        labels = labels_of([0.4, 0.3, 0.3])
        probabilities = probabilities_of(labels, 3)
        sizes = {"train": 900, "val": COUNT, "test": COUNT}
        data = DATA | sizes | {"classes": [*classes.names]}
        put_run(
            *(tmp_path, network(seed=number), probabilities, probabilities, labels),
            classes=classes,
            data=data,
        )
    assert len(variant_groups(read_runs(tmp_path))) == 2


CALIBRATION = {"temperature": 1.5, "before": 0.08, "after": 0.02}


def test_chosen_decisions_are_shown(tmp_path: Path) -> None:
    labels = (np.arange(200) % 11 == 0).astype(int)
    probabilities = answers(8, labels, confidence=0.7)
    for seed, calibration in enumerate((None, CALIBRATION)):
        decision = {"threshold": 0.25} | ({"calibration": calibration} if calibration else {})
        put_run(
            *(tmp_path, network("gru", seed=seed), probabilities, probabilities, labels),
            classes=SPAM,
            decision=decision,
        )
    usual = Classes(SPAM.names)
    put_run(tmp_path, network("rnn"), probabilities, probabilities, labels, classes=usual)
    blocks = report(tmp_path)
    [table] = [b for b in blocks if isinstance(b, Table) and "temperature" in b.columns]
    assert table.columns == [
        *("", "threshold", "temperature"),
        *("calibration error before", "calibration error after"),
    ]
    assert table.rows == [["gru-last", "0.250", "1.500", "0.080", "0.020"]]
    note = markdown(blocks)
    assert "The class spam is predicted if its probability is above the threshold" in note
    assert "Precision, recall and F1 are each that of the class spam." in note


def test_baselines_with_and_without_a_decision_are_different_variants(tmp_path: Path) -> None:
    put_baseline(tmp_path / "usual", answers(20), answers(20))
    folder = put_baseline(tmp_path / "chosen", answers(20), answers(30))
    decision = {"threshold": "f1", "calibration": "none"}
    amend(folder, lambda record: record["config"].update(decision=decision))
    names = [variant.name for variant in variant_groups(read_runs(tmp_path))[0].variants]
    assert names == [f"ngrams-logistic decision.threshold={chosen}" for chosen in ("0.5", "f1")]


def test_a_damaged_calibration_is_refused(tmp_path: Path) -> None:
    decision = {"threshold": 0.5, "calibration": CALIBRATION | {"after": "low"}}
    put_run(tmp_path, network(), answers(20), answers(10), decision=decision)
    [run] = read_runs(tmp_path)
    assert run.record is None
    assert "calibration after is low" in run.trouble
