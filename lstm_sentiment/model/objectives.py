"""The objectives of training: cross-entropy, and the terms that may be added to it.

The terms are the adversarial and the virtual adversarial loss (Miyato et al. 2017, "Adversarial
training methods for semi-supervised text classification") and the entropy of the predictions
(Grandvalet and Bengio 2005). Sachan et al. 2019 minimize the weighted sum of all of them:

    L = L_ML + a * L_AT + v * L_VAT + e * L_EM

with the weights `objective.adversarial`, `objective.virtual_adversarial` and `objective.entropy`.
L_ML and L_AT are means over the labelled reviews of a batch. L_VAT and L_EM need no labels and are
means over all of its reviews.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from lstm_sentiment.config import Config, ObjectiveConfig
from lstm_sentiment.data.batches import Batch, mean
from lstm_sentiment.data.ranks import ALONE, Ranks
from lstm_sentiment.model.classifier import Classifier

# The supervised loss of a batch, a scalar, from the logits of its labelled reviews.
CrossEntropy = Callable[[Tensor, Batch], Tensor]
# The logits of the labelled reviews of a batch without perturbation, and the loss to minimize.
Objective = Callable[[Classifier, Batch, CrossEntropy], tuple[Tensor, Tensor]]


def objective_of(config: Config, ranks: Ranks = ALONE) -> Objective:
    """Return the objective that a configuration names, of one of the ranks."""
    if not config.objective.is_supervised:
        return Mixed(config.objective, ranks)
    if config.optimizer.adversarial > 0:
        return partial(relative_adversarial, config.optimizer.adversarial)
    return supervised


def supervised(net: Classifier, batch: Batch, cross_entropy: CrossEntropy) -> tuple[Tensor, Tensor]:
    """Compute L_ML, the cross-entropy."""
    logits = net(batch.ids, batch.lengths, batch.ngrams)
    return logits, cross_entropy(logits, batch)


def relative_adversarial(
    share: float, net: Classifier, batch: Batch, cross_entropy: CrossEntropy
) -> tuple[Tensor, Tensor]:
    """Compute L_ML + L_AT with perturbations of a size relative to each review (`perturb`).

    This is `optimizer.adversarial`, which published runs have used. The two passes draw their
    dropout masks independently, except the masks of the word vectors.
    """
    vectors = _with_gradient(net.embedding.vectors(batch.ids))
    logits = net.classify(vectors, batch.lengths, batch.ngrams)
    loss = cross_entropy(logits, batch)
    sources = [vectors, *_behind_vectors(net)]
    gradients = torch.autograd.grad(loss, sources)
    harder = perturb(vectors, gradients[0], share)
    harder_loss = cross_entropy(net.classify(harder, batch.lengths, batch.ngrams), batch)
    return logits, with_gradients(loss, sources, gradients) + harder_loss


@dataclass(frozen=True)
class Mixed:
    """The sum of cross-entropy and the weighted terms of a configuration.

    All passes over the same reviews in a step have the same dropout masks: otherwise, the network
    would be trained to give the same predictions with different masks, and the virtual adversarial
    direction would be noise.
    """

    config: ObjectiveConfig
    ranks: Ranks = ALONE

    def __call__(
        self, net: Classifier, batch: Batch, cross_entropy: CrossEntropy
    ) -> tuple[Tensor, Tensor]:
        # In bfloat16, no prediction changes with a perturbation as small as xi.
        is_exact = self.config.virtual_adversarial > 0
        device = batch.ids.device.type
        with torch.autocast(device, enabled=False) if is_exact else nullcontext():
            passes = Passes(net, batch, self.ranks)
            logits = passes.logits()
            loss = cross_entropy(logits, batch)
            if self.config.adversarial > 0:
                loss = self._with_adversarial(passes, loss, cross_entropy)
            if self.config.virtual_adversarial == self.config.entropy == 0:
                return logits, loss
            terms, batches = [self._without_labels(passes, logits)], [batch]
            if batch.unlabelled is not None:
                passes = Passes(net, batch.unlabelled, self.ranks)
                batches.append(batch.unlabelled)
                with torch.set_grad_enabled(self.config.entropy > 0):
                    others = passes.logits()
                terms.append(self._without_labels(passes, others))
            return logits, loss + mean(terms, batches)

    def _with_adversarial(
        self, passes: "Passes", loss: Tensor, cross_entropy: CrossEntropy
    ) -> Tensor:
        """Return L_ML + a * L_AT, given L_ML; see `adversarial`.

        The gradient of L_ML, which gives the direction, is not computed again in the backward pass.
        """
        sources = [passes.vectors, *_behind_vectors(passes.net)]
        # The entropy is another function of the same logits.
        keep = self.config.entropy > 0
        gradients = torch.autograd.grad(loss, sources, retain_graph=keep)
        perturbation = passes.perturbation(gradients[0], self.config.epsilon)
        harder_loss = cross_entropy(passes.logits(perturbation), passes.batch)
        return with_gradients(loss, sources, gradients) + self.config.adversarial * harder_loss

    def _without_labels(self, passes: "Passes", logits: Tensor) -> Tensor:
        """Return v * L_VAT + e * L_EM of each review, (B,), given its logits."""
        terms = torch.zeros(len(logits), device=logits.device, dtype=logits.dtype)
        if self.config.virtual_adversarial > 0:
            losses = virtual_adversarial(passes, logits.detach(), self.config)
            terms = terms + self.config.virtual_adversarial * losses
        if self.config.entropy > 0:
            terms = terms + self.config.entropy * entropy(logits)
        return terms


class Passes:
    """Passes of the same reviews through a network in one step, with the same dropout masks.

    Perturbations are added to the word vectors after their dropout. Their sizes are given for
    vectors whose components have a root mean square of 1, and are multiplied by the root mean
    square of the batch (before dropout). The network can therefore not evade a perturbation with
    larger vectors, and a size means the same for all kinds of vectors. Miyato et al. normalize the
    vectors themselves for this purpose (section 2).
    """

    def __init__(self, net: Classifier, batch: Batch, ranks: Ranks = ALONE) -> None:
        self.net, self.batch = net, batch
        self.vectors = _with_gradient(net.embedding.vectors(batch.ids))  # (B, T, E)
        positions = torch.arange(batch.ids.shape[1], device=batch.ids.device)
        lengths = batch.lengths.to(batch.ids.device)
        self.mask = positions < lengths.unsqueeze(1)  # (B, T), True on what is read as text
        counted = batch.own(batch.ids), batch.own(self.mask)
        self.unit = root_mean_square(net.embedding.weight, *counted, ranks)
        # Drawn before the state is kept: without dropout, passes draw nothing, and the next step
        # would draw the same number.
        self.seed = int(torch.randint(2**62, ()))
        self.random_state = _random_state(self.vectors.device)

    def logits(self, perturbation: Tensor | None = None) -> Tensor:
        """Return the logits, (B,) or (B, K), after adding a perturbation, (B, T, E), if any."""
        vectors = self.vectors if perturbation is None else self.vectors + perturbation
        return self._classified(vectors)

    def logits_nearby(self, perturbation: Tensor) -> Tensor:
        """Return the same logits as `logits`, without a gradient for the word vectors."""
        return self._classified(self.vectors.detach() + perturbation)

    def random_direction(self) -> Tensor:
        """Return a random direction, (B, T, E); drawing it does not change the dropout masks."""
        generator = torch.Generator(self.vectors.device).manual_seed(self.seed)
        like = self.vectors
        return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)

    def perturbation(self, direction: Tensor, size: float) -> Tensor:
        """Return a perturbation, (B, T, E), in a direction of the same shape, zero on padding.

        The perturbation of each review has the norm `size` times the root mean square; that of a
        review without a direction is zero.
        """
        flat = (direction * self.mask.unsqueeze(-1)).flatten(1)
        # Squares of gradients as small as those of a confident network would be zero.
        largest = flat.abs().amax(1, keepdim=True)
        flat = F.normalize(flat / largest.clamp_min(torch.finfo(flat.dtype).tiny), dim=1)
        return (size * self.unit * flat).view_as(direction)

    def _classified(self, vectors: Tensor) -> Tensor:
        _restore_random_state(self.vectors.device, self.random_state)
        return self.net.classify(vectors, self.batch.lengths, self.batch.ngrams)


def virtual_adversarial(passes: Passes, reference: Tensor, config: ObjectiveConfig) -> Tensor:
    """Return L_VAT of each review, (B,); `reference` are its logits without perturbation, detached.

    With the word vectors s of a review (Miyato et al. 2017, section 3):

        L_VAT = KL(p(. | s) || p(. | s + r)),  r = epsilon * g / |g|
        g = gradient of KL(p(. | s) || p(. | s + xi * d / |d|)) with respect to the perturbation

    d is random at first, and g in each further power iteration. No gradient flows through p(. | s)
    and r, and no labels are used.
    """
    direction = passes.random_direction()
    for _ in range(config.power_iterations):
        step = passes.perturbation(direction, config.xi).requires_grad_()
        change = divergence(reference, passes.logits_nearby(step)).sum()
        (direction,) = torch.autograd.grad(change, step)
    return divergence(reference, passes.logits(passes.perturbation(direction, config.epsilon)))


def divergence(reference: Tensor, logits: Tensor) -> Tensor:
    """Return KL(p || q) of each review, (B,): p and q have the given logits, (B,) or (B, K)."""
    expected, actual = log_probabilities(reference), log_probabilities(logits)
    return (expected.exp() * (expected - actual)).sum(-1)


def entropy(logits: Tensor) -> Tensor:
    """Return L_EM, the entropy -sum p log p of each prediction, (B,): logits (B,) or (B, K)."""
    logs = log_probabilities(logits)
    return -(logs.exp() * logs).sum(-1)


def log_probabilities(logits: Tensor) -> Tensor:
    """Return the logarithms of the probabilities of all classes: (B,) -> (B, 2), or (B, K)."""
    if logits.ndim == 1:
        return F.logsigmoid(torch.stack([-logits, logits], -1))
    return F.log_softmax(logits, -1)


@torch.no_grad()
def root_mean_square(weight: Tensor, ids: Tensor, mask: Tensor, ranks: Ranks = ALONE) -> Tensor:
    """Return the root mean square, a scalar, of the components of the vectors of tokens.

    `weight` is the table of vectors, (V, E); the tokens are the `ids` where `mask` is True, both
    (B, T), of all ranks.
    """
    squares = weight.square().mean(1)[ids]
    total, count = ranks.added(torch.stack([(squares * mask).sum(), mask.sum()]))
    return (total / count).sqrt()


def perturb(vectors: Tensor, gradient: Tensor, share: float) -> Tensor:
    """Return the vectors, (B, T, E), moved in the direction in which the loss grows fastest.

    `gradient` is the gradient of the loss with respect to the vectors, (B, T, E). The distance is
    `share` times the norm of all vectors of a review together. A network therefore cannot evade
    the perturbation with larger vectors. Miyato et al. normalize the vectors for the same reason
    (section 2).
    """
    distances = share * vectors.detach().flatten(1).norm(dim=1)
    steps = F.normalize(gradient.flatten(1), dim=1) * distances.unsqueeze(1)
    return vectors + steps.view_as(vectors)


def with_gradients(loss: Tensor, sources: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """Return a scalar with the value of `loss` and the given `gradients` with respect to `sources`.

    It saves a second backward pass if the gradients of a loss are already known.
    """
    products = [(x * g).sum() for x, g in zip(sources, gradients, strict=True)]
    linear = torch.stack(products).sum()
    return linear - linear.detach() + loss.detach()


def _with_gradient(vectors: Tensor) -> Tensor:
    """Return vectors with respect to which gradients can be computed, also if they are frozen."""
    return vectors if vectors.requires_grad else vectors.requires_grad_()


def _behind_vectors(net: Classifier) -> list[Tensor]:
    """Return the trained parameters through which word vectors pass: all but the embedding's."""
    return [p for p in net.parameters() if p.requires_grad and p is not net.embedding.weight]


def _random_state(device: torch.device) -> Tensor:
    """Return the state of the generator that draws dropout masks on a device."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _restore_random_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
