"""TensorBoard: curves during training; final scores, plots and mistakes after training."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import lightning as L
import numpy as np
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from lstm_sentiment.config import Config, flat
from lstm_sentiment.config_fields import fields_of
from lstm_sentiment.config_pretraining import PretrainingConfig
from lstm_sentiment.display import markdown_text, printable
from lstm_sentiment.labels import BINARY, POSITIVE, Classes
from lstm_sentiment.model.metrics import most_confident_mistakes
from lstm_sentiment.model.probabilities import probabilities
from lstm_sentiment.model.scored_module import ScoredModule
from lstm_sentiment.runs import run_plots
from lstm_sentiment.runs.identity import NOT_FINGERPRINTED
from lstm_sentiment.runs.predictions import PredictionColumns
from lstm_sentiment.runs.record import record_classes
from lstm_sentiment.training.checkpoints import AfterEpoch
from lstm_sentiment.training.costs import Costs

OVERLAID = ("loss", "accuracy", "precision", "recall", "f1", "auroc")
NUMERIC = ("mean_absolute_error", "quadratic_kappa")  # of classes that are numbers
FINAL = (*OVERLAID, "balanced_accuracy", *NUMERIC)
OPTIONAL = {field.name for field in fields_of(Config) if field.optional}
MISTAKES = 10
WORDS_SHOWN = 80  # of a review


class TensorBoard(AfterEpoch):
    """A callback that writes TensorBoard's events into the run's folder.

    Lightning's own logger writes the scores of an epoch after its checkpoint; a run that is
    interrupted between the two loses the scores. This callback writes the scores before the
    checkpoint, and a resumed run purges events that are newer than its checkpoint. As a context
    manager, the callback closes the events file.
    """

    def __init__(
        self,
        folder: Path,
        config: Config | PretrainingConfig,
        costs: Costs,
        overlaid: Sequence[str] = OVERLAID,
    ) -> None:
        self.folder, self.config, self.costs = folder, config, costs
        charts = {s: ["Multiline", [f"train/{s}", f"val/{s}"]] for s in overlaid}
        self.layout = {"train and val": charts}
        self.writer: SummaryWriter | None = None
        self.rate = config.optimizer.lr

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # do not replace the exception of a failed run
            self.close()

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._open(trainer.global_step)

    def on_train_batch_start(
        self, trainer: L.Trainer, module: L.LightningModule, batch: Any, number: int
    ) -> None:
        # The scheduler changes the rate after the step.
        self.rate = float(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, number: int
    ) -> None:
        if trainer.global_step % self.config.trainer.log_every_n_steps == 0:
            assert isinstance(module, ScoredModule)
            values = {"step_loss": module.step_loss.item(), "learning_rate": self.rate}
            self._scalars("train", values, trainer.global_step - 1)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, ScoredModule)
        step = trainer.global_step - 1
        for stage, scores in module.history[-1].items():
            self._scalars(stage, scores or {}, step)
        pace = self.costs.tokens[-1] / self.costs.seconds[-1]
        self._scalars("train", {"tokens_per_second": pace}, step)
        assert self.writer is not None
        self.writer.flush()

    def finish(
        self,
        record: dict[str, Any],
        step: int,
        predictions: PredictionColumns,
        text: Callable[[str, int], str],
    ) -> None:
        """Write the final scores, the hyperparameters, and plots of the predictions.

        `step` is the number of training steps; `text(stage, row)` returns the tokens of a review.
        """
        writer = self.writer or self._open(step)
        val, test = record["val"] or {}, record["test"] or {}
        scores = {f"test/{score}": test.get(score) for score in FINAL}
        scores |= {f"val/kept_{score}": val.get(score) for score in FINAL}
        final = {name: value for name, value in scores.items() if value is not None}
        for name, value in final.items():
            writer.add_scalar(name, value, step)
        classes = record_classes(record)
        for stage, columns in predictions.items():
            for ending, label, probability in one_versus_rest(columns, classes):
                writer.add_pr_curve(f"{stage}/precision_recall{ending}", label, probability, step)
            listed = mistakes(columns, partial(text, stage), classes)
            writer.add_text(f"{stage}/mistakes", listed, step)
            matrix = run_plots.confusion_matrix(record, stage)
            writer.add_figure(f"{stage}/confusion_matrix", matrix, step)
        self._write_hyperparameters(writer, final)
        self.close()

    def _write_hyperparameters(self, writer: SummaryWriter, scores: dict[str, float]) -> None:
        # `SummaryWriter.add_hparams` would add a second run to TensorBoard's list. The first
        # summary, on the whole experiment, is omitted, so that TensorBoard itself determines the
        # hyperparameters that differ between runs.
        settings = {
            name: _text(value) if name in OPTIONAL or isinstance(value, str) else value
            for name, value in flat(self.config).items()
            if name not in NOT_FINGERPRINTED
        }
        _, *session = hparams(settings, scores)  # type: ignore[no-untyped-call]
        for summary in session:
            writer._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close the events file, if it is open."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _open(self, step: int) -> SummaryWriter:
        self.writer = SummaryWriter(self.folder, purge_step=step or None)
        self.writer.add_custom_scalars(self.layout)
        return self.writer

    def _scalars(self, stage: str, values: Mapping[str, Any], step: int) -> None:
        assert self.writer is not None
        for name, value in values.items():
            if isinstance(value, float):  # not the confusion matrix, which is plotted at the end
                self.writer.add_scalar(f"{stage}/{name}", value, step)


def _text(value: object) -> str:
    """Return a text, or the value of an optional setting as text.

    If a column had texts and numbers, TensorBoard would filter all of them as texts, and hide the
    runs with a number.
    """
    return "none" if value is None else printable(str(value))


def one_versus_rest(
    columns: Mapping[str, Tensor], classes: Classes
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield the end of a tag, labels, (N,) bool, and probabilities, (N,), of each class.

    Two classes have one curve, that of the second one, whose tag has no ending.
    """
    labels, probability = columns["label"].numpy(), probabilities(columns["logit"].numpy())
    if probability.ndim == 1:
        yield "", labels == POSITIVE, probability
        return
    for label, name in enumerate(classes.names):
        yield f"/{printable(name)}", labels == label, probability[:, label]


def mistakes(
    columns: Mapping[str, Tensor], text: Callable[[int], str], classes: Classes = BINARY
) -> str:
    """Return the most confident mistakes, with the first words of their reviews, as Markdown."""
    labels, logits = columns["label"].numpy().astype(int), columns["logit"].numpy()
    probability = probabilities(logits)
    predicted = classes.predicted(probability)
    lines = []
    for position in most_confident_mistakes(labels, logits, predicted, MISTAKES):
        index = int(columns["index"][position])
        words = text(index).split()
        shown = " ".join(words[:WORDS_SHOWN]) + (" …" if len(words) > WORDS_SHOWN else "")
        of_label = np.atleast_1d(probability[position])
        # Two classes have the probability of the second one, whichever is predicted.
        named = POSITIVE if len(of_label) == 1 else int(of_label.argmax())
        actual, other = (printable(classes.names[label]) for label in (labels[position], named))
        verdict = markdown_text(f"{actual}, but {of_label.max():.2%} {other}")
        lines.append(f"**review {index}**: {verdict}\n\n> {markdown_text(shown)}")
    return "\n\n".join(lines) or "No mistakes."
