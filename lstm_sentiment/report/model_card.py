"""record -> the card of a model for the Hugging Face hub: a page in Markdown with metadata.

The sections follow Mitchell et al. 2019. Some sentences are also those of `docs/model_card.md`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lstm_sentiment import __version__
from lstm_sentiment.config import Config, Source, flat
from lstm_sentiment.display import counted, shortened, typed_value
from lstm_sentiment.labels import POSITIVE, THRESHOLD, Classes
from lstm_sentiment.report.class_wording import class_name, score_notes
from lstm_sentiment.report.formatting import NOTHING, enumeration, percent
from lstm_sentiment.report.markup import plain
from lstm_sentiment.report.page import Block, Heading, Listing, Paragraph, Table, markdown
from lstm_sentiment.report.settings import flattened
from lstm_sentiment.report.variants import recorded_scores
from lstm_sentiment.runs.identity import BASELINE, NOT_FINGERPRINTED
from lstm_sentiment.runs.record import record_classes, restored

NETWORK, EXPORTED, NGRAMS = "network", "exported", "n-grams"  # the kinds of models
LIBRARY = "lstm_sentiment"
FILES_NOTE = "the weights (safetensors), the configuration and the vocabulary, and no code"
NO_JUDGEMENT = "Not for judging people by what they write."
TRUNCATION_NOTE = "Words beyond the maximum length are not read."
NGRAMS_NOTE = "The recurrent part does not read words beyond the maximum length; the n-grams do."
OTHER_TEXTS_NOTE = "For other kinds of text, measure the accuracy on such texts first."
SPLITS = {"val": "validation", "test": "test"}
SHARES = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "auroc")
SCORES = {
    "accuracy": "accuracy %",
    "balanced_accuracy": "balanced accuracy %",
    "precision": "precision %",
    "recall": "recall %",
    "f1": "F1 %",
    "auroc": "AUROC %",
    "mean_absolute_error": "MAE",
    "quadratic_kappa": "kappa",
    "loss": "loss",
}
METRICS = ("accuracy", "f1")  # of the metadata
TASK = "text-classification"
IMDB = "stanfordnlp/imdb"
MOST_CLASSES = 10  # in a confusion matrix


class CardModel(NamedTuple):
    """What a card says of a model itself."""

    kind: str  # NETWORK, EXPORTED or NGRAMS
    config: Config  # of a baseline: only the group `data` applies
    classes: Classes
    words: int  # in the vocabulary; of a baseline, n-grams


def model_card(repository: str, model: CardModel, record: Mapping[str, Any] | None) -> str:
    """Return the card of a model in a repository OWNER/NAME; without a record, it has no scores."""
    name = repository.partition("/")[2]
    blocks: list[Block] = [
        Heading(name, 1),
        *_description(model, record),
        *_use(repository, model),
        *_training(record),
        *_evaluation(record),
        Heading("Limits"),
        Listing(_limits(model)),
    ]
    return f"---\n{_metadata(name, model, record)}\n---\n\n{markdown(blocks)}"


def network_sentence(config: Config, words: int, parameters: int) -> str:
    """Return the size of a network in words."""
    return (
        f"A `{config.encoder.network}` network with {config.encoder.hidden_size} units, the head "
        f"`{config.head.kind}` and embeddings with {config.embedding.dim} dimensions for each of "
        f"{words:,} words: {parameters:,} parameters, {4 * parameters / 2**20:.0f} MiB."
    )


def reading_sentence(record: Mapping[str, Any]) -> str:
    """Return the shares of the tokens that a network does not know, and of truncated reviews."""
    data, max_length = record["data"], record["config"]["data"]["max_length"]
    return (
        f"{100 * data['unknown_share']:.1f} % of the tokens are out of vocabulary, and "
        f"{100 * data['truncated_share']:.1f} % of the reviews are longer than {max_length:,} "
        "tokens and are truncated."
    )


def _description(model: CardModel, record: Mapping[str, Any] | None) -> list[Block]:
    config, classes = model.config, model.classes
    if model.kind == NGRAMS:
        text = f"An n-gram baseline: a linear model of {model.words:,} n-grams."
    elif record is not None:
        text = network_sentence(config, model.words, record["cost"]["parameters"])
    else:
        text = f"A `{config.encoder.network}` network with the head `{config.head.kind}`."
    if model.kind == EXPORTED:
        text += " It was exported for ONNX Runtime."
    if model.kind != NGRAMS and config.head.ngrams:
        text += (
            f" Its output units also read n-grams of up to {config.head.ngrams} words, whose "
            "weights are among the parameters."
        )
    names = enumeration([class_name(classes, label) for label in range(len(classes))])
    text += plain(f" It classifies texts as {names}.")
    if classes.threshold != THRESHOLD:
        text += plain(
            f" A text is {class_name(classes, POSITIVE)} if the probability of this class is above "
            f"{classes.threshold:.4f}."
        )
    return [Paragraph(text)]


def _use(repository: str, model: CardModel) -> list[Block]:
    files = "an ONNX graph, the configuration and the vocabulary, and no code"
    return [
        Heading("Use"),
        Paragraph(f"With `{LIBRARY}` {__version__} or a later version:"),
        Listing(
            [
                f'`lstm-sentiment predict hub:{repository} "A text."` prints the class and the '
                "probability.",
                f'`Predictor.load("hub:{repository}").predict("A text.").label` is the class, in '
                "Python.",
            ]
        ),
        Paragraph(f"The repository contains {files if model.kind == EXPORTED else FILES_NOTE}."),
    ]


def _training(record: Mapping[str, Any] | None) -> list[Block]:
    if record is None:
        return [Heading("Training"), Paragraph("The repository has no record of the training.")]
    data, config = record["data"], record["config"]
    text = (
        f"Trained with seed {config['seed']} on {data['train']:,} labelled reviews "
        f"({plain(shortened(data['source'], 100))})"
    )
    if BASELINE in config:
        text += f". The baseline is `{config[BASELINE]['kind']}`."
    else:
        epochs = len(record["epochs"])
        if record["val"]:
            text += f"; epoch {record['best_epoch']} of {epochs} was the best. "
        else:
            text += f", for {counted(epochs, 'epoch')} without a validation set. "
        text += reading_sentence(record)
    if vectors := record.get("vectors"):
        text += f" The embeddings start from {plain(shortened(vectors['source'], 100))}."
    if record.get("language_model"):
        text += " The encoder and the embeddings start from a language model."
    if record.get("pseudo_labels"):
        text += " Unlabelled reviews with the labels of other models were trained on, too."
    blocks: list[Block] = [Heading("Training"), Paragraph(text)]
    if chosen := _chosen_settings(config):
        blocks += [Paragraph("Settings that differ from the defaults:"), Listing(chosen)]
    return blocks


def _chosen_settings(config: Mapping[str, Any]) -> list[str]:
    """Return the settings of a network that differ from the defaults, as on the command line."""
    if BASELINE in config:
        return []
    defaults = flat(Config())
    return [
        f"`{plain(f'{name}={typed_value(value)}')}`"
        for name, value in flat(restored(config)).items()
        if name not in NOT_FINGERPRINTED and name in flattened(config) and value != defaults[name]
    ]


def _evaluation(record: Mapping[str, Any] | None) -> list[Block]:
    scores = {}
    if record is not None:
        scores = {split: recorded_scores(record, split) for split in SPLITS if record[split]}
    if record is None or not scores:
        return [Heading("Evaluation"), Paragraph("There are no recorded scores.")]
    classes = record_classes(record)
    rows = [
        [title, *(_score(name, of_split.get(name)) for of_split in scores.values())]
        for name, title in SCORES.items()
        if any(name in of_split for of_split in scores.values())
    ]
    rows.insert(0, ["reviews", *(f"{record['data'][split]:,}" for split in scores)])
    notes = score_notes(classes, "Precision, recall and F1 are each")
    last = [*scores][-1]
    titles = SPLITS if record["data"].get("folds") is None else {**SPLITS, "test": "held-out fold"}
    return [
        Heading("Evaluation"),
        Table(["", *(titles[split] for split in scores)], rows),
        *([Paragraph(plain(" ".join(notes)))] if notes else []),
        *_confusion_matrix(classes, scores[last]["confusion_matrix"], SPLITS[last]),
    ]


def _score(name: str, value: float | None) -> str:
    if value is None:
        return NOTHING
    return percent(value) if name in SHARES else f"{value:.4f}"


def _confusion_matrix(
    classes: Classes, matrix: Sequence[Sequence[float]], split: str
) -> list[Block]:
    if len(classes) > MOST_CLASSES:
        return []
    names = [plain(class_name(classes, label)) for label in range(len(classes))]
    rows = [
        [name, *(f"{count:,.0f}" for count in counts)]
        for name, counts in zip(names, matrix, strict=True)
    ]
    return [
        Paragraph(f"The reviews of the {split} set by their class and the predicted class:"),
        Table(["class", *(f"predicted {name}" for name in names)], rows),
    ]


def _limits(model: CardModel) -> list[str]:
    if model.kind == NGRAMS:
        truncation = []
    else:
        truncation = [NGRAMS_NOTE if model.config.head.ngrams else TRUNCATION_NOTE]
    return [OTHER_TEXTS_NOTE, *truncation, NO_JUDGEMENT]


def _is_whole_test(record: Mapping[str, Any]) -> bool:
    """Return whether the scores are those of the whole test set of the source, not of a part."""
    is_limited = record["config"]["data"].get("limit_test") is not None
    return record["data"].get("folds") is None and not is_limited


def _metadata(name: str, model: CardModel, record: Mapping[str, Any] | None) -> str:
    """Return the metadata that the hub reads, in YAML."""
    from huggingface_hub import EvalResult, ModelCardData

    results = []
    if record is not None and record["test"] and _is_whole_test(record):
        source = str(record["data"]["source"])
        data_set = IMDB if record["config"]["data"].get("source") == Source.imdb else source
        scores = recorded_scores(record, "test")
        results = [
            EvalResult(
                task_type=TASK,
                dataset_type=shortened(data_set),
                dataset_name=shortened(source),
                dataset_split="test",
                metric_type=score,
                metric_value=round(scores[score], 4),
            )
            for score in METRICS
        ]
    kind = "n-grams" if model.kind == NGRAMS else model.config.encoder.network
    data = ModelCardData(
        library_name=LIBRARY,
        pipeline_tag=TASK,
        tags=["sentiment-analysis", kind],
        model_name=name if results else None,
        eval_results=results or None,
    )
    return str(data.to_yaml())
