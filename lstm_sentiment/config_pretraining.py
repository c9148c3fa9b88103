"""The configuration of a language model that is trained before a classifier starts from it."""

from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any

from lstm_sentiment.config import (
    DataConfig,
    EmbeddingConfig,
    EmbeddingKind,
    EncoderConfig,
    OptimizerConfig,
    TrainerConfig,
    any_seed,
    instruction,
    root_folder,
    sweep_name,
)
from lstm_sentiment.config_fields import (
    Checked,
    choice,
    fields_of,
    fraction,
    group,
    number,
    whole,
)
from lstm_sentiment.errors import InputError

DEFAULT_SWEEP = "pretrained"
# Fields without an effect on a language model.
ONLY_FOR_NETWORKS = (
    "encoder.segment",
    "encoder.start_from",
    "embedding.freeze_epochs",
    "embedding.path",
    "data.class_weights",
    "data.pseudo_labels",
    "data.pseudo_weight",
    "data.truncation_side",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "optimizer.layer_decay",
    "optimizer.unfreeze_every",
    "optimizer.average",
    "optimizer.adversarial",
)


class Softmax(StrEnum):
    """The output layers of a language model; see `language_model.softmax`."""

    adaptive = auto()
    tied = auto()


@dataclass
class LanguageModelConfig(Checked, prefix="language_model."):
    """The prediction of words, its regularization, and the reviews to measure it on."""

    softmax: Softmax = choice(
        Softmax.adaptive,
        help="adaptive: rare words have fewer weights and are grouped (Grave et al. 2017), which "
        "is several times faster; tied: the output weights are the word vectors (Press and Wolf "
        "2017)",
    )
    word_dropout: float = fraction(
        0.02, help="share of the words whose vectors are zero in a batch (Merity et al. 2018)"
    )
    output_dropout: float = fraction(
        0.1, help="dropout of the states before the prediction, with one mask for all steps"
    )
    activation: float = number(
        2.0, low=0, help="weight of the squared states in the loss (Merity et al. 2018)"
    )
    temporal_activation: float = number(
        1.0, low=0, help="weight of the squared differences of successive states in the loss"
    )
    truncation: int | None = whole(
        None,
        low=2,
        help="steps of truncated back-propagation through reviews in a row, of which the states "
        "are kept; null: each review, in pieces of at most data.max_length tokens, by itself",
    )
    held_out: float = number(
        0.01,
        above=0,
        below=1,
        help="share of the unlabelled reviews, or of the training reviews if there are no others, "
        "on which the perplexity is measured",
    )
    parts: int = whole(
        10, low=1, help="parts of a pass over the reviews; each ends with a checkpoint"
    )


@dataclass
class PretrainingConfig(Checked):
    """The configuration of a language model, and of its training."""

    encoder: EncoderConfig = group(EncoderConfig)
    embedding: EmbeddingConfig = group(EmbeddingConfig)
    data: DataConfig = group(DataConfig)
    language_model: LanguageModelConfig = group(LanguageModelConfig)
    optimizer: OptimizerConfig = group(OptimizerConfig)
    trainer: TrainerConfig = group(TrainerConfig)
    seed: int = any_seed()
    root: str = root_folder()
    sweep: str | None = sweep_name(
        DEFAULT_SWEEP, "the folder below root for this language model; pretrained if it is null"
    )
    rerun: bool = instruction(
        "whether to delete an existing language model and train it from the start"
    )
    keep_checkpoints: bool = instruction("whether a finished language model keeps its checkpoints")

    def check_combination(self) -> None:
        """Check that no word is predicted from itself, and that each setting has an effect."""
        encoder, truncation = self.encoder, self.language_model.truncation
        if encoder.bidirectional and encoder.num_layers > 1:
            raise InputError(
                f"encoder.num_layers={encoder.num_layers} is not allowed with "
                "encoder.bidirectional=true in a language model: the second layer would read the "
                "words that it predicts."
            )
        if encoder.bidirectional and truncation is not None:
            raise InputError(
                f"language_model.truncation={truncation} is not allowed with "
                "encoder.bidirectional=true: the directions reach a step at different times."
            )
        if self.embedding.kind is not EmbeddingKind.random:
            raise InputError(
                f"embedding.kind={self.embedding.kind} is not allowed for a language model, which "
                "learns its own vectors: give random."
            )
        if not self.data.padding.masked:
            raise InputError(
                f"data.padding={self.data.padding} is not allowed for a language model: give exact."
            )
        if self.data.max_length < 2:
            raise InputError(
                f"data.max_length must be at least 2 for a language model (got "
                f"{self.data.max_length})."
            )
        if self.data.preparation == 1:
            raise InputError(
                "data.preparation=1 is not allowed for a language model, which would read copies "
                "of test reviews: give 2."
            )
        self._refuse_fields_of_networks()

    def _refuse_fields_of_networks(self) -> None:
        """Raise InputError if a field without an effect is not at its default."""
        defaults = {field.name: field.default for field in fields_of(type(self))}
        augmentation = [name for name in defaults if name.startswith("data.augment.")]
        for name in (*ONLY_FOR_NETWORKS, *augmentation):
            value: Any = self
            for part in name.split("."):
                value = getattr(value, part)
            if value != defaults[name]:
                raise InputError(f"{name}={value} is not allowed for a language model.")
