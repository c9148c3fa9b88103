"""The exponential moving average of the weights, which is evaluated in their place."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor


class WeightAverage(L.Callback):
    """A callback that averages the weights over the steps of training, and validates the average.

    The average starts from the initial weights. Step n, counted from 0, replaces it by d times the
    average plus 1 - d times the weights after the step, where d = min(decay, (1 + n) / (10 + n)):
    with a smaller decay in the first steps, the initial weights soon have no influence.

    Training itself continues with the weights. During a validation, the network has the average,
    and `weights` holds those of training.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.weights: dict[str, Tensor] = {}  # the average, by the name of the parameter

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.weights = {
            name: self.weights.get(name, parameter).detach().to(parameter.device, copy=True)
            for name, parameter in module.named_parameters()
        }

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, number: int
    ) -> None:
        step = trainer.global_step - 1
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in module.named_parameters():
            self.weights[name].lerp_(parameter, 1 - decay)

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._exchange(trainer, module)

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._exchange(trainer, module)

    @torch.no_grad()
    def _exchange(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Exchange weights and average, unless training has ended."""
        if trainer.state.fn is TrainerFn.FITTING:
            for name, parameter in module.named_parameters():
                trained = parameter.clone()
                parameter.copy_(self.weights[name])
                self.weights[name].copy_(trained)

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.weights = state_dict["weights"]
