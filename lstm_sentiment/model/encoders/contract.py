"""The contract of encoders: their inputs and their outputs."""

from typing import NamedTuple, Protocol

from torch import Tensor, nn

from lstm_sentiment.model.embedding import Embedded


class Encoded(NamedTuple):
    """The states of a batch of reviews."""

    states: Tensor  # (B, T, D), zero on padding
    # (B, D), the last state of the forward direction, the first one of the backward direction, or
    # both, concatenated
    final: Tensor
    mask: Tensor  # (B, T), True on real tokens


class Encoder(Protocol):
    """An `nn.Module` that turns word vectors into states of width `output_size`.

    `__init__` takes the encoder's configuration and the width of the word vectors; see
    `build_encoder`. The states of a review depend neither on padding nor on the other reviews of
    the batch.
    """

    output_size: int

    def __call__(self, embedded: Embedded, lengths: Tensor) -> Encoded:
        """Encode B reviews of up to T steps, with padding on the right.

        `embedded.dense()` is (B, T, E), where padding may hold any vectors. `lengths` is (B,), each
        from 1 to T; it may be on the CPU even if the vectors are not.
        """
        ...

    def layers(self) -> list[list[nn.Parameter]]:
        """Return the parameters of each layer, from the first layer to the last.

        Layers may have rates of their own, and may be frozen.
        """
        ...
