"""Train a planned run: load, build, fit, evaluate, record."""

from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np

from lstm_sentiment.config import Config
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.ranks import Ranks
from lstm_sentiment.display import Display
from lstm_sentiment.errors import FittingError
from lstm_sentiment.files.writing import write_json
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.model.ngram_layer import log_count_ratios
from lstm_sentiment.model.objectives import objective_of
from lstm_sentiment.runs.folder import MODEL, PREDICTIONS, RECORD
from lstm_sentiment.runs.network_folder import save_model
from lstm_sentiment.runs.predictions import PredictionColumns, save_predictions
from lstm_sentiment.runs.record import PRUNED, SCHEMA, recorded
from lstm_sentiment.runs.run_plots import save_plots
from lstm_sentiment.training import checkpoints, runtime
from lstm_sentiment.training.averaging import WeightAverage
from lstm_sentiment.training.costs import Costs
from lstm_sentiment.training.decision import Decision, decide
from lstm_sentiment.training.plan import Plan, Pretrained
from lstm_sentiment.training.processes import trained_together
from lstm_sentiment.training.tensorboard_callback import TensorBoard
from lstm_sentiment.training.trainer import build_trainer

Attempt = dict[str, Any]  # its first epoch, counted from 1, and its environment


class Fitted(NamedTuple):
    """A network after its training and its evaluation."""

    module: SentimentModule
    best_epoch: int
    pruned: bool
    steps: int
    decision: Decision
    predictions: PredictionColumns


def train(
    plan: Plan,
    checkpoint: Path | None,
    attempts: list[Attempt],
    display: Display,
    may_continue: checkpoints.MayContinue | None = None,
) -> dict[str, Any]:
    """Train a planned run, from the start or from a checkpoint, and return its record.

    `attempts` are those of the record, this one last. The run is pruned after the first epoch for
    which `may_continue` returns false.

    Raises InputError if the reviews or the word vectors cannot be used, FittingError if fitting
    fails, and OSError if the results cannot be written.
    """
    config, data, folder = plan.config, plan.data, plan.folder

    # Load the reviews, and what the network starts from, before other processes do.
    pretrained = plan.prepare()

    with trained_together(config, folder.name, plan.device, checkpoint) as ranks:
        costs = Costs(plan.device, ranks)
        with TensorBoard(folder, config, costs) as board:
            fitted = fit_network(plan, pretrained, checkpoint, costs, display, board, may_continue)

            # Record the results; `run.json` comes last, since it marks the run as finished.
            record = _make_record(plan, fitted, pretrained, costs, attempts)
            net, classes = fitted.module.classifier, fitted.decision.classes
            ngrams = net.linear_model(data.ngram_vocabulary)
            save_model(folder / MODEL, net, data.vocabulary, config, classes, ngrams)
            save_predictions(folder / PREDICTIONS, fitted.predictions, data.review_columns)
            save_plots(folder, record)
            board.finish(record, fitted.steps, fitted.predictions, data.text)
            write_json(folder / RECORD, record)
    return record


def fit_network(
    plan: Plan,
    pretrained: Pretrained,
    checkpoint: Path | None,
    costs: Costs,
    display: Display,
    board: TensorBoard | None = None,
    may_continue: checkpoints.MayContinue | None = None,
) -> Fitted:
    """Build, train and evaluate the network of a plan whose reviews are prepared.

    All processes of the run do so at the same time, each with its ranks in `costs`; the one that
    leads the run has the `board`, and `may_continue` if it is alone. Raises FittingError if fitting
    fails.
    """
    config, data, ranks = plan.config, plan.data, costs.ranks

    # Build the network and the trainer.
    L.seed_everything(config.seed, workers=True, verbose=False)
    runtime.reset_peak_memory(plan.device)
    data.ranks = ranks
    module = _build_module(config, data, pretrained, ranks)
    decay = config.optimizer.average
    average = WeightAverage(decay) if decay else None
    best = checkpoints.BestEpoch(config.early_stopping, average, may_continue)
    trainer = build_trainer(
        plan,
        costs,
        best,
        board,
        display,
        epochs=config.trainer.max_epochs,
        validate=config.data.val_fraction > 0,
    )
    _show_network(module.classifier, pretrained, data, display)
    if ranks.size > 1:
        display.message(f"{ranks.size} processes, each with a share of every batch")

    # Fit, then restore the weights of the best epoch.
    if checkpoint is not None:
        display.message(f"resumes after epoch {checkpoints.epoch_of(checkpoint)}")
    _fit(trainer, module, data, checkpoint)
    module.load_state_dict(best.weights)

    # Choose the temperature and the threshold on the validation set, if they are to be chosen.
    decision = _decide(trainer, module, data, config, display)

    # Evaluate the network on the validation and the test set.
    predictions = _evaluate(trainer, module, data)
    return Fitted(module, best.epoch, best.pruned, trainer.global_step, decision, predictions)


def _build_module(
    config: Config, data: ReviewDataModule, pretrained: Pretrained, ranks: Ranks
) -> SentimentModule:
    """Return the untrained network, with what is pretrained of it."""
    classifier = Classifier(
        config, len(data.vocabulary), data.classes.outputs, _log_count_ratios(data)
    )
    vectors, language_model = pretrained
    if vectors is not None:
        classifier.start_from(vectors.matrix, vectors.has_vector)
    if language_model is not None:
        classifier.start_from(language_model.vectors, language_model.has_vector)
        classifier.start_encoder_from(language_model.model.weights)
    return SentimentModule(
        classifier,
        config.optimizer,
        config.seed,
        config.embedding.freeze_epochs,
        data.classes,
        data.class_weights,
        objective_of(config, ranks),
        config.data.pseudo_weight,
        ranks,
    )


def _log_count_ratios(data: ReviewDataModule) -> np.ndarray | None:
    """Return the log-count ratios of the n-grams in the training set, (G, K), if there are any."""
    ngrams, train = data.ngram_vocabulary, data.train
    if ngrams is None or train.ngrams is None:
        return None
    return log_count_ratios(train.ngrams, len(ngrams), train.labels, data.classes.outputs)


def _fit(
    trainer: L.Trainer, module: SentimentModule, data: ReviewDataModule, checkpoint: Path | None
) -> None:
    """Fit the module, from the start or from a checkpoint. Raises FittingError on failure."""
    try:
        trainer.fit(module, data, ckpt_path=checkpoint)
    except Exception as error:
        raise FittingError(error, len(module.history) + 1) from error


def _decide(
    trainer: L.Trainer,
    module: SentimentModule,
    data: ReviewDataModule,
    config: Config,
    display: Display,
) -> Decision:
    """Choose the decision of the configuration, apply it to the network, and return it."""
    if config.decision.is_usual:
        return Decision(data.classes)
    trainer.validate(module, data, verbose=False)
    columns = module.scores["val"].predictions()
    decision = decide(
        config.decision, data.classes, columns["label"].numpy(), columns["logit"].numpy()
    )
    decision = decision.agreed(module.ranks)
    module.decide(decision.classes, decision.temperature)
    decision.show(display)
    return decision


def _evaluate(
    trainer: L.Trainer, module: SentimentModule, data: ReviewDataModule
) -> PredictionColumns:
    """Evaluate the module on the validation and the test set, if any; return the predictions."""
    predictions = {}
    if len(data.val):
        trainer.validate(module, data, verbose=False)
        predictions["val"] = module.scores["val"].predictions()
    if data.test is not None:
        trainer.test(module, data, verbose=False)
        predictions["test"] = module.scores["test"].predictions()
    return predictions


def _make_record(
    plan: Plan,
    fitted: Fitted,
    pretrained: Pretrained,
    costs: Costs,
    attempts: list[Attempt],
) -> dict[str, Any]:
    """Return the record of a run after its evaluation."""
    module = fitted.module
    epochs = zip(costs.seconds, module.history, strict=True)
    vectors, language_model = pretrained
    return {
        "schema": SCHEMA,
        "name": plan.folder.name,
        "sweep": plan.folder.parent.name,
        "choices": plan.choices,
        "config": recorded(plan.config),
        "epochs": [
            {"epoch": number, "seconds": seconds, **scores}
            for number, (seconds, scores) in enumerate(epochs, 1)
        ],
        "best_epoch": fitted.best_epoch,
        **({PRUNED: True} if fitted.pruned else {}),
        "val": module.latest.get("val"),
        "test": module.latest.get("test"),
        "decision": fitted.decision.recorded,
        "cost": _cost(plan, module, costs),
        "data": plan.data.summary(),
        "vectors": vectors.summary(plan.data) if vectors else None,
        "language_model": language_model.summary(plan.data) if language_model else None,
        "pseudo_labels": labels.summary if (labels := plan.data.pseudo_labels) else None,
        "environment": attempts[-1]["environment"],
        "attempts": attempts,
    }


def _cost(plan: Plan, module: SentimentModule, costs: Costs) -> dict[str, Any]:
    test = plan.data.test
    return {
        "parameters": sum(module.classifier.parameter_counts().values()),
        "fit_seconds": costs.fit_seconds,
        "seconds_per_epoch": sum(costs.seconds) / len(costs.seconds),
        "tokens_per_second": sum(costs.tokens) / sum(costs.seconds),
        "peak_memory_mib": costs.peak_memory_mib,
        "test_reviews_per_second": None if test is None else len(test) / costs.test_seconds,
    }


def _show_network(
    classifier: Classifier, pretrained: Pretrained, data: ReviewDataModule, display: Display
) -> None:
    """Show the size of the network, the notes on the reviews, pseudo-labels and pretraining."""
    counts = classifier.parameter_counts()
    parts = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    display.message(f"{sum(counts.values()):,} parameters: {parts}")
    for note in data.notes:
        display.message(note, "warning")
    if (labels := data.pseudo_labels) is not None:
        display.message(labels.note)
    vectors, language_model = pretrained
    if vectors is not None:
        summary = vectors.summary(data)
        display.message(f"{summary['source']}: vectors for {_coverage(summary)}")
    if language_model is not None:
        summary = language_model.summary(data)
        display.message(
            f"language model {summary['digest'][:8]}: encoder, and vectors for {_coverage(summary)}"
        )
        if language_model.note:
            display.message(language_model.note, "warning")


def _coverage(summary: dict[str, Any]) -> str:
    return f"{summary['words']:.1%} of the words, {summary['tokens']:.1%} of the tokens"
