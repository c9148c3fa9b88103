"""Train a language model: plan it, fit it part by part, and record it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch

from lstm_sentiment.config import EarlyStoppingConfig
from lstm_sentiment.config_pretraining import PretrainingConfig
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.language_batches import LanguageDataModule
from lstm_sentiment.data.pretraining import pretraining_identity
from lstm_sentiment.display import Display
from lstm_sentiment.errors import FittingError
from lstm_sentiment.files.limits import MODEL_BYTES
from lstm_sentiment.files.reading import errors_named
from lstm_sentiment.files.writing import write_json
from lstm_sentiment.model.language_model import LanguageModel
from lstm_sentiment.model.language_module import LanguageModule
from lstm_sentiment.runs.folder import MODEL, PRETRAINING
from lstm_sentiment.runs.identity import LANGUAGE_MODEL, language_model_folder, new_command
from lstm_sentiment.runs.language_model_folder import digest_of, save_language_model
from lstm_sentiment.runs.record import SCHEMA, examine_language_model, recorded
from lstm_sentiment.training import checkpoints, runtime
from lstm_sentiment.training.costs import Costs
from lstm_sentiment.training.plan import Planned
from lstm_sentiment.training.tensorboard_callback import TensorBoard
from lstm_sentiment.training.train import Attempt
from lstm_sentiment.training.trainer import build_trainer

CHARTS = ("loss", "perplexity")
FLOAT_BYTES = 4
# All parts are trained, and the weights are those of the part with the lowest loss.
BEST = EarlyStoppingConfig(monitor="val/loss", patience=None)


@dataclass(frozen=True)
class PretrainingPlan(Planned):
    """A language model that can be trained: its device works and its reviews can be read."""

    config: PretrainingConfig
    data: LanguageDataModule

    @classmethod
    def of(cls, config: PretrainingConfig, cache: DataCache | None = None) -> "PretrainingPlan":
        """Plan a language model.

        Raises InputError if the device is not available or the reviews cannot be read.
        """
        device = runtime.choose_device(config.trainer.accelerator)
        reviews = ReviewDataModule(config.data, config.seed, test=False, cache=cache)
        identity = " ".join([reviews.identity, *pretraining_identity(reviews)])
        folder = language_model_folder(config, identity)
        return cls(config, device, folder, new_command(), LanguageDataModule(config, reviews))

    @property
    def description(self) -> Mapping[str, Any]:
        """What `config.json` says of the language model: its configuration."""
        return {LANGUAGE_MODEL: recorded(self.config)}

    def prepare(self) -> None:
        """Read the reviews. Raises InputError if they, or the threads, cannot be used."""
        runtime.require_cores(self.config.trainer.threads)
        self.data.reviews.prepare_data()
        self.data.setup()
        with torch.device("meta"):
            model = LanguageModel(self.config, len(self.data.vocabulary))
        with errors_named("the language model"):  # otherwise, it could not be read
            MODEL_BYTES.check(FLOAT_BYTES * sum(p.numel() for p in model.parameters()))

    def examine_record(self) -> tuple[dict[str, Any] | None, str]:
        """Return the record of the language model if it is finished."""
        return examine_language_model(self.folder)


def pretrain(
    plan: PretrainingPlan, checkpoint: Path | None, attempts: list[Attempt], display: Display
) -> dict[str, Any]:
    """Train a planned language model, from the start or from a checkpoint; return its record.

    `attempts` are those of the record, this one last. Raises InputError if the reviews cannot be
    used, FittingError if fitting fails, and OSError if the results cannot be written.
    """
    config, data, folder = plan.config, plan.data, plan.folder
    plan.prepare()
    L.seed_everything(config.seed, workers=True, verbose=False)
    runtime.reset_peak_memory(plan.device)
    module = LanguageModule(
        LanguageModel(config, len(data.vocabulary)), config.optimizer, config.seed
    )
    costs, best = Costs(plan.device), checkpoints.BestEpoch(BEST)
    with TensorBoard(folder, config, costs, CHARTS) as board:
        parts = config.trainer.max_epochs * data.order.count
        trainer = build_trainer(plan, costs, best, board, display, epochs=parts, unit="part")
        _show(module.model, data, display)
        if checkpoint is not None:
            display.message(f"resumes after part {checkpoints.epoch_of(checkpoint)}")
        try:
            trainer.fit(module, data, ckpt_path=checkpoint)
        except Exception as error:
            raise FittingError(error, len(module.history) + 1) from error
        module.load_state_dict(best.weights)
        model = module.model
        save_language_model(folder / MODEL, model, data.vocabulary, config, data.copies)
        record = _make_record(plan, module, costs, best.epoch, attempts)
        write_json(folder / PRETRAINING, record)
    return record


def _make_record(
    plan: PretrainingPlan,
    module: LanguageModule,
    costs: Costs,
    best_part: int,
    attempts: list[Attempt],
) -> dict[str, Any]:
    """Return the record of a language model."""
    parts = zip(costs.seconds, costs.tokens, module.history, strict=True)
    return {
        "schema": SCHEMA,
        "name": plan.folder.name,
        "digest": digest_of(plan.folder / MODEL),
        LANGUAGE_MODEL: recorded(plan.config),
        "parts": [
            {"part": number, "seconds": seconds, "tokens": tokens, **scores}
            for number, (seconds, tokens, scores) in enumerate(parts, 1)
        ],
        "best_part": best_part,
        "perplexity": module.history[best_part - 1]["val"]["perplexity"],
        "cost": {
            "parameters": sum(p.numel() for p in module.model.parameters()),
            "fit_seconds": costs.fit_seconds,
            "tokens_per_second": sum(costs.tokens) / sum(costs.seconds),
            "peak_memory_mib": costs.peak_memory_mib,
        },
        "data": plan.data.summary(),
        "environment": attempts[-1]["environment"],
        "attempts": attempts,
    }


def _show(model: LanguageModel, data: LanguageDataModule, display: Display) -> None:
    """Show the sizes of the network and of its texts."""
    parts = {"embedding": model.embedding, "encoder": model.encoder, "softmax": model.softmax}
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    sizes = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    display.message(f"{sum(p.numel() for p in model.parameters()):,} parameters: {sizes}")
    texts, held_out = len(data.train.offsets) - 1, len(data.held_out.offsets) - 1
    display.message(
        f"{len(data.train.ids):,} tokens of {texts:,} reviews, {len(data.vocabulary):,} words; "
        f"{held_out:,} other reviews measure the perplexity"
    )
