"""The weights of stacks of cells without a matrix product from step to step.

These modules have the arguments and the attributes of PyTorch's recurrent networks. Parameters have
the suffixes of PyTorch's names, such as `_l0` and `_l0_reverse`. The functions in
`model.elementwise_recurrence` receive the parameters of a layer and direction in their order here.
"""

import torch
from torch import nn

from lstm_sentiment.model.elementwise_recurrence import HIGHWAY_SCALE


class ElementwiseCells(nn.Module):
    """The abstract base: a stack of layers, in one direction or both, with H units each."""

    mode = "elementwise"  # beside PyTorch's modes, such as LSTM

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
    ) -> None:
        super().__init__()
        self.hidden_size, self.num_layers = hidden_size, num_layers
        self.dropout, self.bidirectional = dropout, bidirectional
        suffixes = ("", "_reverse") if bidirectional else ("",)
        self.width = hidden_size * len(suffixes)  # of the states of all directions
        for layer in range(num_layers):
            for suffix in suffixes:
                self.add(f"l{layer}{suffix}", input_size if layer == 0 else self.width)

    def add(self, name: str, input_size: int) -> None:
        """Add the parameters of the layer and direction `name`, for inputs of this size."""
        raise NotImplementedError

    def _add_parameter(self, name: str, *shape: int, bound: float) -> torch.Tensor:
        """Add a parameter from a uniform distribution; return it without gradient."""
        parameter = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.register_parameter(name, parameter)
        return parameter.detach()

    def _add_linear(self, name: str, input_size: int, rows: int) -> torch.Tensor:
        """Add a weight and a bias with the initial values of `nn.Linear`; return the bias."""
        bound = input_size**-0.5
        self._add_parameter(f"weight_{name}", rows, input_size, bound=bound)
        return self._add_parameter(f"bias_{name}", rows, bound=bound)


class MinGRU(ElementwiseCells):
    """minGRU (Feng et al. 2024).

    The rows of `weight`, (2 H, E), and `bias`, (2 H), are those of the update gate and of the
    candidate. Initial values are those of `nn.Linear`, of which the paper's layers are made.
    """

    def add(self, name: str, input_size: int) -> None:
        self._add_linear(name, input_size, 2 * self.hidden_size)


class MinLSTM(ElementwiseCells):
    """minLSTM with normalized gates (Feng et al. 2024).

    The rows of `weight`, (3 H, E), and `bias`, (3 H), are those of the forget gate, of the input
    gate and of the candidate. Initial values are those of `nn.Linear`, except that the bias of the
    forget gate is 1, as in this package's LSTM: the paper found that a larger bias makes training
    faster.
    """

    def add(self, name: str, input_size: int) -> None:
        self._add_linear(name, input_size, 3 * self.hidden_size)[: self.hidden_size] = 1


class SRU(ElementwiseCells):
    """Simple recurrent unit (Lei et al. 2018).

    The rows of `weight`, (3 H, E), are those of the new values, of the forget gate and of the reset
    gate, which alone have a `bias`, (2 H). `state_weight`, (2 H), multiplies the previous internal
    state in both gates. If the input is not as wide as the states of all directions, `weight` has H
    more rows for the highway connection.

    Initial values are those of the authors' implementation: weights have a variance of 1/E, or half
    of it in the gates, state weights of 1/2, and biases are 0.
    """

    def add(self, name: str, input_size: int) -> None:
        size = self.hidden_size
        rows = (3 if input_size == self.width else 4) * size
        weight = self._add_parameter(
            f"weight_{name}", rows, input_size, bound=(3 / input_size) ** 0.5
        )
        weight[size : 3 * size] *= 0.5**0.5
        weight[3 * size :] *= HIGHWAY_SCALE
        self._add_parameter(f"bias_{name}", 2 * size, bound=0.0)
        self._add_parameter(f"state_weight_{name}", 2 * size, bound=1.5**0.5)
