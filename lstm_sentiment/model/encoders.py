"""embedding -> encoder: recurrent networks that never read padding.

Reviews are padded on the right. On the CPU each layer and direction is a recurrence of our own
(`recurrence.py`), which ends where the review ends. On CUDA the whole stack goes to cuDNN as a
packed sequence. Both have the same parameters and give the same states.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lstm_sentiment.config import Cell, EncoderConfig
from lstm_sentiment.model import recurrence
from lstm_sentiment.model.recurrence import Inputs, Shares, Weights


class Encoded(NamedTuple):
    states: Tensor  # (B, T, D), zero on padding
    final: Tensor  # (B, D), the last forward state beside the first backward state
    mask: Tensor  # (B, T), True on real tokens


class Kind(NamedTuple):
    module: Callable[..., nn.RNNBase]  # holds the weights, under PyTorch's names
    packed: Callable[..., tuple[Tensor, ...]]  # PyTorch's own, for packed sequences
    recurrence: Callable[[Inputs, Weights, Shares, bool], Tensor] | None  # ours for the CPU, if any


CELLS = {
    Cell.rnn: Kind(nn.RNN, torch.rnn_tanh, recurrence.rnn),
    Cell.lstm: Kind(nn.LSTM, torch.lstm, recurrence.lstm),
    Cell.gru: Kind(nn.GRU, torch.gru, recurrence.gru),
}


class Encoder(nn.Module):
    """A recurrent stack, (B, T, input_size) -> states of width `output_size`.

    The weights stand in one `nn.RNN/GRU/LSTM` under PyTorch's names. Recurrent weights are
    orthogonal for each gate, input weights Glorot-uniform for each gate, biases zero but for the
    LSTM's forget gate, where the two add up to 1 (Jozefowicz et al. 2015). Recurrent dropout is
    DropConnect on the hidden-to-hidden weights (Merity et al. 2018, AWD-LSTM): one draw for a
    whole batch and all its steps.
    """

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__()
        self.kind = CELLS[config.cell]
        self.rnn = self.kind.module(
            input_size,
            config.hidden_size,
            config.num_layers,
            batch_first=True,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
            bidirectional=config.bidirectional,
        )
        self.recurrent_dropout = config.recurrent_dropout
        self.output_size = config.hidden_size * (2 if config.bidirectional else 1)
        initialise(self.rnn)

    def forward(self, inputs: Tensor, lengths: Tensor, places: Tensor | None = None) -> Encoded:
        """(B, T, input_size), (B,) with every length from 1 to T

        With `places`, (B, T), the inputs are (U, input_size), and it says which stands where.
        """
        ours = inputs.device.type == "cpu" and inputs.dtype is torch.float32
        encode = self.layerwise if ours and self.kind.recurrence is not None else self.packed
        states = encode(inputs, lengths, places)
        # Batches keep their lengths on the CPU, where packing asks for them.
        lengths = lengths.to(states.device, non_blocking=True)
        mask = torch.arange(states.shape[1], device=states.device) < lengths.unsqueeze(1)
        return Encoded(states, self._final(states, lengths), mask)

    def packed(self, inputs: Tensor, lengths: Tensor, places: Tensor | None = None) -> Tensor:
        """(B, T, D): the states by PyTorch's own packed sequences, zero on padding."""
        if places is not None:
            inputs = F.embedding(places, inputs)
        rnn, layers = self.rnn, self.rnn.num_layers
        names = [name for layer in range(layers) for name in self._names(layer)]
        weights = [weight for name in names for weight in self._weights(name)]
        inputs = inputs.to(weights[0].dtype)  # what autocast has made of layers before it
        zeros = inputs.new_zeros(len(names), len(inputs), rnn.hidden_size)
        start = [zeros, zeros] if rnn.mode == "LSTM" else zeros
        dropout = rnn.dropout if self.training else 0.0
        rows = pack_padded_sequence(inputs, lengths.cpu(), True, enforce_sorted=False)
        # No autocast: cuDNN's is to float16, in which small gradients vanish.
        with torch.autocast(inputs.device.type, enabled=False):
            # Always "train" (the second True): without it cuDNN keeps nothing for a gradient.
            states = self.kind.packed(
                *rows[:2], start, weights, True, layers, dropout, True, rnn.bidirectional
            )[0]
        return pad_packed_sequence(
            PackedSequence(states, *rows[1:]), True, total_length=inputs.shape[1]
        )[0]

    def layerwise(self, inputs: Tensor, lengths: Tensor, places: Tensor | None = None) -> Tensor:
        """(B, T, D): the same states, layer by layer and direction by direction."""
        assert self.kind.recurrence is not None, "a cell without one is left to PyTorch"
        shares = Shares(lengths)
        read = Inputs(inputs.transpose(0, 1)) if places is None else Inputs(inputs, places.T)
        for layer in range(self.rnn.num_layers):
            if layer > 0:
                read = Inputs(F.dropout(read.vectors, self.rnn.dropout, self.training))
            directions = [
                self.kind.recurrence(read, self._weights(name), shares, name.endswith("reverse"))
                for name in self._names(layer)
            ]
            read = Inputs(torch.cat(directions, -1) if len(directions) > 1 else directions[0])
        return read.vectors.transpose(0, 1)

    def _names(self, layer: int) -> list[str]:
        """What PyTorch calls a layer's directions."""
        return [f"l{layer}", f"l{layer}_reverse"] if self.rnn.bidirectional else [f"l{layer}"]

    def _weights(self, name: str) -> Weights:
        """Of a layer and direction."""
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ih, hh, *biases = (getattr(self.rnn, f"{kind}_{name}") for kind in kinds)
        return [ih, F.dropout(hh, self.recurrent_dropout, self.training), *biases]

    def _final(self, states: Tensor, lengths: Tensor) -> Tensor:
        last = states[torch.arange(len(lengths), device=lengths.device), lengths - 1]
        if not self.rnn.bidirectional:
            return last
        size = self.rnn.hidden_size
        return torch.cat([last[:, :size], states[:, 0, size:]], -1)


def initialise(rnn: nn.RNNBase) -> None:
    """Draws the weights of every layer and direction anew, gate by gate."""
    for name, parameter in rnn.named_parameters():
        if name.startswith("weight_hh"):
            for gate in parameter.chunk(len(parameter) // rnn.hidden_size):
                nn.init.orthogonal_(gate)
        elif name.startswith("weight_ih"):
            for gate in parameter.chunk(len(parameter) // rnn.hidden_size):
                nn.init.xavier_uniform_(gate)
        else:
            nn.init.zeros_(parameter)
            if rnn.mode == "LSTM" and name.startswith("bias_ih"):
                nn.init.ones_(parameter[rnn.hidden_size : 2 * rnn.hidden_size])
