"""The TensorBoard callback: events of finished and resumed runs, and the list of mistakes."""

import html
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from matplotlib.image import imread
from scipy.special import expit
from sklearn import metrics as reference
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.util.tensor_util import make_ndarray
from torch.utils.tensorboard._utils import figure_to_image

from lstm_sentiment import Config, run
from lstm_sentiment.config import flat
from lstm_sentiment.files.writing import write_json
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.runs import run_plots
from lstm_sentiment.runs.folder import RECORD
from lstm_sentiment.runs.identity import NOT_FINGERPRINTED
from lstm_sentiment.training import train as training
from lstm_sentiment.training.checkpoints import VerifiedCheckpointIO
from lstm_sentiment.training.costs import Costs
from lstm_sentiment.training.tensorboard_callback import (
    MISTAKES,
    TensorBoard,
    mistakes,
    one_versus_rest,
)
from tests.support.project import (
    Killed,
    MakeConfig,
    StepCalls,
    folder_of,
    learning_config,
    prediction_table,
    read_events,
    reviews_of,
    scalars,
)

pytestmark = pytest.mark.usefixtures("drawn_plots")
SCORES = ("loss", "accuracy", "precision", "recall", "f1", "auroc")
BATCHES, EPOCHS = 20, 4  # 320 of the 400 reviews, 16 at a time
THRESHOLDS = 127  # of a precision-recall curve, from 0 to 1


class FinishedRun(NamedTuple):
    """A run that tests read but do not change."""

    config: Config
    record: dict[str, Any]
    losses: list[float]  # of every training step
    events: EventAccumulator

    def predictions(self, stage: str) -> Any:
        return prediction_table(folder_of(self.config), stage)


def parse_mistakes(markdown: str) -> list[tuple[str, str]]:
    """Return title and quoted words of each review in the list of mistakes."""
    paragraphs = markdown.split("\n\n")
    titles, quotes = paragraphs[::2], paragraphs[1::2]
    assert all(quote.startswith("> ") for quote in quotes)
    return [(title, quote[2:]) for title, quote in zip(titles, quotes, strict=True)]


def steps(first: int, interval: int) -> list[int]:
    return list(range(first, BATCHES * EPOCHS, interval))


@pytest.fixture(scope="module")
def finished(cache: str, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    root = str(tmp_path_factory.mktemp("finished"))
    config = learning_config(cache, root, log_every_n_steps=3)
    losses, training_step = [], SentimentModule.training_step

    def record_loss(self: SentimentModule, batch: Any) -> torch.Tensor:
        loss = training_step(self, batch)
        losses.append(loss.item())
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SentimentModule, "training_step", record_loss)
        record = run(config)
    return FinishedRun(config, record, losses, read_events(folder_of(config)))


# Curves


@pytest.mark.parametrize("stage", ["train", "val"])
@pytest.mark.parametrize("score", SCORES)
def test_scores_of_an_epoch_are_written_at_its_last_step(
    finished: FinishedRun, stage: str, score: str
) -> None:
    curve = scalars(finished.events, f"{stage}/{score}")
    assert list(curve) == steps(BATCHES - 1, BATCHES)
    expected = [epoch[stage][score] for epoch in finished.record["epochs"]]
    assert list(curve.values()) == pytest.approx(expected)


def test_losses_of_steps_are_written_every_log_every_n_steps(finished: FinishedRun) -> None:
    curve = scalars(finished.events, "train/step_loss")
    assert list(curve) == steps(2, 3)
    assert list(curve.values()) == pytest.approx(finished.losses[2::3])


def test_the_learning_rate_decreases_linearly_to_zero(finished: FinishedRun) -> None:
    curve = scalars(finished.events, "train/learning_rate")
    assert list(curve) == steps(2, 3)
    for step, rate in curve.items():
        assert rate == pytest.approx(0.03 * (1 - step / (BATCHES * EPOCHS)), abs=1e-8)


def test_tokens_per_second_are_those_of_each_epoch(finished: FinishedRun) -> None:
    curve = scalars(finished.events, "train/tokens_per_second")
    assert list(curve) == steps(BATCHES - 1, BATCHES)
    tokens = reviews_of(finished.config).train.lengths.sum()
    expected = [tokens / epoch["seconds"] for epoch in finished.record["epochs"]]
    assert list(curve.values()) == pytest.approx(expected)


@pytest.mark.parametrize("score", [*SCORES, "balanced_accuracy"])
def test_final_scores_are_written_after_the_last_step(finished: FinishedRun, score: str) -> None:
    for tag, stage in ((f"test/{score}", "test"), (f"val/kept_{score}", "val")):
        expected = {BATCHES * EPOCHS: finished.record[stage][score]}
        assert scalars(finished.events, tag) == pytest.approx(expected)


def test_train_and_val_share_a_chart(finished: FinishedRun) -> None:
    [event] = finished.events.Tensors("custom_scalars__config__")
    [category] = Layout.FromString(event.tensor_proto.string_val[0]).category
    charts = {chart.title: list(chart.multiline.tag) for chart in category.chart}
    assert charts == {score: [f"train/{score}", f"val/{score}"] for score in SCORES}


def test_a_run_without_validation_and_test_set_has_training_curves(tiny: MakeConfig) -> None:
    config = tiny(data={"val_fraction": 0.0}, test=False)
    record = run(config)
    events = read_events(folder_of(config))
    losses = list(scalars(events, "train/loss").values())
    assert losses == pytest.approx([epoch["train"]["loss"] for epoch in record["epochs"]])
    assert {tag.split("/")[0] for tag in events.Tags()["scalars"]} == {"train"}


# Hyperparameters


def test_all_settings_are_hyperparameters(finished: FinishedRun) -> None:
    metadata = finished.events.summary_metadata["_hparams_/session_start_info"]
    session = HParamsPluginData.FromString(metadata.plugin_data.content).session_start_info
    settings = {
        name: getattr(value, value.WhichOneof("kind")) for name, value in session.hparams.items()
    }
    assert settings.keys() == flat(finished.config).keys() - NOT_FINGERPRINTED
    assert settings["encoder.cell"] == "lstm"
    assert settings["head.kind"] == "max"
    assert settings["optimizer.lr"] == 0.03
    assert settings["data.batch_size"] == 16
    assert settings["seed"] == 3
    assert settings["trainer.limit_train_batches"] == "none"


def test_tensorboard_lists_the_hyperparameters_that_differ(
    finished: FinishedRun, tmp_path: Path, tiny: MakeConfig
) -> None:
    record = finished.record | {"test": None}
    configs = (
        tiny(optimizer={"lr": 0.125}, data={"limit_train": None}),
        tiny(optimizer={"lr": 0.25}, data={"limit_train": 50}),
    )
    for number, config in enumerate(configs):
        board = TensorBoard(tmp_path / "runs" / str(number), config, Costs("cpu"))
        board.finish(record, 9, {}, str)
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(tmp_path / "runs")).Reload()
    provider = MultiplexerDataProvider(multiplexer, str(tmp_path / "runs"))
    hparams, request = Context(TBContext(data_provider=provider)), RequestContext()
    metadata = hparams.hparams_metadata(request, "")
    experiment = hparams.experiment_from_metadata(request, "", True, metadata, None)
    different = {info.name for info in experiment.hparam_infos if info.differs}
    assert different == {"optimizer.lr", "data.limit_train"}
    names = {info.name for info in experiment.hparam_infos}
    assert names == flat(finished.config).keys() - NOT_FINGERPRINTED
    metrics = {metric.name.tag for metric in experiment.metric_infos}
    assert metrics == {f"val/kept_{score}" for score in (*SCORES, "balanced_accuracy")}


def kinds(board: TensorBoard, record: dict[str, Any]) -> dict[str, str]:
    """Return the kind of value of each hyperparameter that a run writes into its events file."""
    board.finish(record, 9, {}, str)
    metadata = read_events(board.folder).summary_metadata["_hparams_/session_start_info"]
    session = HParamsPluginData.FromString(metadata.plugin_data.content).session_start_info
    return {name: str(value.WhichOneof("kind")) for name, value in session.hparams.items()}


def test_a_hyperparameter_has_the_same_type_in_every_run(
    finished: FinishedRun, tmp_path: Path, tiny: MakeConfig
) -> None:
    """TensorBoard hides the runs with a number if another run has a text in the same column."""
    record = finished.record | {"test": None}
    without = tiny(data={"limit_train": None}, optimizer={"clip": None})
    limited = tiny(
        data={"limit_train": 50, "limit_test": 20},
        optimizer={"clip": 0.5},
        trainer={"limit_train_batches": 3},
        early_stopping={"patience": 2},
    )
    first, second = (
        kinds(TensorBoard(tmp_path / str(number), config, Costs("cpu")), record)
        for number, config in enumerate((without, limited))
    )
    assert first == second
    assert first["data.limit_train"] == "string_value"
    assert first["optimizer.lr"] == "number_value"


# Plots and mistakes of a finished run


@pytest.mark.parametrize("stage", ["val", "test"])
def test_a_precision_recall_curve_is_that_of_the_predictions(
    finished: FinishedRun, stage: str
) -> None:
    [event] = finished.events.Tensors(f"{stage}/precision_recall")
    positives, negatives, _, _, precision, recall = make_ndarray(event.tensor_proto)
    part = finished.predictions(stage)
    middle = THRESHOLDS // 2
    positive = part["logit"] >= 0
    assert 0 < positive.sum() < len(part)
    assert len(precision) == THRESHOLDS
    assert precision[middle] == pytest.approx(reference.precision_score(part["label"], positive))
    assert recall[middle] == pytest.approx(reference.recall_score(part["label"], positive))
    assert (positives[0], negatives[0]) == (part["label"].sum(), (1 - part["label"]).sum())
    assert event.step == BATCHES * EPOCHS


@pytest.mark.parametrize("stage", ["val", "test"])
def test_the_confusion_matrix_is_an_image(finished: FinishedRun, stage: str) -> None:
    [event] = finished.events.Images(f"{stage}/confusion_matrix")
    image = imread(io.BytesIO(event.encoded_image_string), format="png")
    expected = figure_to_image(run_plots.confusion_matrix(finished.record, stage))
    assert (image[..., :3] * 255 == expected[:3].transpose(1, 2, 0)).all()


@pytest.mark.parametrize("stage", ["val", "test"])
def test_the_most_confident_mistakes_are_shown_with_their_words(
    finished: FinishedRun, stage: str
) -> None:
    [event] = finished.events.Tensors(f"{stage}/mistakes/text_summary")
    shown = parse_mistakes(event.tensor_proto.string_val[0].decode())
    part = finished.predictions(stage)
    wrong = part[(part["logit"] > 0) != part["label"]]
    order = wrong["logit"].abs().sort_values(ascending=False, kind="stable").index
    worst = wrong.loc[order][:MISTAKES]
    data = reviews_of(finished.config)
    assert len(shown) == len(worst) > 3
    for (title, words), (_, row) in zip(shown, worst.iterrows(), strict=True):
        assert f"review {row['index']}" in title
        assert BINARY.names[row["label"]] in title
        assert f"{expit(row['logit']):.2%}" in title
        expected = data.text(stage, row["index"]).split()
        assert html.unescape(words).split() == (
            expected if len(expected) <= 80 else [*expected[:80], "…"]
        )


# Resumed runs


def test_scores_of_an_epoch_are_on_disk_before_its_checkpoint(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, save = tiny(), VerifiedCheckpointIO.save_checkpoint
    losses_on_disk: list[list[float]] = []

    def read_and_save(*arguments: Any, **options: Any) -> None:
        events = read_events(folder_of(config))
        losses_on_disk.append(list(scalars(events, "val/loss").values()))
        save(*arguments, **options)

    monkeypatch.setattr(VerifiedCheckpointIO, "save_checkpoint", read_and_save)
    losses = [epoch["val"]["loss"] for epoch in run(config)["epochs"]]
    assert losses_on_disk == [pytest.approx(losses[:1]), pytest.approx(losses)]


def kill_before_record(patch: pytest.MonkeyPatch) -> None:
    def write_or_kill(path: Path, content: Any) -> None:
        if path.name == RECORD:
            raise Killed
        write_json(path, content)

    patch.setattr(training, "write_json", write_or_kill)


@pytest.mark.parametrize(
    "interrupt",
    [
        lambda patch: StepCalls(patch, "training_step", BATCHES + 5),
        lambda patch: StepCalls(patch, "validation_step", 3),
        lambda patch: StepCalls(patch, "test_step", 1),
        kill_before_record,
    ],
    ids=["training", "validation", "test", "record"],
)
def test_a_resumed_run_has_the_events_of_an_undisturbed_run(
    finished: FinishedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interrupt: Callable[[pytest.MonkeyPatch], object],
) -> None:
    config = replace(finished.config, root=str(tmp_path))
    with monkeypatch.context() as patch:
        interrupt(patch)
        with pytest.raises(Killed):
            run(config)
    # TensorBoard reads files in the order of their names, which begin with the time in seconds.
    [first] = folder_of(config).glob("events.out.tfevents.*")
    first.rename(first.with_name("events.out.tfevents.0"))
    run(config)
    events, expected = read_events(folder_of(config)), finished.events
    assert events.Tags() == expected.Tags()
    for tag in events.Tags()["scalars"]:
        if tag == "train/tokens_per_second":
            assert scalars(events, tag).keys() == scalars(expected, tag).keys()
        else:
            assert scalars(events, tag) == scalars(expected, tag)
    for tag in events.Tags()["images"]:
        [image], [expected_image] = events.Images(tag), expected.Images(tag)
        assert image.encoded_image_string == expected_image.encoded_image_string
    for tag in events.Tags()["tensors"]:
        last, expected_last = events.Tensors(tag)[-1], expected.Tensors(tag)[-1]
        assert (last.step, last.tensor_proto) == (expected_last.step, expected_last.tensor_proto)


# The events file


def test_a_failed_run_closes_its_events_file(tiny: MakeConfig, tmp_path: Path) -> None:
    board = TensorBoard(tmp_path, tiny(), Costs("cpu"))
    trainer: Any = SimpleNamespace(global_step=0)
    board.on_train_start(trainer, trainer)
    assert board.writer is not None
    with pytest.raises(Killed), board:
        raise Killed
    assert board.writer is None


def test_an_error_of_closing_does_not_replace_the_error_of_the_run(
    tiny: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(_: TensorBoard) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TensorBoard, "close", disk_full)
    with pytest.raises(Killed), TensorBoard(tmp_path, tiny(), Costs("cpu")):
        raise Killed


# The list of mistakes


def prediction_columns(*predictions: tuple[int, float]) -> dict[str, torch.Tensor]:
    """Return the columns of reviews 100, 101, ... from label and probability of each."""
    label, probability = zip(*predictions, strict=True)
    return {
        "index": torch.arange(100, 100 + len(predictions)),
        "label": torch.tensor(label, dtype=torch.float32),
        "logit": torch.logit(torch.tensor(probability)),
    }


def test_the_most_confident_mistakes_come_first() -> None:
    columns = prediction_columns(
        (1, 0.25), (0, 0.25), (0, 0.9375), (1, 0.9375), (1, 0.125), (0, 0.75)
    )
    assert parse_mistakes(mistakes(columns, "words of {}".format)) == [
        ("**review 102**: negative, but 93.75% positive", "words of 102"),
        ("**review 104**: positive, but 12.50% positive", "words of 104"),
        ("**review 100**: positive, but 25.00% positive", "words of 100"),
        ("**review 105**: negative, but 75.00% positive", "words of 105"),
    ]


def test_without_mistakes_the_list_says_so() -> None:
    assert mistakes(prediction_columns((1, 0.75), (0, 0.25)), str) == "No mistakes."


def test_a_probability_of_one_half_is_classified_as_negative() -> None:
    [(title, _)] = parse_mistakes(mistakes(prediction_columns((0, 0.5), (1, 0.5)), str))
    assert "review 101" in title


def test_at_most_ten_mistakes_are_shown() -> None:
    columns = prediction_columns(*((0, 0.5 + number / 64) for number in range(1, 15)))
    shown = parse_mistakes(mistakes(columns, str))
    assert [int(words) for _, words in shown] == [*range(113, 103, -1)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b <b>bold</b> & more", "a|b &lt;b&gt;bold&lt;/b&gt; &amp; more"),
        ("two\n\nparagraphs | of\ttext", "two paragraphs | of text"),
        (" ".join(["word"] * 80), " ".join(["word"] * 80)),
        (" ".join(["word"] * 81), " ".join(["word"] * 80) + " …"),
        ("", ""),
    ],
    ids=["markup", "lines", "80 words", "81 words", "empty"],
)
def test_words_of_a_review_are_escaped_and_truncated(text: str, expected: str) -> None:
    [(_, words)] = parse_mistakes(mistakes(prediction_columns((1, 0.25)), lambda _: text))
    assert words == expected


def test_a_mistake_of_three_classes_names_the_predicted_one() -> None:
    probability = torch.tensor([[0.75, 0.125, 0.125], [0.25, 0.25, 0.5], [0.0625, 0.0625, 0.875]])
    columns = {
        "index": torch.arange(100, 103),
        "label": torch.tensor([1.0, 2.0, 0.0]),
        "logit": probability.log(),
    }
    classes = Classes(("1 *", "2 *", "3 *"))
    assert parse_mistakes(mistakes(columns, "words of {}".format, classes)) == [
        ("**review 102**: 1 &#42;, but 87.50% 3 &#42;", "words of 102"),
        ("**review 100**: 2 &#42;, but 75.00% 1 &#42;", "words of 100"),
    ]


def test_three_classes_have_a_precision_recall_curve_each() -> None:
    logits = torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]])
    columns = {"label": torch.tensor([0.0, 2.0]), "logit": logits}
    curves = list(one_versus_rest(columns, Classes(("1", "2", "3"))))
    assert [ending for ending, _, _ in curves] == ["/1", "/2", "/3"]
    assert [labels.tolist() for _, labels, _ in curves] == [[1, 0], [0, 0], [0, 1]]
    expected = logits.double().softmax(1).numpy()
    for number, (_, _, probability) in enumerate(curves):
        assert probability.tolist() == pytest.approx(expected[:, number].tolist())
