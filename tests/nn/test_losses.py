"""Each loss against a formula from elsewhere, each reduction against two plain loops, and what a mask hides."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_pinball_loss
from torch import Tensor
from torch.nn import functional

from longlag import SequenceBatch
from longlag.errors import InputError
from longlag.nn import CrossEntropy, GaussianNLL, Loss, MeanSquaredError, QuantileLoss, SquaredError

QUANTILES = (0.1, 0.5, 0.8)
LOSSES = {
    "squared": SquaredError,
    "mean squared": MeanSquaredError,
    "cross entropy": CrossEntropy,
    "gaussian": GaussianNLL,
    "quantile": lambda reduction="mean": QuantileLoss(QUANTILES, reduction),
}
every_loss = pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
REDUCTIONS = ("mean", "samples", "sum")


def answers(count: int, loss: Loss, targets: int = 2) -> tuple[Tensor, Tensor]:
    outputs = torch.randn(count, loss.outputs_for(targets), dtype=torch.float64)
    wanted = torch.randn(count, targets, dtype=torch.float64)
    return outputs, wanted.softmax(-1) if isinstance(loss, CrossEntropy) else wanted


def ragged(loss: Loss, targets: int = 2) -> tuple[Tensor, SequenceBatch]:
    """Five steps of four sequences: full, partly asked, of length zero, and real but never asked."""
    steps, lengths = 5, torch.tensor([5, 4, 0, 3])
    mask = torch.arange(steps)[:, None] < lengths
    mask[::2, 1] = False
    mask[:, 3] = False
    outputs, wanted = answers(steps * 4, loss, targets)
    inputs = torch.zeros(steps, 4, 1, dtype=torch.float64)
    return outputs.view(steps, 4, -1), SequenceBatch(inputs, lengths, wanted.view(steps, 4, -1), mask)


# -- each error against somebody else's formula --------------------------------------------------------------------


def test_squared_error_is_half_the_sum_of_squares():
    outputs, targets = answers(7, SquaredError(), 3)
    expected = [0.5 * functional.mse_loss(y, t, reduction="sum") for y, t in zip(outputs, targets, strict=True)]
    torch.testing.assert_close(SquaredError().errors(outputs, targets), torch.stack(expected))


def test_the_gradient_of_squared_error_is_output_minus_target():
    outputs, targets = answers(7, SquaredError(), 3)
    outputs.requires_grad_()
    SquaredError().errors(outputs, targets).sum().backward()
    torch.testing.assert_close(outputs.grad, outputs.detach() - targets)  # 1997 paper, eq. A.15, without the factor 2


def test_mean_squared_error_is_torchs_for_each_answer():
    outputs, targets = answers(7, MeanSquaredError(), 3)
    expected = [functional.mse_loss(y, t) for y, t in zip(outputs, targets, strict=True)]
    torch.testing.assert_close(MeanSquaredError().errors(outputs, targets), torch.stack(expected))


def test_cross_entropy_of_classes_is_torchs():
    outputs, classes = 5 * torch.randn(9, 4, dtype=torch.float64), torch.randint(4, (9,))
    expected = functional.cross_entropy(outputs, classes, reduction="none")
    torch.testing.assert_close(CrossEntropy().errors(outputs, classes), expected)


def test_cross_entropy_of_probabilities_is_torchs_and_that_of_a_certain_class():
    outputs = 5 * torch.randn(9, 4, dtype=torch.float64)
    targets = torch.randn(9, 4, dtype=torch.float64).softmax(-1)
    expected = functional.cross_entropy(outputs, targets, reduction="none")
    torch.testing.assert_close(CrossEntropy().errors(outputs, targets), expected)
    classes = torch.randint(4, (9,))
    certain = functional.one_hot(classes, 4).double()
    torch.testing.assert_close(CrossEntropy().errors(outputs, certain), CrossEntropy().errors(outputs, classes))


def test_cross_entropy_survives_outputs_that_overflow_the_exponential():
    outputs = torch.tensor([[1e4, 0.0, -1e4]], dtype=torch.float64)
    assert CrossEntropy().errors(outputs, torch.tensor([0])).item() == 0.0
    assert CrossEntropy().errors(outputs, torch.tensor([2])).item() == pytest.approx(2e4)


def test_gaussian_likelihood_is_that_of_torch_distributions():
    loss = GaussianNLL(least_deviation=0.05)
    outputs, targets = answers(7, loss, 3)
    mean, deviation = outputs[:, :3], 0.05 + outputs[:, 3:].exp()
    expected = -torch.distributions.Normal(mean, deviation).log_prob(targets).sum(-1)
    torch.testing.assert_close(loss.errors(outputs, targets), expected)
    for found, wanted in zip(loss.moments(outputs), (mean, deviation), strict=True):
        torch.testing.assert_close(found, wanted)


def test_gaussian_likelihood_has_a_floor_that_an_exact_answer_cannot_pass():
    for least in (1e-3, 0.1):
        loss = GaussianNLL(least_deviation=least)
        exact = torch.tensor([[2.0, -1e6]], dtype=torch.float64)  # the mean is right, the deviation as small as can be
        floor = math.log(least) + 0.5 * math.log(2 * math.pi)
        assert loss.errors(exact, torch.tensor([[2.0]], dtype=torch.float64)).item() == pytest.approx(floor)
    assert GaussianNLL().least_deviation == 1e-3


# -- the curvature ---------------------------------------------------------------------------------------------------


def hessian(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    return torch.func.hessian(lambda y: loss.errors(y[None], targets[None])[0])(outputs)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_the_curvature_of_a_gaussian_likelihood_is_its_fisher_information():
    """The mean of its second derivative over the targets it expects; quadratic in them, so three nodes are exact."""
    loss = GaussianNLL("sum", least_deviation=0.05)
    nodes, shares = np.polynomial.hermite_e.hermegauss(3)
    outputs, targets = answers(4, loss, 1)
    own = []
    for y, t in zip(outputs, targets, strict=True):
        mean, deviation = loss.moments(y)
        expected = sum(
            share / math.sqrt(2 * math.pi) * hessian(loss, y, mean + node * deviation)
            for node, share in zip(nodes.tolist(), shares.tolist(), strict=True)
        )
        found = hessian(loss.for_curvature(), y, t)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        assert float(torch.linalg.eigvalsh(found)[0]) > 0
        own.append(float(torch.linalg.eigvalsh(hessian(loss, y, t))[0]))
    assert min(own) < 0  # its own may be that of a saddle
    assert loss.for_curvature().reduction == "sum"


def test_the_curvature_of_a_convex_loss_is_its_own():
    for loss in (SquaredError(), MeanSquaredError(), CrossEntropy(), QuantileLoss(QUANTILES)):
        assert loss.for_curvature() is loss


def test_quantile_loss_is_the_pinball_loss_of_scikit_learn_with_targets_outermost():
    loss = QuantileLoss(QUANTILES)
    outputs, targets = answers(7, loss, 2)
    for number, error in enumerate(loss.errors(outputs, targets)):
        expected = sum(
            mean_pinball_loss([targets[number, target]], [outputs[number, 3 * target + place]], alpha=level)
            for target in range(2)
            for place, level in enumerate(QUANTILES)
        )
        assert error.item() == pytest.approx(expected)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_no_constant_answer_has_less_quantile_loss_than_the_quantile(level):
    sample = np.random.default_rng(3).gamma(2.0, size=199)
    best = np.quantile(sample, level, method="inverted_cdf")
    targets = torch.from_numpy(sample)[:, None]
    tried = np.append(np.linspace(0, 6, 601), best)
    totals = [QuantileLoss([level]).errors(torch.full_like(targets, value), targets).sum().item() for value in tried]
    assert totals[-1] <= min(totals) + 1e-9


@every_loss
def test_gradients_are_those_of_finite_differences(make):
    loss = make()
    outputs, targets = answers(4, loss)
    assert torch.autograd.gradcheck(lambda at: loss.errors(at, targets), [outputs.requires_grad_()])


@pytest.mark.parametrize(
    ("loss", "targets", "expected"),
    [
        (SquaredError(), 3, 3), (MeanSquaredError(), 3, 3), (CrossEntropy(), 3, 3),
        (GaussianNLL(), 3, 6), (QuantileLoss([0.5]), 3, 3), (QuantileLoss(QUANTILES), 2, 6),
    ],
)  # fmt: skip
def test_a_loss_says_how_many_outputs_it_needs(loss, targets, expected):
    assert loss.outputs_for(targets) == expected
    outputs, wanted = answers(5, loss, targets)
    assert outputs.shape == (5, expected)
    assert loss.errors(outputs, wanted).shape == (5,)


# -- totals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", REDUCTIONS)
@every_loss
def test_a_ragged_batch_s_total_is_that_of_two_plain_loops(make, reduction):
    loss = make(reduction)
    outputs, batch = ragged(loss)
    total = 0.0
    for sample in range(len(batch)):
        errors = [
            loss.errors(outputs[step, sample][None], batch.targets[step, sample][None]).item()
            for step in range(len(outputs))
            if batch.target_mask[step, sample]
        ]
        total += sum(errors) / len(errors) if reduction == "mean" and errors else sum(errors)
    expected = total if reduction == "sum" else total / len(batch)
    assert loss(outputs, batch).item() == pytest.approx(expected, rel=1e-13)
    assert loss(outputs, batch).shape == ()


@pytest.mark.parametrize("reduction", REDUCTIONS)
@every_loss
def test_a_sequence_counts_as_much_as_its_weight(make, reduction):
    loss = make(reduction)
    outputs, batch = ragged(loss)
    counts = torch.tensor([2.0, 0.0, 1.5, 3.0], dtype=torch.float64)
    weighted = dataclasses.replace(batch, sample_weight=counts)
    alone = [
        loss(outputs[:steps, sample, None], batch.select(torch.tensor([sample]))).item()
        for sample, steps in enumerate(batch.lengths.tolist())
    ]
    expected = sum(count * total for count, total in zip(counts.tolist(), alone, strict=True))
    expected = expected if reduction == "sum" else expected / len(batch)
    assert loss(outputs, weighted).item() == pytest.approx(expected, rel=1e-13)
    ones = dataclasses.replace(batch, sample_weight=torch.ones(4, dtype=torch.float32))
    assert torch.equal(loss(outputs, ones), loss(outputs, batch))


def test_the_mean_over_samples_is_the_default():
    for make in LOSSES.values():
        assert make().reduction == "mean"


@pytest.mark.parametrize(("reduction", "expected"), [("mean", 1 / 4), ("samples", 5 / 4), ("sum", 5.0)])
def test_weights_add_up_to_what_the_reduction_says(reduction, expected):
    loss = SquaredError(reduction)
    _, batch = ragged(loss)
    weights = loss.weights(batch)
    assert weights.shape == batch.target_mask.shape
    assert weights[~batch.target_mask].count_nonzero() == 0
    assert weights[:, 0].sum().item() == pytest.approx(expected)  # the sequence with five answers
    assert weights[:, 2:].count_nonzero() == 0
    assert weights.dtype == torch.float64


@pytest.mark.parametrize("reduction", REDUCTIONS)
@every_loss
def test_weights_that_are_given_replace_those_of_the_batch(make, reduction):
    loss = make(reduction)
    outputs, batch = ragged(loss)
    weights = torch.rand(5, 4, dtype=torch.float64)
    errors = loss.errors(outputs.flatten(0, 1), batch.targets.flatten(0, 1)).view(5, 4)
    expected = (errors * weights * batch.target_mask).sum()
    torch.testing.assert_close(loss(outputs, batch, weights), expected)
    torch.testing.assert_close(loss(outputs, batch, loss.weights(batch)), loss(outputs, batch))


@pytest.mark.parametrize("reduction", ["samples", "sum"])
@every_loss
def test_the_total_of_a_batch_is_that_of_its_windows(make, reduction):
    loss = make(reduction)
    outputs, batch = ragged(loss)
    pieces = sum(loss(outputs[start : start + 2], batch.window(start, start + 2)) for start in (0, 2, 4))
    torch.testing.assert_close(pieces, loss(outputs, batch))


def test_class_targets_of_a_ragged_batch_are_read_where_they_are_asked_for():
    loss = CrossEntropy()
    outputs, batch = ragged(loss, 3)
    classes = torch.randint(3, (5, 4)).masked_fill(~batch.target_mask, -1)  # no class at all
    batch = SequenceBatch(batch.inputs, batch.lengths, classes, batch.target_mask)
    per_step = functional.cross_entropy(outputs.flatten(0, 1), classes.flatten(), ignore_index=-1, reduction="none")
    per_sequence = per_step.view(5, 4).sum(0) / batch.target_mask.sum(0).clamp(min=1)
    torch.testing.assert_close(loss(outputs, batch), per_sequence.mean())


# -- what the mask hides -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filler", [float("nan"), float("inf"), 1e300])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@every_loss
def test_steps_that_are_not_asked_may_hold_anything_without_changing_a_bit(make, reduction, filler):
    loss = make(reduction)
    outputs, batch = ragged(loss)
    hidden = ~batch.target_mask[:, :, None]
    found = []
    for value in (0.0, filler):
        at = outputs.masked_fill(hidden, value).requires_grad_()
        targets = batch.targets.masked_fill(hidden, value)
        total = loss(at, SequenceBatch(batch.inputs, batch.lengths, targets, batch.target_mask))
        found.append((total, *torch.autograd.grad(total, at)))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert found[1][1].masked_select(hidden).count_nonzero() == 0
    assert found[1][1].count_nonzero() > 0


@pytest.mark.parametrize("reduction", REDUCTIONS)
@every_loss
def test_a_batch_that_asks_nothing_has_loss_zero_and_gradient_zero(make, reduction):
    loss = make(reduction)
    outputs, batch = ragged(loss)
    silent = SequenceBatch(batch.inputs, batch.lengths, batch.targets, torch.zeros(5, 4, dtype=torch.bool))
    outputs.requires_grad_()
    total = loss(outputs, silent)
    assert total.item() == 0.0
    assert torch.equal(torch.autograd.grad(total, outputs)[0], torch.zeros_like(outputs))


@every_loss
def test_a_batch_of_no_sequences_has_loss_zero(make):
    loss = make()
    outputs, batch = ragged(loss)
    nobody = SequenceBatch(*(part[:, :0] if part.dim() > 1 else part[:0] for part in batch.tensors))
    assert len(nobody) == 0
    assert loss(outputs[:, :0], nobody).item() == 0.0


# -- refusals ------------------------------------------------------------------------------------------------------


@every_loss
def test_an_unknown_reduction_is_refused(make):
    with pytest.raises(InputError, match="reduction is 'average'; expected one of mean, samples, sum"):
        make("average")


@pytest.mark.parametrize("quantiles", [[], [0.0], [1.0], [0.5, 1.2], [-0.1], [float("nan")]])
def test_quantiles_that_are_none_are_refused(quantiles):
    with pytest.raises(InputError, match="expected levels strictly between 0 and 1"):
        QuantileLoss(quantiles)


@pytest.mark.parametrize("least", [0.0, -1.0, float("nan")])
def test_a_least_deviation_that_is_not_positive_is_refused(least):
    with pytest.raises(InputError, match="expected a positive number"):
        GaussianNLL(least_deviation=least)


@every_loss
def test_outputs_that_do_not_match_the_targets_are_refused_rather_than_stretched(make):
    loss = make()
    outputs, batch = ragged(loss)
    name = type(loss).__name__
    for wrong in (outputs[..., :1], torch.cat([outputs, outputs], dim=-1)):
        with pytest.raises(
            InputError, match=rf"{name} reads {outputs.shape[-1]} outputs for targets of shape \(7, 2\)"
        ):
            loss(wrong, batch)


@pytest.mark.parametrize("make", [m for name, m in LOSSES.items() if name != "cross entropy"])
def test_class_numbers_are_refused_by_losses_of_real_numbers(make):
    loss = make()
    outputs, batch = ragged(loss)
    classes = SequenceBatch(batch.inputs, batch.lengths, torch.ones(5, 4, dtype=torch.int64), batch.target_mask)
    with pytest.raises(InputError, match=r"compares real numbers; the targets are torch\.int64"):
        loss(outputs, classes)
