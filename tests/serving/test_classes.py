"""Models of more than two classes, of other labels than usual, and with another threshold."""

import csv
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy.special import softmax
from sklearn import metrics

from lstm_sentiment.commands.evaluate import scores_table
from lstm_sentiment.commands.main import main
from lstm_sentiment.config import Config
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.model.ngram_classifier import NgramClassifier
from lstm_sentiment.model.probabilities import logit_of_mean
from lstm_sentiment.serving.evaluation import evaluate, rules_of_ensemble, scores
from lstm_sentiment.serving.explanation import decomposition, headline, legend, page
from lstm_sentiment.serving.file_prediction import predict_file
from lstm_sentiment.serving.file_reading import FileReading, file_reading
from lstm_sentiment.serving.integrated_gradients import TOLERANCE, attribute
from lstm_sentiment.serving.ngram_predictor import NgramPredictor
from lstm_sentiment.serving.predictor import Predictor
from tests.support.networks import TEXTS, drawn, predictor, saved
from tests.support.tables import table_bytes, write_bytes, write_columns, write_rows

Make = Callable[..., Config]
Capture = pytest.CaptureFixture[str]
STARS = Classes(("1", "2", "3", "4", "5"))
OPINIONS = Classes(("bad", "so-so", "good"))
SPAM = Classes(("ham", "spam"))


def random_labels(classes: Classes, count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, len(classes), count)


# Predictions


@pytest.mark.parametrize("classes", [STARS, OPINIONS])
def test_the_most_probable_class_is_predicted(tiny: Make, tmp_path: Path, classes: Classes) -> None:
    network = predictor(tmp_path / "run", tiny(), classes)
    assert network.classes == classes
    logits = network.logits(TEXTS)
    assert logits.shape == (len(TEXTS), len(classes))
    expected = softmax(logits.astype(float), axis=1)
    np.testing.assert_allclose(network.probabilities(TEXTS), expected)
    predictions = network.predict(TEXTS)
    assert [each.label for each in predictions] == [
        classes.names[label] for label in expected.argmax(1)
    ]
    assert len({each.label for each in predictions}) > 1
    for each, row in zip(predictions, expected, strict=True):
        assert each.probabilities == pytest.approx(row)
        assert each.probability == max(each.probabilities)
    assert network.predict([]) == []
    alone = np.concatenate([network.logits([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, logits, atol=1e-5)
    copy = pickle.loads(pickle.dumps(network))
    assert np.array_equal(copy.logits(TEXTS), logits)


def test_the_threshold_of_the_model_decides(tiny: Make, tmp_path: Path, capsys: Capture) -> None:
    usual = predictor(tmp_path / "usual", tiny())
    probabilities = usual.probabilities(TEXTS)
    threshold = float(np.median(probabilities[probabilities > 0.5]))
    classes = BINARY.with_threshold(threshold)
    strict = predictor(tmp_path / "strict", tiny(), classes)
    assert strict.classes.threshold == threshold
    above = [each.label == "positive" for each in strict.predict(TEXTS)]
    assert above == (probabilities > threshold).tolist()
    assert sum(above) < sum(probabilities > 0.5)
    labels = random_labels(BINARY, len(TEXTS))
    rows = [(text or "a", label) for text, label in zip(TEXTS, labels, strict=True)]
    file = write_rows(tmp_path / "a.csv", rows)
    result = evaluate({"strict": strict}, file, FileReading()).networks["strict"]
    logits = strict.logits([text for text, _ in rows])
    assert result == scores(labels=labels, logits=logits, classes=classes)
    assert result["threshold"] == threshold
    assert result["accuracy"] == np.mean(classes.predicted(strict.probabilities(
        [text for text, _ in rows])) == labels)  # fmt: skip
    assert main(["evaluate", str(tmp_path / "strict"), "--file", str(file)]) == 0
    assert f" threshold {threshold:.4f}" in " ".join(capsys.readouterr().out.split())


def test_predict_prints_the_probability_of_the_predicted_class(
    tiny: Make, tmp_path: Path, capsys: Capture
) -> None:
    run = str(saved(tmp_path / "run", tiny(), STARS))
    prediction = Predictor.load(run).predict("a good film")
    assert main(["predict", run, "a good film"]) == 0
    expected = f"{prediction.label}\t{prediction.probability:.4f}\ta good film\n"
    assert capsys.readouterr().out == expected
    assert main(["predict", run, "a good film", "--json", "--weights"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert [*row["probabilities"]] == [*STARS.names]
    assert row["probabilities"][prediction.label] == row["probability"]
    assert sum(row["probabilities"].values()) == pytest.approx(1)
    explanation = Predictor.load(run).explain("a good film", prediction.label)
    assert row["weights"] == [[*weight] for weight in explanation.weights]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("output", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_file_gets_a_column_for_each_class(
    tiny: Make, tmp_path: Path, suffix: str, output: str
) -> None:
    """Names may need quotes, and the file may have columns of the same names."""
    classes = Classes(('a, "b"', "c", "größer"))
    network = predictor(tmp_path / "run", tiny(), classes)
    columns = {"text": ["a film", "dull plot"], "label": ["x", "y"], "probability_c": ["p", "q"]}
    file = write_bytes(tmp_path / f"in{suffix}", table_bytes(f"in{suffix}", columns))
    out = tmp_path / f"out{output}"
    predict_file(network, file, out, FileReading())
    if output == ".parquet":
        rows = pq.read_table(out).to_pylist()
    elif output == ".jsonl":
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    else:
        with out.open(newline="", encoding="utf-8") as stream:
            rows = [*csv.DictReader(stream, delimiter="," if output == ".csv" else "\t")]
    new = ["probability", 'probability_a, "b"', "predicted_probability_c", "probability_größer"]
    assert [*rows[0]] == [*columns, "predicted_label", *new]
    for row, prediction in zip(rows, network.predict(columns["text"]), strict=True):
        assert row["predicted_label"] == prediction.label
        expected = [prediction.probability, *prediction.probabilities]
        assert [float(row[name]) for name in new] == pytest.approx(expected)
    assert [row["probability_c"] for row in rows] == ["p", "q"]


def test_a_class_that_a_file_cannot_hold_is_refused(tiny: Make, tmp_path: Path) -> None:
    network = predictor(tmp_path / "run", tiny(), Classes(("好", "tab\there")))
    file = write_bytes(tmp_path / "in.csv", "text\nSchön\n".encode("cp1252"))
    reading = file_reading(file, {"run": network.config}, {"encoding": "cp1252"})
    with pytest.raises(InputError, match=r"class 好 cannot be written in cp1252.*\.jsonl"):
        predict_file(network, file, tmp_path / "out.csv", reading)
    file = write_bytes(tmp_path / "in.tsv", 'text\nthe "film\n')
    reading = file_reading(file, {"run": network.config}, {"quoting": "none"})
    with pytest.raises(InputError, match="class tab here cannot be written without quotes"):
        predict_file(network, file, tmp_path / "out.tsv", reading)
    assert not [*tmp_path.glob("out.*")]


# Scores


def test_scores_equal_those_of_scikit_learn(tiny: Make, tmp_path: Path) -> None:
    """Labels are matched to the classes of the model by name, here in other spellings."""
    network = predictor(tmp_path / "run", tiny(), STARS)
    texts = [f"{text or 'a'} film" for text in TEXTS] * 5
    labels = random_labels(STARS, len(texts))
    names = [f" {label + 1}.0" for label in labels]
    file = write_columns(tmp_path / "a.csv", texts, names, names="text label")
    result = evaluate({"run": network}, file, FileReading()).networks["run"]
    probabilities = network.probabilities(texts)
    predicted = probabilities.argmax(1)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        labels, predicted, average="macro", zero_division=0
    )
    expected = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "majority_share": np.bincount(labels).max() / len(labels),
        "mean_absolute_error": metrics.mean_absolute_error(labels, predicted),
        "quadratic_kappa": metrics.cohen_kappa_score(labels, predicted, weights="quadratic"),
        "auroc": metrics.roc_auc_score(labels, probabilities, multi_class="ovr"),
        "loss": metrics.log_loss(labels, probabilities),
    }
    assert {name: result[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert result["confusion_matrix"] == metrics.confusion_matrix(labels, predicted).tolist()
    low, high = result["interval"]
    assert low < result["accuracy"] < high
    assert 0 <= result["calibration_error"] <= 1


def test_evaluate_prints_macro_scores_and_the_whole_matrix(
    tiny: Make, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    run = str(saved(tmp_path / "run", tiny(), STARS))
    rows = [(text, number % 5 + 1) for number, text in enumerate(TEXTS) if text]
    file = str(write_rows(tmp_path / "a.csv", rows))
    assert main(["evaluate", run, "--file", file]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for title in ("macro precision %", "macro recall %", "macro F1 %", "mean absolute error",
                  "quadratic kappa", "largest class %"):  # fmt: skip
        assert [line for line in lines if line.startswith(title)], title
    assert "run: class, predicted: 1 2 3 4 5" in lines
    assert main(["evaluate", run, "--file", file, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["classes"] == [*STARS.names]
    assert np.array(content["networks"]["run"]["confusion_matrix"]).sum(1).tolist() == [
        2,
        1,
        2,
        1,
        1,
    ]


def test_a_table_of_many_classes_is_split() -> None:
    many = Classes(tuple(f"class {number}" for number in range(40)))
    labels = np.arange(40)
    result = scores(labels=labels, logits=np.eye(40), classes=many)
    assert result["accuracy"] == 1
    assert "mean_absolute_error" not in result
    scores_table({"run": result}, many.names)


@pytest.mark.parametrize(
    ("classes", "label", "facts"),
    [
        (STARS, "6", ["row 2", "'6'", "(1, 2, 3, 4, 5)"]),
        (STARS, "4.5", ["row 2", "'4.5'"]),
        (STARS, "positive", ["row 2", "'positive'"]),
        (OPINIONS, "1", ["row 2", "'1'", "(bad, so-so, good)"]),
        (SPAM, "junk", ["row 2", "'junk'", "(ham, spam)", "--positive-label"]),
        (BINARY, "2", ["row 2", "'2'", "(negative, positive)", "--positive-label"]),
    ],
)
def test_a_label_that_the_model_does_not_know_is_refused(
    tiny: Make, tmp_path: Path, capsys: Capture, classes: Classes, label: str, facts: list[str]
) -> None:
    run = str(saved(tmp_path / "run", tiny(), classes))
    file = str(write_rows(tmp_path / "a.csv", [("good", classes.names[1]), ("dull", label)]))
    assert main(["evaluate", run, "--file", file]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1 + output.err.startswith("a.csv: text column")
    for fact in ("a.csv", "one of the model's classes", *facts):
        assert fact in output.err


def test_a_positive_label_is_that_of_the_second_of_two_classes(
    tiny: Make, tmp_path: Path, capsys: Capture
) -> None:
    spam, stars = (
        str(saved(tmp_path / name, tiny(), classes))
        for name, classes in (("spam", SPAM), ("stars", STARS))
    )
    rows = [("good", "junk"), ("dull plot", "mail"), ("a film", "mail")]
    file = str(write_rows(tmp_path / "a.csv", rows))
    options = ["--file", file, "--positive-label", "junk", "--json"]
    assert main(["evaluate", spam, *options]) == 0
    matrix = json.loads(capsys.readouterr().out)["networks"]["spam"]["confusion_matrix"]
    assert [sum(row) for row in matrix] == [2, 1]
    assert main(["evaluate", stars, *options]) == 1
    assert "--positive-label=junk is allowed only for two classes" in capsys.readouterr().err
    assert main(["evaluate", spam, "--file", file, "--positive-label", "Ham"]) == 1
    assert "names the first of the model's classes (ham, spam): give " in capsys.readouterr().err


def test_names_of_a_file_or_its_numbers_are_the_usual_classes(tiny: Make, tmp_path: Path) -> None:
    """A table of the library `datasets` names its classes, such as neg and pos."""
    network = predictor(tmp_path / "run", tiny())
    names = {"neg": [0, 1], "Positive": [1, 0]}
    for (first, numbers), second in zip(names.items(), ("pos", "negative"), strict=True):
        table = pa.table({"text": ["a film", "dull"], "label": numbers})
        feature = {"label": {"names": [first, second], "_type": "ClassLabel"}}
        info = json.dumps({"info": {"features": feature}})
        pq.write_table(table.replace_schema_metadata({"huggingface": info}), tmp_path / "a.parquet")
        result = evaluate({"run": network}, tmp_path / "a.parquet", FileReading()).networks["run"]
        assert result == scores(labels=np.array([0, 1]), logits=network.logits(["a film", "dull"]))


def test_the_ensemble_of_more_classes_predicts_the_mean_probability(
    tiny: Make, tmp_path: Path
) -> None:
    networks = {
        cell: predictor(tmp_path / cell, tiny(encoder={"cell": cell}), OPINIONS)
        for cell in ("lstm", "gru")
    }
    labels = random_labels(OPINIONS, len(TEXTS))
    texts = [text or "a" for text in TEXTS]
    names = [OPINIONS.names[label].upper() for label in labels]
    file = write_columns(tmp_path / "a.csv", texts, names, names="text label")
    result = evaluate(networks, file, FileReading()).networks
    mean = np.mean([network.probabilities(texts) for network in networks.values()], 0)
    expected = scores(labels=labels, logits=np.log(mean), classes=OPINIONS)
    for score, value in expected.items():
        assert np.array(result["ensemble"][score]) == pytest.approx(np.array(value)), score
    logits = [network.logits(texts) for network in networks.values()]
    np.testing.assert_allclose(softmax(logit_of_mean(logits), axis=1), mean)
    certain = np.array([[800.0, 0, -5]])
    assert logit_of_mean([certain, certain])[0] == pytest.approx([0, -800, -805])


def test_models_with_different_classes_are_no_ensemble(
    tiny: Make, tmp_path: Path, capsys: Capture
) -> None:
    reordered = Classes(("good", "so-so", "bad"))
    runs = [
        str(saved(tmp_path / name, tiny(), classes))
        for name, classes in (("one", OPINIONS), ("other", reordered))
    ]
    file = str(write_rows(tmp_path / "a.csv", [("a film", "bad")]))
    assert main(["evaluate", *runs, "--file", file]) == 1
    expected = (
        "The runs have different classes: bad, so-so, good (one), good, so-so, bad (other). "
        "Evaluate them one by one.\n"
    )
    assert capsys.readouterr().err == expected


def test_the_threshold_of_an_ensemble_is_the_mean_of_its_models() -> None:
    rules = {"a": SPAM.with_threshold(0.2), "b": SPAM.with_threshold(0.4)}
    assert rules_of_ensemble(rules).threshold == pytest.approx(0.3)
    assert rules_of_ensemble({"a": SPAM}) == SPAM


# Explanations


@pytest.mark.parametrize("name", [None, "bad", "so-so", "GOOD"])
def test_contributions_add_up_to_the_logit_of_the_class(
    tiny: Make, tmp_path: Path, name: str | None
) -> None:
    network = predictor(tmp_path / "run", tiny(head={"kind": "max"}), OPINIONS)
    text = "not a good film"
    explanation = network.explain(text, name)
    prediction = network.predict(text)
    explained = OPINIONS.names[explanation.label]
    assert explained == (name or prediction.label).lower()
    attribution, logit = explanation.attribution, network.logits([text])[0, explanation.label]
    assert attribution.logit == pytest.approx(logit, abs=1e-5)
    total = attribution.baseline + sum(attribution.contributions)
    assert total == pytest.approx(logit, abs=TOLERANCE + 1e-4)
    assert explanation.prediction == prediction
    assert f"Logit of {explained} " in decomposition(explanation)
    shown = page(explanation)
    assert f"Green tokens favour {explained}, red ones the other classes." in shown
    assert headline(explanation) in shown
    assert headline(explanation).startswith(
        f"{prediction.label}: probability {prediction.probability:.4f}"
    )
    others = explained != prediction.label
    assert (f", of {explained} {prediction.probabilities[explanation.label]:.4f}"
            in headline(explanation)) == others  # fmt: skip


def test_contributions_of_a_linear_network_of_three_classes(tiny: Make) -> None:
    """If the logits are W m + b of the mean m of T vectors, v adds W v / T to them."""
    net = drawn(tiny(head={"kind": "avg"}, encoder={"hidden_size": 5}), OPINIONS)

    def linear(vectors: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return net.output(vectors.mean(1))

    net.classify = linear  # type: ignore[assignment,method-assign]
    ids, real = torch.tensor([[3, 7, 7, 11]]), torch.ones(1, 4, dtype=torch.bool)
    for label in range(3):
        attribution = attribute(net, ids, torch.tensor([4]), real, label)
        with torch.inference_mode():
            expected = (net.embedding.vectors(ids)[0] @ net.output.weight[label] / 4).tolist()
        assert attribution.contributions == pytest.approx(expected, abs=1e-5)
        assert attribution.baseline == pytest.approx(net.output.bias[label].item(), abs=1e-6)


def test_the_first_of_two_classes_has_the_opposite_contributions(
    tiny: Make, tmp_path: Path
) -> None:
    network = predictor(tmp_path / "run", tiny())
    usual, positive, negative = (
        network.explain("a dull plot", name) for name in (None, "positive", "negative")
    )
    assert usual == positive
    contributions = np.array(usual.attribution.contributions)
    np.testing.assert_allclose(negative.attribution.contributions, -contributions, atol=1e-6)
    assert negative.attribution.logit == -usual.attribution.logit
    assert legend(usual) == "Green tokens favour positive, red ones negative."
    assert legend(negative) == "Green tokens favour negative, red ones positive."
    assert decomposition(usual).startswith("Logit +") != decomposition(usual).startswith("Logit -")
    assert decomposition(negative).startswith("Logit of negative ")


def test_explain_takes_the_name_of_a_class(tiny: Make, tmp_path: Path, capsys: Capture) -> None:
    run = str(saved(tmp_path / "run", tiny(), OPINIONS))
    why = tmp_path / "why.html"
    assert main(["explain", run, "a dull plot", "--class", "so-so", "-o", str(why)]) == 0
    printed = capsys.readouterr().out
    assert "Green tokens favour so-so, red ones the other classes." in printed
    assert "Logit of so-so" in printed
    assert "favour so-so" in why.read_text()
    assert main(["explain", run, "a dull plot", "--class", "great"]) == 1
    expected = "'great' is not a class of the model: allowed are bad, so-so, good.\n"
    assert capsys.readouterr().err == expected


def test_an_explanation_of_an_ngram_model_is_of_its_class(tiny: Make) -> None:
    weights = np.array([[1, 2], [3, -4], [-5, 6]], np.float32)
    intercept = np.array([0.5, -1, 2], np.float32)
    classifier = NgramClassifier(["good", "film"], weights, intercept, None)
    model = NgramPredictor(classifier, tiny(), OPINIONS)
    logits = [3.5, -2, 3]
    assert model.logits(["good film"]).tolist() == [logits]
    for label, name in enumerate(OPINIONS.names):
        attribution = model.explain("good film", name).attribution
        assert attribution.contributions == tuple(weights[label])
        assert (attribution.logit, attribution.baseline) == (logits[label], intercept[label])
    assert OPINIONS.names[model.explain("good film").label] == "bad"
    two = NgramPredictor(replace(classifier, weights=weights[0], intercept=np.float32(0.5)), tiny())
    attribution = two.explain("good film", "negative").attribution
    assert attribution.contributions == (-1, -2)
    assert (attribution.logit, attribution.baseline) == (-3.5, -0.5)


# Exports and model folders


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("head", ["last", "max_attention"])
def test_an_exported_network_of_more_classes_predicts_the_same(
    tiny: Make, tmp_path: Path, capsys: Capture, int8: bool, head: str
) -> None:
    pytest.importorskip("onnxruntime")
    run = saved(tmp_path / "run", tiny(head={"kind": head}), STARS)
    original = Predictor.load(run)
    # Those of which 8 bits do not change the class.
    margins = {text: np.ptp(np.sort(original.logits([text])[0])[-2:]) for text in TEXTS}
    texts = [text for text, margin in margins.items() if text and margin > 0.2]
    file = write_columns(tmp_path / "a.csv", texts, names="text")
    options = ["--int8"] if int8 else []
    assert main(["export", str(run), "--file", str(file), *options]) == 0
    assert "100.00% of the labels are the same" in capsys.readouterr().out
    folder = run / ("onnx-int8" if int8 else "onnx")
    exported = Predictor.load(folder)
    assert exported.classes == STARS
    allowed = 0.1 if int8 else 1e-5
    expected = original.probabilities(TEXTS)
    np.testing.assert_allclose(exported.probabilities(TEXTS), expected, atol=allowed)
    copy = pickle.loads(pickle.dumps(exported))
    assert np.array_equal(copy.logits(TEXTS), exported.logits(TEXTS))
    names = [STARS.names[number % 5] for number in range(len(texts))]
    labelled = write_columns(tmp_path / "b.csv", texts, names, names="text label")
    assert main(["evaluate", str(folder), "--file", str(labelled)]) == 0


def changed(folder: Path, **entries: Any) -> Path:
    """Change entries of the configuration in a model folder; those that are None are removed."""
    file = folder / "config.json"
    content = json.loads(file.read_text()) | entries
    kept = {name: value for name, value in content.items() if value is not None}
    file.write_text(json.dumps(kept))
    return folder


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ({"classes": None}, "config.json: it is damaged: classes is None"),
        ({"classes": "ab"}, "config.json: it is damaged: classes is ab"),
        ({"classes": ["a"]}, "config.json: it is damaged: classes is"),
        ({"classes": ["a", "A", "b"]}, "config.json: it is damaged: classes is"),
        ({"classes": ["a", "", "b"]}, "config.json: it is damaged: classes is"),
        ({"classes": ["a", " b", "c"]}, "config.json: it is damaged: classes is"),
        ({"classes": ["a", "\ud800", "c"]}, "config.json: it is damaged: classes is"),
        ({"classes": ["a", 1, "b"]}, "config.json: it is damaged: classes is"),
        ({"classes": [*map(str, range(101))]}, "config.json: it is damaged: classes is"),
        ({"threshold": None}, "config.json: it is damaged: threshold is None"),
        ({"threshold": 0.4}, "config.json: it is damaged: the threshold of 3 classes is 0.4"),
        ({"threshold": 1.5}, "config.json: it is damaged: threshold is 1.5"),
        ({"threshold": float("nan")}, "config.json"),
        ({"threshold": True}, "config.json: it is damaged: threshold is True"),
        ({"classes": ["a", "b"]}, "model.safetensors: the weights 'output.* are 3 .*need 1"),
        ({"classes": ["a", "b", "c", "d"]}, "model.safetensors: the weights 'output.*need 4"),
        ({"schema": 1}, "model.safetensors: the weights 'output.* need 1"),
        ({"schema": 3}, "config.json: it has schema 3, and this version reads 1 and 2"),
    ],
)
def test_damaged_classes_are_refused(
    tiny: Make, tmp_path: Path, entries: dict[str, Any], problem: str
) -> None:
    folder = changed(saved(tmp_path / "run", tiny(), OPINIONS) / "model", **entries)
    with pytest.raises(InputError, match=problem) as refusal:
        Predictor.load(folder)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c", "d"]])
def test_an_export_with_other_classes_is_refused(
    tiny: Make, tmp_path: Path, names: list[str]
) -> None:
    pytest.importorskip("onnxruntime")
    run = saved(tmp_path / "run", tiny(), OPINIONS)
    assert main(["export", str(run)]) == 0
    with pytest.raises(InputError, match=r"model.onnx: its \w+ 1? ?"):
        Predictor.load(changed(run / "onnx", classes=names))


def test_a_model_of_schema_1_has_the_usual_classes(tiny: Make, tmp_path: Path) -> None:
    folder = saved(tmp_path / "run", tiny()) / "model"
    expected = Predictor.load(folder).logits(TEXTS)
    old = Predictor.load(changed(folder, schema=1, classes=None, threshold=None))
    assert old.classes == BINARY
    assert np.array_equal(old.logits(TEXTS), expected)


def test_names_of_classes_from_a_hostile_folder_are_shown_as_text(
    tiny: Make, tmp_path: Path, capsys: Capture
) -> None:
    """They may hold control characters, HTML and 10,000 characters."""
    names = ("\x1b[2Jred", "<script>", "x" * 10_000)
    run = str(saved(tmp_path / "run", tiny(), Classes(names)))
    why = tmp_path / "why.html"
    for name in names:
        assert main(["explain", run, "a film", "--class", name, "-o", str(why), "--overwrite"]) == 0
        assert "<script>" not in why.read_text()
    assert main(["predict", run, *filter(None, TEXTS)]) == 0
    rows = [(text, names[number % 2]) for number, text in enumerate(TEXTS) if text]
    file = write_rows(tmp_path / "a.csv", rows)
    assert main(["evaluate", run, "--file", str(file)]) == 0
    output = capsys.readouterr()
    assert "\x1b" not in output.out + output.err
    assert main(["evaluate", run, "--file", str(write_rows(tmp_path / "b.csv", [("a", "b")]))]) == 1
    assert len(capsys.readouterr().err) < 1_000
