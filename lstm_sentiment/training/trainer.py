"""Lightning's trainer, and the callbacks in the order in which they are called."""

import lightning as L
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from lstm_sentiment.display import Display
from lstm_sentiment.runs.folder import CHECKPOINTS
from lstm_sentiment.training import checkpoints
from lstm_sentiment.training.costs import Costs
from lstm_sentiment.training.plan import Planned
from lstm_sentiment.training.progress import EpochDisplay, ProgressFile
from lstm_sentiment.training.tensorboard_callback import TensorBoard


def build_trainer(
    plan: Planned,
    costs: Costs,
    best: checkpoints.BestEpoch,
    board: TensorBoard | None,
    display: Display,
    *,
    epochs: int,
    unit: str = "epoch",
    validate: bool = True,
) -> L.Trainer:
    """Return the trainer of what is planned, for so many epochs, which messages call `unit`.

    A checkpoint is written after the callbacks whose state it contains have run. It is written
    before the epoch is reported, so that no reported epoch is lost. Without a `board`, nothing is
    written: the process follows the one that leads the run.
    """
    config, folder, ranks = plan.config.trainer, plan.folder, costs.ranks
    callbacks: list[L.Callback] = [costs, *([best.average] if best.average else []), best]
    if board is not None:
        callbacks = [
            *callbacks,
            ProgressFile(folder, costs),
            board,
            checkpoints.EpochCheckpoints(folder / CHECKPOINTS),
            EpochDisplay(costs, display, unit),
        ]
    return L.Trainer(
        accelerator=plan.device,
        # Lightning sees one process: the ranks themselves exchange what they need.
        devices=1 if plan.device == "cpu" or ranks.size == 1 else [ranks.local_rank],
        precision=config.precision,
        max_epochs=epochs,
        limit_train_batches=config.limit_train_batches,
        limit_val_batches=None if validate else 0,
        deterministic=config.deterministic,
        logger=False,  # `board` writes the scores
        callbacks=callbacks,
        # One process trains a run, also in a job of Slurm with several tasks.
        plugins=[checkpoints.VerifiedCheckpointIO(), LightningEnvironment()],
        default_root_dir=folder,
        num_sanity_val_steps=0,
        enable_progress_bar=False,  # EpochDisplay shows one
        enable_model_summary=False,
    )
