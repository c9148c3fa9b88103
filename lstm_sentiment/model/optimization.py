"""parameters -> optimizer: rates by layer, the schedule, and the layers trained in an epoch."""

from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LinearLR, LRScheduler, OneCycleLR

from lstm_sentiment.config import OptimizerConfig, OptimizerName, Schedule
from lstm_sentiment.model.classifier import Classifier

OPTIMIZERS = {OptimizerName.adam: Adam, OptimizerName.adamw: AdamW}

# The first rate of one_cycle is lr divided by FIRST_DIVISOR, and the last one is the first divided
# by LAST_DIVISOR. The bounds of Adam's beta1 are those of fastai, and PyTorch's defaults.
FIRST_DIVISOR, LAST_DIVISOR = 10.0, 1e4
LOWEST_BETA1, HIGHEST_BETA1 = 0.85, 0.95
MIN_STEPS = 3  # the first rate, the highest one and the last one


def build_optimizer(classifier: Classifier, config: OptimizerConfig) -> Optimizer:
    """Return the optimizer of a network.

    With `layer_decay`, each layer of `Classifier.layers` is a group with its own rate (Howard and
    Ruder 2018, section 3.2, who divide by 2.6 from layer to layer). Otherwise there is one group.
    """
    if config.layer_decay == 1:
        groups = [{"params": [*classifier.parameters()], "lr": config.lr}]
    else:
        groups = [
            {"params": layer, "lr": config.lr * config.layer_decay**depth}
            for depth, layer in enumerate(classifier.layers())
        ]
    return OPTIMIZERS[config.name](
        groups, lr=config.lr, weight_decay=config.weight_decay, fused=True
    )


def build_schedule(optimizer: Optimizer, config: OptimizerConfig, steps: int) -> LRScheduler:
    """Return the schedule of all rates over so many steps, which is linear or one_cycle."""
    if config.schedule is Schedule.one_cycle:
        return _one_cycle(optimizer, config.warmup, steps)
    return LinearLR(optimizer, start_factor=1.0, end_factor=0.0, total_iters=steps)


def _one_cycle(optimizer: Optimizer, warmup: float, steps: int) -> OneCycleLR:
    """Return a schedule with one peak (Smith and Topin 2017), at the share `warmup` of the steps.

    Rates rise and fall along half a cosine each, and Adam's beta1 moves inversely. Training with
    fewer than three steps ends before the rates have fallen.
    """
    steps = max(steps, MIN_STEPS)
    peak = min(max(round(warmup * steps), 1), steps - 2)  # counted from 0
    return OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=steps,
        pct_start=(peak + 1) / steps,  # PyTorch's peak is at pct_start * steps - 1
        base_momentum=LOWEST_BETA1,
        max_momentum=HIGHEST_BETA1,
        div_factor=FIRST_DIVISOR,
        final_div_factor=LAST_DIVISOR,
    )


def freeze_layers(
    classifier: Classifier, epoch: int, unfreeze_every: int, freeze_epochs: int
) -> None:
    """Freeze the layers that are not trained in an epoch, counted from 0, and unfreeze the others.

    Training begins with the first layer of `Classifier.layers`, and `unfreeze_every` epochs later
    with the next one (gradual unfreezing, Howard and Ruder 2018, section 3.3); 0 begins with all.
    Word vectors are frozen for the first `freeze_epochs` epochs in any case. A frozen parameter has
    no gradient, so that neither momentum nor weight decay changes it.
    """
    for depth, layer in enumerate(classifier.layers()):
        for parameter in layer:
            parameter.requires_grad_(epoch >= depth * unfreeze_every)
    if epoch < freeze_epochs:
        classifier.embedding.requires_grad_(False)
