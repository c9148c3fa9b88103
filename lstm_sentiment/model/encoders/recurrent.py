"""Recurrent encoders that never read padding.

Reviews are padded on the right. On the CPU, if the vectors are float32 (also in mixed precision),
`model.recurrence` computes each layer and direction and stops at the end of each review. Otherwise,
such as on CUDA, PyTorch (cuDNN) computes the whole stack from a packed sequence. Both
implementations have the same parameters and give the same states.

Cells without a matrix product from step to step have a parallel scan in place of the packed
sequence, see `model.elementwise_recurrence`.

With `encoder.segment`, the segments of a review are encoded like reviews of their own.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lstm_sentiment.config import Cell, EncoderConfig
from lstm_sentiment.model import elementwise_recurrence, recurrence
from lstm_sentiment.model.embedding import Embedded
from lstm_sentiment.model.encoders.contract import Encoded
from lstm_sentiment.model.encoders.elementwise_cells import SRU, ElementwiseCells, MinGRU, MinLSTM
from lstm_sentiment.model.encoders.segments import Segments
from lstm_sentiment.model.recurrence import Inputs, RowPartition, Weights


class CellImplementation(NamedTuple):
    """The functions that compute a cell, and the module that holds its weights.

    A cell has either PyTorch's function for packed sequences or, without a matrix product from step
    to step, a scan in the order of reading: (T, B, E) inputs, weights, whether the direction is the
    backward one, (B, H) state -> (T, B, H) states and (B, H) state.
    """

    module: Callable[..., nn.RNNBase | ElementwiseCells]
    packed: Callable[..., tuple[Tensor, ...]] | None
    recurrence: (
        Callable[[Inputs, Weights, RowPartition, bool], Tensor] | None
    )  # for the CPU, if any
    scan: Callable[[Tensor, Weights, bool, Tensor], tuple[Tensor, Tensor]] | None = None


CELLS = {
    Cell.rnn: CellImplementation(nn.RNN, torch.rnn_tanh, recurrence.rnn),
    Cell.lstm: CellImplementation(nn.LSTM, torch.lstm, recurrence.lstm),
    Cell.gru: CellImplementation(nn.GRU, torch.gru, recurrence.gru),
    Cell.mingru: CellImplementation(
        MinGRU, None, elementwise_recurrence.mingru, elementwise_recurrence.scan_mingru
    ),
    Cell.minlstm: CellImplementation(
        MinLSTM, None, elementwise_recurrence.minlstm, elementwise_recurrence.scan_minlstm
    ),
    Cell.sru: CellImplementation(
        SRU, None, elementwise_recurrence.sru, elementwise_recurrence.scan_sru
    ),
}


State = tuple[Tensor, ...]  # (layers, B, H) hidden and, of an LSTM, cell states after a step


class RecurrentEncoder(nn.Module):
    """A stack of recurrent layers, in one direction or both.

    With `backward`, one direction reads each review from its end to its beginning.

    The weights are those of one `nn.RNN`, `nn.GRU` or `nn.LSTM`, under PyTorch's names, or of one
    `ElementwiseCells`. Recurrent dropout is DropConnect on the hidden-to-hidden weights (Merity et
    al. 2018, AWD-LSTM): one mask for all reviews of a batch and all steps.

    With `segment`, the states start anew after every so many tokens (Johnson and Zhang 2016), in
    all layers and directions. The final states are then the last forward state of the last
    segment and the first backward state of the first segment.
    """

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__()
        self.cell = CELLS[config.cell]
        self.rnn = self.cell.module(
            input_size,
            config.hidden_size,
            config.num_layers,
            batch_first=True,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
            bidirectional=config.bidirectional,
        )
        self.recurrent_dropout = config.recurrent_dropout
        self.backward = config.backward
        self.segment = config.segment
        self.output_size = config.hidden_size * (2 if config.bidirectional else 1)
        if isinstance(self.rnn, nn.RNNBase):
            initialise(self.rnn)

    @property
    def directions(self) -> list[bool]:
        """Whether each direction reads backwards, in the order of its states."""
        return [False, True] if self.rnn.bidirectional else [self.backward]

    def forward(self, embedded: Embedded, lengths: Tensor) -> Encoded:
        """Encode a batch of reviews; see `Encoder`."""
        if self.segment is None:
            states = self.states(embedded, lengths)
        else:
            segments = Segments(lengths, embedded.steps, self.segment)
            states = segments.joined(self.states(segments.of(embedded), segments.lengths))
        # The lengths of a batch are on the CPU, where packing reads them.
        lengths = lengths.to(states.device, non_blocking=True)
        mask = torch.arange(states.shape[1], device=states.device) < lengths.unsqueeze(1)
        return Encoded(states, self._final(states, lengths), mask)

    def states(self, embedded: Embedded, lengths: Tensor) -> Tensor:
        """Return the states, (B, T, D), by the implementation for the vectors' device and type."""
        vectors = embedded.vectors
        on_cpu = vectors.device.type == "cpu" and vectors.dtype is torch.float32
        if on_cpu and self.cell.recurrence is not None:
            return self.layerwise(embedded, lengths)
        if self.cell.scan is not None:
            return self.scanned(embedded, lengths)
        if not self.backward:
            return self.packed(embedded, lengths)
        # PyTorch has no cell that only reads backwards.
        turned = Embedded(reversed_reviews(embedded.dense(), lengths))
        return reversed_reviews(self.packed(turned, lengths), lengths)

    def packed(self, embedded: Embedded, lengths: Tensor) -> Tensor:
        """Return the states, (B, T, D), by PyTorch's functions for packed sequences."""
        assert self.cell.packed is not None, "`states` chooses `scanned` for such a cell"
        rnn, vectors = self.rnn, embedded.dense()
        vectors = vectors.to(next(rnn.parameters()).dtype)  # autocast may have narrowed them
        rows = pack_padded_sequence(vectors, lengths.cpu(), True, enforce_sorted=False)
        states = rows.data
        # Autocast is off: for cuDNN, it would cast to float16, in which small gradients vanish.
        with torch.autocast(vectors.device.type, enabled=False):
            for layers in self._stacks():
                if layers[0] > 0:
                    states = F.dropout(states, rnn.dropout, self.training)
                names = [name for layer in layers for name in self._names(layer)]
                weights = [weight for name in names for weight in self._weights(name)]
                zeros = self._zero_state(vectors, len(layers))
                start = zeros if rnn.mode == "LSTM" else zeros[0]
                # The second True is `train`: without it, cuDNN keeps nothing for the gradient.
                options = (True, len(layers), 0.0, True, rnn.bidirectional)
                states = self.cell.packed(states, rows.batch_sizes, start, weights, *options)[0]
        return pad_packed_sequence(
            PackedSequence(states, *rows[1:]), True, total_length=vectors.shape[1]
        )[0]

    def stream(self, vectors: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Return the states of texts that go on, (B, T, H), and the state after their last step.

        `vectors`, (B, T, E), are in the order of reading, also of a network that reads backwards.
        `state` is that of the step before, whose gradient is not computed, or None at the start.
        """
        rnn, states, after = self.rnn, vectors, []
        begun = self._zero_state(vectors, rnn.num_layers) if state is None else state
        # Autocast is off, as in `packed`.
        with torch.autocast(vectors.device.type, enabled=False):
            for layer, weights in enumerate(
                self._weights(f"l{layer}") for layer in range(rnn.num_layers)
            ):
                if layer > 0:
                    states = F.dropout(states, rnn.dropout, self.training)
                start = [part[layer : layer + 1].detach() for part in begun]
                states, *last = self._continued(states, weights, start)
                after.append(last)
        return states, tuple(torch.cat(parts) for parts in zip(*after, strict=True))

    def _continued(self, vectors: Tensor, weights: Weights, start: list[Tensor]) -> list[Tensor]:
        """Return the states of a layer, (B, T, H), and each part of the state after the last step.

        The parts of a state, such as those of `start`, are (1, B, H).
        """
        if self.cell.scan is not None:
            time_major = vectors.transpose(0, 1)
            states, last = self.cell.scan(time_major, weights, self.backward, start[0][0])
            return [states.transpose(0, 1), last.unsqueeze(0)]
        assert self.cell.packed is not None, "a cell without a scan has PyTorch's function"
        state = start if self.rnn.mode == "LSTM" else start[0]
        return [*self.cell.packed(vectors, state, weights, True, 1, 0.0, True, False, True)]

    def _zero_state(self, vectors: Tensor, layers: int) -> list[Tensor]:
        """Return the state before the first step of B reviews, (layers x directions, B, H) each."""
        zeros = vectors.new_zeros(layers * len(self.directions), len(vectors), self.rnn.hidden_size)
        return [zeros, zeros] if self.rnn.mode == "LSTM" else [zeros]

    def _stacks(self) -> list[range]:
        """Return the layers that one call computes: all or, with dropout between them, each one.

        The masks of cuDNN's own dropout depend on a state that cannot be set, so that neither a
        resumed epoch nor another pass of the same step would have the same masks.
        """
        layers = range(self.rnn.num_layers)
        has_dropout = self.training and self.rnn.dropout > 0
        return [range(layer, layer + 1) for layer in layers] if has_dropout else [layers]

    def layerwise(self, embedded: Embedded, lengths: Tensor) -> Tensor:
        """Return the same states, (B, T, D), layer by layer and direction by direction."""
        recurrence = self.cell.recurrence
        assert recurrence is not None, "`states` chooses another implementation for such a cell"
        partition = RowPartition(lengths)
        vectors, indices = embedded
        inputs = Inputs(vectors.transpose(0, 1)) if indices is None else Inputs(vectors, indices.T)
        return self._through_layers(
            inputs,
            lambda inputs, weights, backward: recurrence(inputs, weights, partition, backward),
        )

    def scanned(self, embedded: Embedded, lengths: Tensor) -> Tensor:
        """Return the same states, (B, T, D), by the scan of a cell that has one."""
        scan, size = self.cell.scan, self.rnn.hidden_size
        assert scan is not None, "`states` chooses `packed` for such a cell"
        vectors = embedded.dense().transpose(0, 1)
        vectors = vectors.to(next(self.rnn.parameters()).dtype)  # autocast may have narrowed them
        steps = torch.arange(len(vectors), device=vectors.device).unsqueeze(1)
        mask = (steps < lengths.to(vectors.device)).unsqueeze(-1)  # (T, B, 1)
        start = vectors.new_zeros(vectors.shape[1], size)

        def compute(inputs: Inputs, weights: Weights, backward: bool) -> Tensor:
            if not backward:
                return scan(inputs.vectors, weights, backward, start)[0] * mask
            turned = reversed_reviews(inputs.vectors.transpose(0, 1), lengths).transpose(0, 1)
            states = scan(turned, weights, backward, start)[0] * mask
            return reversed_reviews(states.transpose(0, 1), lengths).transpose(0, 1)

        with torch.autocast(vectors.device.type, enabled=False):  # as in `packed`
            return self._through_layers(Inputs(vectors), compute)

    def _through_layers(
        self, inputs: Inputs, compute: Callable[[Inputs, Weights, bool], Tensor]
    ) -> Tensor:
        """Return the states of the last layer, (B, T, D).

        `compute` returns those of one layer and direction, (T, B, H), from inputs, weights and
        whether the direction is the backward one.
        """
        for layer in range(self.rnn.num_layers):
            if layer > 0:
                inputs = Inputs(F.dropout(inputs.vectors, self.rnn.dropout, self.training))
            directions = [
                compute(inputs, self._weights(name), backward)
                for name, backward in zip(self._names(layer), self.directions, strict=True)
            ]
            inputs = Inputs(torch.cat(directions, -1) if len(directions) > 1 else directions[0])
        return inputs.vectors.transpose(0, 1)

    def layers(self) -> list[list[nn.Parameter]]:
        """Return the parameters of each layer, of both directions if there are two."""
        return [
            [parameter for name in self._names(layer) for parameter in self._parameters_of(name)]
            for layer in range(self.rnn.num_layers)
        ]

    def _names(self, layer: int) -> list[str]:
        """Return the suffixes of PyTorch's parameter names for the directions of a layer."""
        return [f"l{layer}", f"l{layer}_reverse"] if self.rnn.bidirectional else [f"l{layer}"]

    def _parameters_of(self, name: str) -> list[nn.Parameter]:
        """Return the parameters of the layer and direction whose suffix is `name`."""
        named = self.rnn.named_parameters()
        return [parameter for full, parameter in named if full.endswith(f"_{name}")]

    def _weights(self, name: str) -> Weights:
        """Return the weights of a layer and direction, with recurrent dropout in training."""
        if self.cell.scan is not None:
            return [*self._parameters_of(name)]  # none is hidden-to-hidden
        ih, hh, *biases = self._parameters_of(name)
        return [ih, F.dropout(hh, self.recurrent_dropout, self.training), *biases]

    def _final(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Concatenate the states after each direction's last step: (B, T, D), (B,) -> (B, D)."""
        if self.backward:
            return states[:, 0]
        last = states[torch.arange(len(lengths), device=lengths.device), lengths - 1]
        if not self.rnn.bidirectional:
            return last
        size = self.rnn.hidden_size
        return torch.cat([last[:, :size], states[:, 0, size:]], -1)


def reversed_reviews(vectors: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each review within its length, and leave padding: (B, T, D), (B,) -> (B, T, D)."""
    steps = torch.arange(vectors.shape[1], device=vectors.device).expand(len(vectors), -1)
    ends = lengths.to(vectors.device).unsqueeze(1)
    sources = torch.where(steps < ends, ends - 1 - steps, steps)
    return vectors.gather(1, sources.unsqueeze(-1).expand_as(vectors))


def initialise(rnn: nn.RNNBase) -> None:
    """Draw the weights of all layers and directions anew, gate by gate.

    Hidden-to-hidden weights are orthogonal and input-to-hidden weights Glorot-uniform. Biases are
    zero except those of an LSTM's forget gate, which add up to 1 (Jozefowicz et al. 2015).
    """
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
