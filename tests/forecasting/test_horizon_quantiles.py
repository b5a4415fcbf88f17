"""HorizonQuantiles: the pinball loss of scikit-learn where there is a truth, and nothing where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_pinball_loss

from longlag.errors import InputError
from longlag.forecasting.intervals import QUANTILES
from longlag.forecasting.loss import HorizonQuantiles

H, Q = 4, len(QUANTILES)
RNG = np.random.default_rng(0)
LOSS = HorizonQuantiles(QUANTILES)


def example(rows: int, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    known = (RNG.random((rows, H)) < share).astype(np.float64)
    outputs, values = RNG.normal(size=(rows, H * Q)), RNG.normal(size=(rows, H))
    return torch.from_numpy(outputs), torch.from_numpy(np.hstack([values, known]))


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_errors_are_scikit_learns_pinball_losses_summed_over_the_levels(share: float) -> None:
    outputs, targets = example(30, share)
    errors = LOSS.errors(outputs, targets)
    assert errors.shape == (30,)
    for row in range(30):
        known = targets[row, H:].bool().numpy()
        if not known.any():
            assert float(errors[row]) == 0.0
            continue
        truth, quantiles = targets[row, :H].numpy()[known], outputs[row].reshape(H, Q).numpy()[known]
        expected = sum(mean_pinball_loss(truth, quantiles[:, k], alpha=level) for k, level in enumerate(QUANTILES))
        assert float(errors[row]) == pytest.approx(expected, rel=1e-12)


def test_what_is_not_known_changes_nothing() -> None:
    outputs, targets = example(20, 0.5)
    other = targets.clone()
    other[:, :H][targets[:, H:] == 0] = 1e9
    assert torch.equal(LOSS.errors(outputs, other), LOSS.errors(outputs, targets))


def test_its_gradient_is_right_and_none_goes_to_steps_without_a_truth() -> None:
    outputs, targets = example(6, 0.6)
    outputs.requires_grad_()
    assert torch.autograd.gradcheck(lambda outputs: LOSS.errors(outputs, targets), (outputs,))
    LOSS.errors(outputs, targets).sum().backward()
    assert outputs.grad is not None
    gradient = outputs.grad.reshape(6, H, Q)
    assert (gradient[targets[:, H:] == 0] == 0).all()
    assert (gradient[targets[:, H:] == 1] != 0).all()


def test_it_asks_for_all_quantiles_of_all_steps() -> None:
    assert LOSS.outputs_for(2 * H) == H * Q
    outputs, targets = example(3, 1.0)
    with pytest.raises(InputError, match=r"reads 20 outputs .* got outputs of shape \(3, 19\)"):
        LOSS.errors(outputs[:, :-1], targets)
