"""Objectives: which vectors are moved how far, and which loss is minimised."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lstm_sentiment.commands.train import run
from lstm_sentiment.config import (
    Config,
    DataConfig,
    EmbeddingConfig,
    EncoderConfig,
    HeadConfig,
    HeadKind,
    ObjectiveConfig,
    OptimizerConfig,
    Padding,
)
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.ngram_vocabulary import NgramBatch
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.model.objectives import (
    Mixed,
    Passes,
    objective_of,
    perturb,
    virtual_adversarial,
    with_gradients,
)
from tests.support.project import RunCommand

IDS = torch.randint(2, 10, (4, 6), generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([6, 3, 1, 5])
IDS[torch.arange(6) >= LENGTHS.unsqueeze(1)] = 0
LABELS = torch.tensor([1.0, 0.0, 1.0, 0.0])
BATCH = Batch(IDS, LENGTHS, LABELS, torch.arange(4))


def module(**fields: Any) -> SentimentModule:
    torch.manual_seed(0)
    config = Config(embedding=EmbeddingConfig(dim=5, dropout=0.0), **fields)
    optimizer = OptimizerConfig(adversarial=0.05)
    objective = objective_of(replace(config, optimizer=optimizer))
    return SentimentModule(Classifier(config, 10).eval(), optimizer, objective=objective)


def losses_of(net: Classifier, vectors: Tensor) -> Tensor:
    """(B, T, E) -> (B,)"""
    logits = net.classify(vectors, LENGTHS)
    return F.binary_cross_entropy_with_logits(logits, LABELS, reduction="none")


def test_a_perturbation_by_hand() -> None:
    # The norms are 5 and 10, the directions (0, 1) and (-0.6, 0.8).
    vectors = torch.tensor([[[3.0, 4.0]], [[6.0, 8.0]]])
    gradient = torch.tensor([[[0.0, 7.0]], [[-0.003, 0.004]]])
    expected = torch.tensor([[[3.0, 4.5]], [[5.4, 8.8]]])
    torch.testing.assert_close(perturb(vectors, gradient, 0.1), expected)


def test_a_review_without_a_gradient_stays() -> None:
    vectors = torch.ones(2, 3, 4)
    gradient = torch.stack([torch.ones(3, 4), torch.zeros(3, 4)])
    perturbed = perturb(vectors, gradient, 0.1)
    assert torch.equal(perturbed[1], vectors[1])
    assert not torch.equal(perturbed[0], vectors[0])


def test_a_loss_with_known_gradients_has_that_value_and_those_gradients() -> None:
    sources = [torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor(3.0, requires_grad=True)]
    gradients = [torch.tensor([0.5, -4.0]), torch.tensor(7.0)]
    loss = with_gradients(torch.tensor(11.0), sources, gradients)
    assert loss.item() == 11.0
    for known, gradient in zip(gradients, torch.autograd.grad(loss, sources), strict=True):
        assert torch.equal(gradient, known)


@pytest.mark.parametrize("head", HeadKind)
def test_perturbed_reviews_have_a_higher_loss_and_padding_stays(head: HeadKind) -> None:
    net = module(head=HeadConfig(head)).classifier
    vectors = net.embedding.vectors(IDS)
    losses = losses_of(net, vectors)
    (gradient,) = torch.autograd.grad(losses.mean(), vectors, retain_graph=True)
    perturbed = perturb(vectors, gradient, 0.05)
    assert (losses_of(net, perturbed) > losses).all()
    distances = (perturbed - vectors).flatten(1).norm(dim=1)
    torch.testing.assert_close(distances, 0.05 * vectors.flatten(1).norm(dim=1))
    assert not (perturbed - vectors)[IDS == 0].any()


def test_the_training_loss_is_the_sum_of_both_losses() -> None:
    trained = module()
    net = trained.classifier
    loss = trained.training_step(BATCH)
    trained_score = trained.scores["train"].compute()["loss"]

    vectors = net.embedding.vectors(IDS)
    clean = losses_of(net, vectors).mean()
    assert trained_score == pytest.approx(clean.item())  # scores ignore perturbation
    (gradient,) = torch.autograd.grad(clean, vectors, retain_graph=True)
    both = clean + losses_of(net, perturb(vectors, gradient, 0.05)).mean()
    torch.testing.assert_close(loss, both)

    parameters = [*net.parameters()]
    gradients = torch.autograd.grad(loss, parameters)
    for ours, expected in zip(gradients, torch.autograd.grad(both, parameters), strict=True):
        torch.testing.assert_close(ours, expected)


def test_frozen_vectors_are_perturbed_too() -> None:
    frozen = module()
    frozen.classifier.embedding.requires_grad_(False)
    loss = frozen.training_step(BATCH)
    assert loss.item() == pytest.approx(module().training_step(BATCH).item())
    loss.backward()
    assert frozen.classifier.output.weight.grad.any()


def test_a_run_trains_on_perturbed_reviews(tiny: Callable[..., Config]) -> None:
    plain, adversarial = (
        run(tiny(optimizer={"adversarial": share}, test=False)) for share in (0.0, 0.1)
    )
    assert plain["name"] != adversarial["name"]
    assert plain["epochs"][-1]["train"]["loss"] != adversarial["epochs"][-1]["train"]["loss"]


# Terms beside cross-entropy


NETWORKS = [(1, HeadKind.max), (3, HeadKind.avg)]  # output units and head
TERMS = [
    {"adversarial": 0.7},
    {"virtual_adversarial": 0.7},
    {"entropy": 0.7},
    {"adversarial": 0.5, "virtual_adversarial": 2.0, "entropy": 0.3, "power_iterations": 2},
]
UNLABELLED = Batch(
    torch.tensor([[3, 9, 2], [5, 0, 0]]), torch.tensor([3, 1]), torch.full((2,), -1.0),
    torch.arange(2),
)  # fmt: skip


NGRAMS = [
    NgramBatch(torch.tensor([0, 1, 1, 0, 2]), torch.tensor([0, 0, 1, 3, 3])),  # of `BATCH`
    NgramBatch(torch.tensor([2, 1]), torch.tensor([0, 1])),  # of `UNLABELLED`
]
RATIO = np.array([[2.0], [-1.0], [0.5]], np.float32)


def network(
    outputs: int = 1,
    head: HeadKind = HeadKind.max,
    ratio: np.ndarray | None = None,
    **fields: Any,
) -> Classifier:
    """Return a small network in float64, whose predictions are not all alike."""
    torch.manual_seed(1)
    encoder = EncoderConfig(hidden_size=2, **{"dropout": 0.0, **fields.pop("encoder", {})})
    embedding = EmbeddingConfig(dim=3, **{"dropout": 0.0, **fields.pop("embedding", {})})
    config = Config(encoder=encoder, head=HeadConfig(head), embedding=embedding, **fields)
    net = Classifier(config, 10, outputs, ratio).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    with torch.no_grad():
        net.embedding.weight[0] = 0
    return net


def mean_loss(logits: Tensor, batch: Batch) -> Tensor:
    if logits.ndim == 2:
        return F.cross_entropy(logits, batch.labels.long())
    return F.binary_cross_entropy_with_logits(logits, batch.labels.to(logits.dtype))


def batch_for(outputs: int, unlabelled: Batch | None = UNLABELLED) -> Batch:
    labels = torch.tensor([1.0, 0.0, 2.0, 1.0]) if outputs > 1 else LABELS
    return BATCH._replace(labels=labels, unlabelled=unlabelled)


def loss_of(net: Classifier, batch: Batch, **terms: Any) -> Tensor:
    torch.manual_seed(3)
    return Mixed(ObjectiveConfig(**terms))(net, batch, mean_loss)[1]


def plain_probabilities(logits: Tensor) -> Tensor:
    """Return the probabilities of all classes, (B, K), from (B,) or (B, K) logits."""
    if logits.ndim == 2:
        return logits.softmax(1)
    return torch.stack([1 - logits.sigmoid(), logits.sigmoid()], 1)


def plain_divergence(reference: Tensor, logits: Tensor) -> Tensor:
    p, q = plain_probabilities(reference), plain_probabilities(logits)
    return (p * (p / q).log()).sum(1)


def scaled(direction: Tensor, batch: Batch, net: Classifier, size: float) -> Tensor:
    """Scale the direction of each review, one after the other, to `size` x root mean square."""
    words = [id for row, n in zip(batch.ids, batch.lengths, strict=True) for id in row[:n]]
    squares = [x**2 for word in words for x in net.embedding.weight[word].tolist()]
    rms = (sum(squares) / len(squares)) ** 0.5
    result = torch.zeros_like(direction)
    for row, length in enumerate(batch.lengths):
        part = direction[row, :length]
        result[row, :length] = size * rms * part / part.norm()
    return result


class PlainTerms:
    """The terms, written down as in the papers, with perturbations and references as constants."""

    def __init__(self, net: Classifier, batch: Batch, config: ObjectiveConfig) -> None:
        self.net, self.batch, self.config = net, batch, config
        parts = [batch] if batch.unlabelled is None else [batch, batch.unlabelled]
        vectors = self._vectors(batch).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(mean_loss(self._logits(batch, vectors), batch), vectors)
        self.adversarial = scaled(gradient, batch, net, config.epsilon)
        self.parts = [(part, *self._virtual(part)) for part in parts]

    def _vectors(self, part: Batch) -> Tensor:
        return self.net.embedding.weight[part.ids]

    def _logits(self, part: Batch, vectors: Tensor) -> Tensor:
        return self.net.classify(vectors, part.lengths, part.ngrams)

    def _virtual(self, part: Batch) -> tuple[Tensor, Tensor]:
        vectors = self._vectors(part).detach()
        reference, direction = self._logits(part, vectors).detach(), fixed_direction(vectors)
        for _ in range(self.config.power_iterations):
            step = scaled(direction, part, self.net, self.config.xi).requires_grad_()
            change = plain_divergence(reference, self._logits(part, vectors + step)).sum()
            (direction,) = torch.autograd.grad(change, step)
        return reference, scaled(direction, part, self.net, self.config.epsilon)

    def loss(self) -> Tensor:
        batch, config = self.batch, self.config
        loss = mean_loss(self._logits(batch, self._vectors(batch)), batch)
        moved = self._vectors(batch) + self.adversarial
        loss = loss + config.adversarial * mean_loss(self._logits(batch, moved), batch)
        divergences, entropies = [], []
        for part, reference, perturbation in self.parts:
            vectors = self._vectors(part)
            moved_logits = self._logits(part, vectors + perturbation)
            divergences.append(plain_divergence(reference, moved_logits))
            p = plain_probabilities(self._logits(part, vectors))
            entropies.append(-(p * p.log()).sum(1))
        loss = loss + config.virtual_adversarial * torch.cat(divergences).mean()
        return loss + config.entropy * torch.cat(entropies).mean()


def fixed_direction(vectors: Tensor) -> Tensor:
    return torch.arange(1.0, vectors.numel() + 1).reshape(vectors.shape).sin().double()


@pytest.mark.parametrize(("outputs", "head"), NETWORKS)
@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("unlabelled", [None, UNLABELLED])
def test_losses_and_gradients_are_those_of_the_formulas(
    monkeypatch: pytest.MonkeyPatch,
    outputs: int,
    head: HeadKind,
    terms: dict[str, float],
    unlabelled: Batch | None,
) -> None:
    """Gradients are compared with central differences of the formulas, in float64."""
    monkeypatch.setattr(Passes, "random_direction", lambda p: fixed_direction(p.vectors))
    check_formulas(network(outputs, head), batch_for(outputs, unlabelled), terms)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("terms", TERMS)
def test_ngrams_are_a_part_of_all_logits(
    monkeypatch: pytest.MonkeyPatch, outputs: int, terms: dict[str, float]
) -> None:
    """No perturbation moves them, but the losses and gradients are those of the whole network."""
    monkeypatch.setattr(Passes, "random_direction", lambda p: fixed_direction(p.vectors))
    net = network(outputs, ratio=RATIO.repeat(outputs, 1))
    of_batch, of_others = NGRAMS
    batch = batch_for(outputs, UNLABELLED._replace(ngrams=of_others))._replace(ngrams=of_batch)
    check_formulas(net, batch, terms)
    assert net.wide is not None
    assert net.wide.weight.grad is not None
    assert net.wide.weight.grad.all()


def check_formulas(net: Classifier, batch: Batch, terms: dict[str, float]) -> None:
    loss = loss_of(net, batch, epsilon=0.8, **terms)
    plain = PlainTerms(net, batch, ObjectiveConfig(epsilon=0.8, **terms))  # type: ignore[arg-type]
    assert loss.item() == pytest.approx(plain.loss().item(), rel=1e-9)
    loss.backward()
    with torch.no_grad():
        for parameter in net.parameters():
            assert parameter.grad is not None
            values, slopes = parameter.view(-1), parameter.grad.view(-1)
            for index in range(0, len(values), 1 + len(values) // 6):
                value, ends = values[index].item(), []
                for shift in (1e-5, -1e-5):
                    values[index] = value + shift
                    ends.append(plain.loss().item())
                values[index] = value
                if parameter is net.embedding.weight and index < 3:
                    continue  # the vector of padding is not trained
                expected = (ends[0] - ends[1]) / 2e-5
                assert slopes[index].item() == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_power_iterations_find_the_direction_of_the_largest_change() -> None:
    """It is the first eigenvector of the second derivative of the divergence, J' (P - pp') J."""
    net = network(3, HeadKind.avg)
    one = Batch(IDS[:1], LENGTHS[:1], LABELS[:1], torch.arange(1))
    passes = Passes(net, one)
    vectors, logits = passes.vectors.detach(), passes.logits().detach()
    jacobian = torch.autograd.functional.jacobian(lambda x: net.classify(x, one.lengths), vectors)
    jacobian, p = jacobian.reshape(3, -1), logits.softmax(1)[0]
    second = jacobian.T @ (p.diag() - p.outer(p)) @ jacobian
    largest = torch.linalg.eigh(second).eigenvectors[:, -1]
    moved: list[Tensor] = []
    passes.logits = lambda r=None: moved.append(r) or logits  # type: ignore[method-assign,misc]
    config = ObjectiveConfig(virtual_adversarial=1, xi=1e-4, power_iterations=20, epsilon=2.0)
    virtual_adversarial(passes, logits, config)
    found = moved[0].flatten() / moved[0].norm()
    assert abs(found @ largest).item() == pytest.approx(1.0, abs=1e-4)


def test_perturbations_have_the_norm_epsilon_times_the_root_mean_square() -> None:
    passes = Passes(network(), BATCH)
    perturbation = passes.perturbation(torch.randn(4, 6, 3, dtype=torch.float64), 2.5)
    components = torch.cat([passes.vectors[row, :n] for row, n in enumerate(LENGTHS)])
    expected = 2.5 * components.square().mean().sqrt()
    torch.testing.assert_close(perturbation.flatten(1).norm(dim=1), expected.expand(4))
    assert not perturbation[~passes.mask].any()


def test_directions_as_small_as_those_of_a_sure_network_are_scaled() -> None:
    """A review without a direction, such as one with a certain prediction, stays where it is."""
    passes = Passes(network().float(), BATCH)
    direction = 1e-30 * passes.random_direction()
    direction[2] = 0
    perturbation = passes.perturbation(direction, 5.0)
    norms = perturbation.flatten(1).norm(dim=1) / passes.unit
    torch.testing.assert_close(norms, torch.tensor([5.0, 5.0, 0.0, 5.0]))


@pytest.mark.parametrize("terms", TERMS)
def test_larger_vectors_with_smaller_input_weights_change_no_loss(terms: dict[str, float]) -> None:
    net, batch = network(3), batch_for(3)
    before = loss_of(net, batch, **terms).item()
    with torch.no_grad():
        net.embedding.weight.mul_(10)
        net.encoder.rnn.weight_ih_l0.div_(10)
    assert loss_of(net, batch, **terms).item() == pytest.approx(before, rel=1e-9)


def test_unlabelled_reviews_are_perturbed_by_the_size_of_their_own_vectors() -> None:
    net = network()
    units = [Passes(net, part).unit.item() for part in (BATCH, UNLABELLED)]
    expected = net.embedding.weight[torch.tensor([3, 9, 2, 5])].square().mean().sqrt().item()
    assert units[1] == pytest.approx(expected)
    assert units[0] != pytest.approx(units[1])


@pytest.mark.parametrize("on_cpu_kernels", [True, False])
def test_all_passes_of_a_step_have_the_same_dropout_masks(on_cpu_kernels: bool) -> None:
    """With a tiny epsilon, the perturbed passes give the losses of the plain one."""
    net = network(
        encoder={"dropout": 0.5, "recurrent_dropout": 0.5, "num_layers": 2, "bidirectional": True},
        embedding={"dropout": 0.5},
    )
    if on_cpu_kernels:
        net = net.float()
    batch, tiny = batch_for(1), {"epsilon": 1e-6}
    plain = loss_of(net, batch, entropy=1e-12).item()
    both = loss_of(net, batch, adversarial=1, **tiny).item()
    assert both == pytest.approx(2 * plain, rel=1e-4)
    virtual = loss_of(net, batch, virtual_adversarial=1, **tiny).item()
    assert virtual == pytest.approx(plain, rel=1e-4)
    net.eval()
    assert loss_of(net, batch, entropy=1e-12).item() != pytest.approx(plain, rel=1e-3)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_each_step_draws_new_masks_and_directions(dropout: float) -> None:
    net = network(embedding={"dropout": dropout}, encoder={"dropout": dropout})
    objective = Mixed(ObjectiveConfig(virtual_adversarial=1, power_iterations=1))
    passes = [Passes(net, BATCH) for _ in range(2)]
    assert not torch.equal(*(each.random_direction() for each in passes))
    assert torch.equal(passes[0].random_direction(), passes[0].random_direction())
    torch.manual_seed(0)
    first, second = (objective(net, batch_for(1), mean_loss)[1].item() for _ in range(2))
    assert first != second
    torch.manual_seed(0)
    assert objective(net, batch_for(1), mean_loss)[1].item() == first


@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("head", [kind for kind in HeadKind if kind != HeadKind.flatten])
def test_padding_changes_no_loss(terms: dict[str, float], head: HeadKind) -> None:
    net, batch = network(head=head), batch_for(1)
    padded = batch._replace(
        ids=F.pad(IDS, (0, 3)), unlabelled=UNLABELLED._replace(ids=F.pad(UNLABELLED.ids, (0, 2)))
    )
    # Random directions are as wide as the batch.
    with pytest.MonkeyPatch.context() as patch:
        draw = torch.randn(4, 9, 3, dtype=torch.float64)
        patch.setattr(
            Passes,
            "random_direction",
            lambda each: draw[: len(each.vectors), : each.vectors.shape[1]],
        )
        expected = loss_of(net, batch, **terms).item()
        assert loss_of(net, padded, **terms).item() == pytest.approx(expected, rel=1e-9)


def test_padding_that_is_read_as_text_is_perturbed() -> None:
    net = network(data=DataConfig(padding=Padding.trailing, max_length=6))
    passes = Passes(net, BATCH._replace(lengths=torch.full((4,), 6)))
    assert passes.mask.all()
    expected = net.embedding.weight[IDS].square().mean().sqrt().item()
    assert passes.unit.item() == pytest.approx(expected)


def test_the_virtual_adversarial_loss_and_the_entropy_use_no_labels() -> None:
    net = network()
    terms = {"virtual_adversarial": 1, "entropy": 1}
    losses = []
    for labels in (LABELS, 1 - LABELS):
        batch = batch_for(1, UNLABELLED._replace(labels=labels[:2]))._replace(labels=labels)
        plain = loss_of(net, batch, entropy=1e-12).item()
        losses.append(loss_of(net, batch, **terms).item() - plain)
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


def test_scores_of_training_count_labelled_reviews_only() -> None:
    config = Config(embedding=EmbeddingConfig(dim=5), objective=ObjectiveConfig(entropy=1))
    trained = SentimentModule(
        Classifier(config, 10), config.optimizer, objective=objective_of(config)
    )
    trained.training_step(batch_for(1))
    matrix = trained.scores["train"].compute()["confusion_matrix"]
    assert sum(map(sum, matrix)) == len(LABELS)


def test_a_change_too_small_for_bfloat16_is_seen_in_mixed_precision() -> None:
    net = network().float()
    losses = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled):
            losses.append(loss_of(net, batch_for(1), virtual_adversarial=1).item())
    assert losses[0] == losses[1]


def test_frozen_parameters_get_no_gradient() -> None:
    """Vectors are perturbed as well if they are frozen."""
    net, terms = network(), TERMS[-1]
    expected = loss_of(net, batch_for(1), **terms)
    net.embedding.requires_grad_(False)
    net.encoder.requires_grad_(False)
    loss = loss_of(net, batch_for(1), **terms)
    assert loss.item() == pytest.approx(expected.item())
    loss.backward()
    assert net.embedding.weight.grad is None
    assert all(parameter.grad is None for parameter in net.encoder.parameters())
    assert net.output.weight.grad is not None


@pytest.mark.parametrize("name", ["adversarial", "virtual_adversarial", "mixed"])
def test_a_run_trains_with_each_objective(train: RunCommand, cache: str, name: str) -> None:
    command = train(
        f"objective={name}", "data=synthetic", f"data.cache={cache}", "data.limit_train=60",
        "data.max_length=30", "encoder.hidden_size=4", "embedding.dim=4", "trainer.max_epochs=1",
        "trainer=cpu", "test=false", "data.batch_size=16",
    )  # fmt: skip
    assert command.code == 0, command.text
    assert "epoch 1 of 1" in command.text
