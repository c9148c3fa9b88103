"""What TensorBoard shows of a run: curves while it trains, and at its end what they led to."""

import html
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from lstm_sentiment.config import Config, flat
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.training import figures
from lstm_sentiment.training.artifacts import Predictions
from lstm_sentiment.training.checkpoints import AfterEpoch
from lstm_sentiment.training.progress import Costs
from lstm_sentiment.training.record import PLACES

OVERLAID = ("loss", "accuracy", "precision", "recall", "f1", "auroc")
LAYOUT = {
    "train and val": {s: ["Multiline", [f"train/{s}", f"val/{s}"]] for s in OVERLAID},
}
MISTAKES = 10
WORDS = 80  # of a review that is shown


class Board(AfterEpoch):
    """Writes events into the run's folder, by whose name TensorBoard calls the run.

    Not by Lightning's logger, which writes an epoch's scores only after its checkpoint: a run
    interrupted in between would lack them. Here a checkpoint finds all that led to it on disk,
    and who goes on from it purges what was written later.
    """

    def __init__(self, folder: Path, config: Config, costs: Costs) -> None:
        self.folder, self.config, self.costs = folder, config, costs
        self.writer: SummaryWriter | None = None
        self.rate = config.optimizer.lr

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._open(trainer.global_step)

    def on_train_batch_start(
        self, trainer: L.Trainer, module: L.LightningModule, batch: Any, number: int
    ) -> None:
        self.rate = float(trainer.optimizers[0].param_groups[0]["lr"])  # the step will change it

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, number: int
    ) -> None:
        if trainer.global_step % self.config.trainer.log_every_n_steps == 0:
            values = {"step_loss": outputs["loss"].item(), "learning_rate": self.rate}
            self._scalars("train", values, trainer.global_step - 1)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, SentimentModule)
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
        predictions: Predictions,
        text: Callable[[str, int], str],
    ) -> None:
        """The final scores with what they were reached by, and pictures of the answers.

        `step` is the number of batches trained on, `text(split, index)` the words of a review.
        """
        writer = self.writer or self._open(step)
        val, test = record["val"] or {}, record["test"] or {}
        final = {f"test/{score}": test[score] for score in OVERLAID if score in test}
        final |= {f"val/kept_{score}": val[score] for score in OVERLAID if score in val}
        for name, value in final.items():
            writer.add_scalar(name, value, step)
        for stage, columns in predictions.items():
            writer.add_pr_curve(
                f"{stage}/precision_recall", columns["label"], columns["probability"], step
            )
            writer.add_text(f"{stage}/mistakes", mistakes(columns, partial(text, stage)), step)
            matrix = figures.confusion_matrix(record, stage)
            writer.add_figure(f"{stage}/confusion_matrix", matrix, step)
        # Not add_hparams, which makes a run of its own for them. And no word on the experiment as
        # a whole: TensorBoard then looks at all runs, and shows first what they differ in.
        chosen = {name: value for name, value in flat(self.config).items() if name not in PLACES}
        named = {name: "none" if value is None else value for name, value in chosen.items()}
        _, *session = hparams(named, final)  # type: ignore[no-untyped-call]
        for summary in session:
            writer._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]
        self.close()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _open(self, step: int) -> SummaryWriter:
        self.writer = SummaryWriter(self.folder, purge_step=step or None)
        self.writer.add_custom_scalars(LAYOUT)
        return self.writer

    def _scalars(self, stage: str, values: Mapping[str, Any], step: int) -> None:
        assert self.writer is not None
        for name, value in values.items():
            if isinstance(value, float):  # the confusion matrix is drawn at the end
                self.writer.add_scalar(f"{stage}/{name}", value, step)


def mistakes(columns: Mapping[str, Tensor], text: Callable[[int], str]) -> str:
    """In Markdown, the reviews answered wrongly with the most confidence."""
    label, probability = columns["label"].numpy(), columns["probability"].numpy()
    wrong = np.flatnonzero((probability > 0.5) != label)
    worst = wrong[np.argsort(-np.abs(label - probability)[wrong], kind="stable")][:MISTAKES]
    lines = []
    for place in worst:
        index = int(columns["index"][place])
        words = text(index).split()
        shown = " ".join(words[:WORDS]) + (" …" if len(words) > WORDS else "")
        verdict = f"{figures.CLASSES[int(label[place])]}, but {probability[place]:.2%} positive"
        lines.append(f"**review {index}**: {verdict}\n\n> {html.escape(shown)}")
    return "\n\n".join(lines) or "None is wrong."
