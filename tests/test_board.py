"""What TensorBoard shows of a run, read back from its events."""

import html
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
import torch
from matplotlib.image import imread
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
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.training import figures
from lstm_sentiment.training import run as running
from lstm_sentiment.training.board import MISTAKES, Board, mistakes
from lstm_sentiment.training.checkpoints import VerifiedCheckpointIO
from lstm_sentiment.training.progress import Costs
from lstm_sentiment.training.record import PLACES, RECORD, write_json
from lstm_sentiment.training.run import Plan

SCORES = ("loss", "accuracy", "precision", "recall", "f1", "auroc")
BATCHES, EPOCHS = 20, 4  # 320 of the 400 reviews, 16 at a time


class Finished(NamedTuple):
    config: Config
    record: dict[str, Any]
    losses: list[float]  # of every training step
    events: EventAccumulator

    def predictions(self, stage: str) -> Any:
        table = pq.read_table(folder_of(self.config) / "predictions.parquet").to_pandas()
        return table[table["split"] == stage]


class Killed(BaseException):
    """Ends a run as abruptly as can be done from within: nobody handles it."""


def folder_of(config: Config) -> Path:
    return Plan.of(config).folder


def events_of(config: Config) -> EventAccumulator:
    everything = {"scalars": 0, "tensors": 0, "images": 0}
    events = EventAccumulator(str(folder_of(config)), size_guidance=everything)
    events.Reload()
    return events


def points(events: EventAccumulator, tag: str) -> dict[int, float]:
    found = [(event.step, event.value) for event in events.Scalars(tag)]
    assert found == sorted(dict(found).items())  # each step once, and in order
    return dict(found)


def told(text: str) -> list[tuple[str, str]]:
    """Title and words of each review among the mistakes."""
    titles, words = text.split("\n\n")[::2], text.split("\n\n")[1::2]
    assert all(word.startswith("> ") for word in words)
    return [(title, word[2:]) for title, word in zip(titles, words, strict=True)]


def at(first: int, by: int) -> list[int]:
    return list(range(first, BATCHES * EPOCHS, by))


@pytest.fixture(scope="module")
def finished(cache: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """A small run that others look at and do not change."""
    from conftest import tiny_config

    config = tiny_config(
        cache,
        str(tmp_path_factory.mktemp("finished")),
        head={"kind": "max"},
        data={"limit_train": 400, "limit_test": 100, "batch_size": 16},
        encoder={"dropout": 0.0},
        embedding={"dropout": 0.0},
        optimizer={"lr": 0.03},
        trainer={"max_epochs": EPOCHS, "log_every_n_steps": 3},
        seed=3,
    )
    losses, whole = [], SentimentModule.training_step

    @wraps(whole)  # Lightning looks at the arguments
    def watched(self: SentimentModule, batch: Any) -> torch.Tensor:
        loss = whole(self, batch)
        losses.append(loss.item())
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SentimentModule, "training_step", watched)
        record = run(config)
    return Finished(config, record, losses, events_of(config))


@pytest.mark.parametrize("stage", ["train", "val"])
@pytest.mark.parametrize("score", SCORES)
def test_an_epoch_has_its_scores_at_its_last_step(
    finished: Finished, stage: str, score: str
) -> None:
    found = points(finished.events, f"{stage}/{score}")
    assert list(found) == at(BATCHES - 1, BATCHES)
    expected = [epoch[stage][score] for epoch in finished.record["epochs"]]
    assert list(found.values()) == pytest.approx(expected)


def test_losses_within_an_epoch_are_shown_as_often_as_asked(finished: Finished) -> None:
    found = points(finished.events, "train/step_loss")
    assert list(found) == at(2, 3)
    assert list(found.values()) == pytest.approx(finished.losses[2::3])


def test_the_learning_rate_falls_to_zero_in_a_line(finished: Finished) -> None:
    found = points(finished.events, "train/learning_rate")
    assert list(found) == at(2, 3)
    for step, rate in found.items():
        assert rate == pytest.approx(0.03 * (1 - step / (BATCHES * EPOCHS)), abs=1e-8)


def test_the_pace_is_that_of_each_epoch(finished: Finished) -> None:
    found = points(finished.events, "train/tokens_per_second")
    assert list(found) == at(BATCHES - 1, BATCHES)
    data = ReviewDataModule(finished.config.data)
    data.setup()
    seconds = [epoch["seconds"] for epoch in finished.record["epochs"]]
    expected = [data.train.lengths.sum() / second for second in seconds]
    assert list(found.values()) == pytest.approx(expected)


@pytest.mark.parametrize("score", SCORES)
def test_the_final_scores_stand_at_the_end(finished: Finished, score: str) -> None:
    for tag, stage in ((f"test/{score}", "test"), (f"val/kept_{score}", "val")):
        expected = {BATCHES * EPOCHS: finished.record[stage][score]}
        assert points(finished.events, tag) == pytest.approx(expected)


def test_train_and_val_share_a_chart(finished: Finished) -> None:
    [event] = finished.events.Tensors("custom_scalars__config__")
    [category] = Layout.FromString(event.tensor_proto.string_val[0]).category
    charts = {chart.title: list(chart.multiline.tag) for chart in category.chart}
    assert charts == {score: [f"train/{score}", f"val/{score}"] for score in SCORES}


def test_what_was_chosen_stands_beside_what_it_led_to(finished: Finished) -> None:
    metadata = finished.events.summary_metadata["_hparams_/session_start_info"]
    session = HParamsPluginData.FromString(metadata.plugin_data.content).session_start_info
    chosen = {
        name: getattr(value, value.WhichOneof("kind")) for name, value in session.hparams.items()
    }
    assert chosen.keys() == flat(finished.config).keys() - PLACES
    assert chosen["encoder.cell"] == "lstm"
    assert chosen["head.kind"] == "max"
    assert chosen["optimizer.lr"] == 0.03
    assert chosen["data.batch_size"] == 16
    assert chosen["seed"] == 3
    assert chosen["trainer.limit_train_batches"] == "none"


def test_tensorboard_finds_what_runs_differ_in(
    finished: Finished, tmp_path: Path, tiny: Callable[..., Config]
) -> None:
    record = finished.record | {"test": None}
    for number in (1, 2):
        config = tiny(optimizer={"lr": number / 8}, data={"limit_train": (None, 50)[number - 1]})
        Board(tmp_path / "runs" / str(number), config, Costs("cpu")).finish(record, 9, {}, str)
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(tmp_path / "runs")).Reload()
    provider = MultiplexerDataProvider(multiplexer, str(tmp_path / "runs"))
    hparams, nobody = Context(TBContext(data_provider=provider)), RequestContext()
    metadata = hparams.hparams_metadata(nobody, "")
    found = hparams.experiment_from_metadata(nobody, "", True, metadata, None)
    different = {info.name for info in found.hparam_infos if info.differs}
    assert different == {"optimizer.lr", "data.limit_train"}
    assert {info.name for info in found.hparam_infos} == flat(finished.config).keys() - PLACES
    final = {metric.name.tag for metric in found.metric_infos}
    assert final == {f"val/kept_{score}" for score in SCORES}


@pytest.mark.parametrize("stage", ["val", "test"])
def test_a_precision_recall_curve_is_that_of_the_predictions(
    finished: Finished, stage: str
) -> None:
    [event] = finished.events.Tensors(f"{stage}/precision_recall")
    positives, false, _, _, precision, recall = make_ndarray(event.tensor_proto)
    part = finished.predictions(stage)
    middle = len(precision) // 2  # of thresholds from 0 to 1
    answer = part["probability"] >= 0.5
    assert 0 < answer.sum() < len(part)
    assert precision[middle] == pytest.approx(reference.precision_score(part["label"], answer))
    assert recall[middle] == pytest.approx(reference.recall_score(part["label"], answer))
    assert (positives[0], false[0]) == (part["label"].sum(), (1 - part["label"]).sum())
    assert event.step == BATCHES * EPOCHS


@pytest.mark.parametrize("stage", ["val", "test"])
def test_the_confusion_matrix_is_shown(finished: Finished, stage: str) -> None:
    [event] = finished.events.Images(f"{stage}/confusion_matrix")
    shown = imread(io.BytesIO(event.encoded_image_string), format="png")
    expected = figure_to_image(figures.confusion_matrix(finished.record, stage))
    assert (shown[..., :3] * 255 == expected[:3].transpose(1, 2, 0)).all()


@pytest.mark.parametrize("stage", ["val", "test"])
def test_the_worst_mistakes_are_told_with_their_words(finished: Finished, stage: str) -> None:
    [event] = finished.events.Tensors(f"{stage}/mistakes/text_summary")
    shown = told(event.tensor_proto.string_val[0].decode())
    part = finished.predictions(stage)
    wrong = part[(part["probability"] > 0.5) != part["label"]]
    error = (wrong["label"] - wrong["probability"]).abs()
    worst = wrong.loc[error.sort_values(ascending=False, kind="stable").index][:MISTAKES]
    data = ReviewDataModule(finished.config.data)
    assert len(shown) == len(worst) > 3
    for (title, words), (_, row) in zip(shown, worst.iterrows(), strict=True):
        label, chance = ("negative", "positive")[row["label"]], row["probability"]
        assert title == f"**review {row['index']}**: {label}, but {chance:.2%} positive"
        expected = data.text(stage, row["index"]).split()
        assert html.unescape(words).split() == (
            expected if len(expected) <= 80 else [*expected[:80], "…"]
        )


def test_a_run_without_validation_and_test_has_its_curves(tiny: Callable[..., Config]) -> None:
    config = tiny(data={"val_fraction": 0.0}, test=False)
    record = run(config)
    events = events_of(config)
    losses = list(points(events, "train/loss").values())
    assert losses == pytest.approx([epoch["train"]["loss"] for epoch in record["epochs"]])
    assert {tag.split("/")[0] for tag in events.Tags()["scalars"]} == {"train"}


# Runs that go on


def test_a_checkpoint_finds_on_disk_what_led_to_it(
    tiny: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, save = tiny(), VerifiedCheckpointIO.save_checkpoint
    on_disk: list[list[float]] = []

    def watched(*arguments: Any, **options: Any) -> None:
        on_disk.append(list(points(events_of(config), "val/loss").values()))
        save(*arguments, **options)

    monkeypatch.setattr(VerifiedCheckpointIO, "save_checkpoint", watched)
    losses = [epoch["val"]["loss"] for epoch in run(config)["epochs"]]
    assert on_disk == [pytest.approx(losses[:1]), pytest.approx(losses)]


def until_step(patch: pytest.MonkeyPatch, step: str, number: int) -> None:
    whole, calls = getattr(SentimentModule, step), count(1)

    @wraps(whole)
    def limited(self: SentimentModule, batch: Any) -> Any:
        if next(calls) == number:
            raise Killed
        return whole(self, batch)

    patch.setattr(SentimentModule, step, limited)


def until_record(patch: pytest.MonkeyPatch) -> None:
    def limited(path: Path, content: Any) -> None:
        if path.name == RECORD:
            raise Killed
        write_json(path, content)

    patch.setattr(running, "write_json", limited)


@pytest.mark.parametrize(
    "until",
    [
        lambda patch: until_step(patch, "training_step", BATCHES + 5),
        lambda patch: until_step(patch, "validation_step", 3),
        lambda patch: until_step(patch, "test_step", 1),
        until_record,
    ],
    ids=["training", "validation", "test", "record"],
)
def test_a_run_that_goes_on_shows_what_an_undisturbed_one_does(
    finished: Finished,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    until: Callable[[pytest.MonkeyPatch], None],
) -> None:
    config = replace(finished.config, root=str(tmp_path))
    with monkeypatch.context() as patch:
        until(patch)
        with pytest.raises(Killed):
            run(config)
    # Files are read in the order of their names, which begin with the second.
    [first] = folder_of(config).glob("events.out.tfevents.*")
    first.rename(first.with_name("events.out.tfevents.0"))
    run(config)
    events = events_of(config)
    assert events.Tags() == finished.events.Tags()
    for tag in events.Tags()["scalars"]:
        here, there = points(events, tag), points(finished.events, tag)
        if tag == "train/tokens_per_second":
            assert here.keys() == there.keys()
        else:
            assert here == there
    for tag in events.Tags()["images"]:
        [image] = events.Images(tag)
        assert image.encoded_image_string == finished.events.Images(tag)[0].encoded_image_string
    for tag in events.Tags()["tensors"]:
        here, there = events.Tensors(tag)[-1], finished.events.Tensors(tag)[-1]
        assert (here.step, here.tensor_proto) == (there.step, there.tensor_proto)


# The mistakes


def columns(answers: list[tuple[int, float]]) -> dict[str, torch.Tensor]:
    """Reviews 100, 101, ... with their labels and the probabilities of positive."""
    label, probability = zip(*answers, strict=True)
    return {
        "index": torch.arange(100, 100 + len(answers)),
        "label": torch.tensor(label, dtype=torch.float32),
        "probability": torch.tensor(probability),
    }


def test_the_most_confident_mistakes_come_first() -> None:
    answers = [(1, 0.25), (0, 0.25), (0, 0.9375), (1, 0.9375), (1, 0.125), (0, 0.75)]
    assert told(mistakes(columns(answers), "words of {}".format)) == [
        ("**review 102**: negative, but 93.75% positive", "words of 102"),
        ("**review 104**: positive, but 12.50% positive", "words of 104"),
        ("**review 100**: positive, but 25.00% positive", "words of 100"),
        ("**review 105**: negative, but 75.00% positive", "words of 105"),
    ]


def test_where_nothing_is_wrong_it_says_so() -> None:
    assert mistakes(columns([(1, 0.75), (0, 0.25)]), str) == "None is wrong."


def test_one_half_is_the_answer_negative() -> None:
    [(title, words)] = told(mistakes(columns([(0, 0.5), (1, 0.5)]), str))
    assert (title, words) == ("**review 101**: positive, but 50.00% positive", "101")


def test_no_more_than_ten_mistakes_are_shown() -> None:
    answers = [(0, 0.5 + number / 64) for number in range(1, 15)]
    shown = told(mistakes(columns(answers), str))
    assert [int(words) for _, words in shown] == [*range(113, 103, -1)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b <b>bold</b> & more", "a|b &lt;b&gt;bold&lt;/b&gt; &amp; more"),
        ("two\n\nparagraphs | of\ttext", "two paragraphs | of text"),
        (" ".join(["word"] * 80), " ".join(["word"] * 80)),
        (" ".join(["word"] * 81), " ".join(["word"] * 80) + " …"),
        ("", ""),
    ],
    ids=["marks", "lines", "just short enough", "too long", "empty"],
)
def test_words_cannot_break_the_page(text: str, shown: str) -> None:
    [(_, words)] = told(mistakes(columns([(1, 0.25)]), lambda _: text))
    assert words == shown
