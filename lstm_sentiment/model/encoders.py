"""embedding -> encoder: recurrent networks that never read padding.

Reviews are padded on the right, so a forward direction meets padding only after the last token.
The backward direction runs as a forward one over each review reversed within its own length.
This equals `nn.RNN/GRU/LSTM` on packed sequences, and keeps the CPU's fast kernels, which packing
would leave.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_sentiment.config import Cell, EncoderConfig

Weights = list[Tensor]  # input-hidden, hidden-hidden, and the two biases


class Encoded(NamedTuple):
    states: Tensor  # (B, T, D), zero on padding
    final: Tensor  # (B, D), the last forward state beside the first backward state
    mask: Tensor  # (B, T), True on real tokens


def _lstm(inputs: Tensor, zeros: Tensor, weights: Weights) -> Tensor:
    return torch.lstm(inputs, [zeros, zeros], weights, True, 1, 0.0, True, False, True)[0]


def _gru(inputs: Tensor, zeros: Tensor, weights: Weights) -> Tensor:
    return torch.gru(inputs, zeros, weights, True, 1, 0.0, True, False, True)[0]


def _rnn(inputs: Tensor, zeros: Tensor, weights: Weights) -> Tensor:
    return torch.rnn_tanh(inputs, zeros, weights, True, 1, 0.0, True, False, True)[0]


# Behind the weights: has_biases, num_layers, dropout, train, bidirectional, batch_first.
# Always train: without it cuDNN keeps nothing for a backward pass, and the CPU does not care.
# PyTorch's module, which holds the weights, and its kernel for one layer in one direction.
CELLS = {
    Cell.rnn: (nn.RNN, _rnn),
    Cell.lstm: (nn.LSTM, _lstm),
    Cell.gru: (nn.GRU, _gru),
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
        module, self._kernel = CELLS[config.cell]
        self.rnn = module(
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

    def forward(self, inputs: Tensor, lengths: Tensor) -> Encoded:
        """(B, T, input_size), (B,) with every length from 1 to T"""
        mask = torch.arange(inputs.shape[1], device=inputs.device) < lengths.unsqueeze(1)
        # cuDNN is fastest when it sees the whole stack, but cannot drop recurrent weights.
        packed = inputs.is_cuda and not (self.training and self.recurrent_dropout)
        states = self.packed(inputs, lengths) if packed else self.layerwise(inputs, lengths)
        states = states.masked_fill(~mask.unsqueeze(-1), 0.0)
        return Encoded(states, self._final(states, lengths), mask)

    def packed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D): the states by PyTorch's own packed sequences."""
        sequences = pack_padded_sequence(inputs, lengths.cpu(), True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.rnn(sequences)[0], True, total_length=inputs.shape[1])
        return states

    def layerwise(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D): the same states layer by layer, but with leftovers on padding."""
        backwards = reversal(lengths, inputs.shape[1]) if self.rnn.bidirectional else None
        states = inputs
        for layer in range(self.rnn.num_layers):
            if layer > 0:
                states = F.dropout(states, self.rnn.dropout, self.training)
            directions = [self._run(states, f"l{layer}")]
            if backwards is not None:
                mirrored = self._run(reorder(states, backwards), f"l{layer}_reverse")
                directions.append(reorder(mirrored, backwards))
            states = torch.cat(directions, -1) if backwards is not None else directions[0]
        return states

    def _run(self, inputs: Tensor, suffix: str) -> Tensor:
        zeros = inputs.new_zeros(1, len(inputs), self.rnn.hidden_size)
        return self._kernel(inputs, zeros, self._weights(suffix))

    def _weights(self, suffix: str) -> Weights:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ih, hh, *biases = (getattr(self.rnn, f"{name}_{suffix}") for name in names)
        return [ih, F.dropout(hh, self.recurrent_dropout, self.training), *biases]

    def _final(self, states: Tensor, lengths: Tensor) -> Tensor:
        last = states[torch.arange(len(lengths), device=lengths.device), lengths - 1]
        if not self.rnn.bidirectional:
            return last
        size = self.rnn.hidden_size
        return torch.cat([last[:, :size], states[:, 0, size:]], -1)


def reversal(lengths: Tensor, width: int) -> Tensor:
    """(B,) -> (B, T): where each step comes from when reviews are reversed, padding left in place.

    >>> reversal(torch.tensor([3, 1]), 4).tolist()
    [[2, 1, 0, 3], [0, 1, 2, 3]]
    """
    steps = torch.arange(width, device=lengths.device)
    ends = lengths.unsqueeze(1)
    return torch.where(steps < ends, ends - 1 - steps, steps)


def reorder(states: Tensor, order: Tensor) -> Tensor:
    """(B, T, D), (B, T) -> (B, T, D): step t of the result is step order[:, t] of the states."""
    return states.gather(1, order.unsqueeze(-1).expand_as(states))


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
