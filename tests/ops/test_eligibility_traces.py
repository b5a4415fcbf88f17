"""The 1997 rule as the paper states it, forward in time (appendix A.1), against the truncated backward pass.

Equations A.19 to A.26 number by number, with A.12 in the form of A.23 and A.25. Where the text of A.12 and A.13 has
lost multiplication signs, read delta_{in_j l} * dy^{in_j}/dw_lm * g(net_c) and delta_{out_j l} * dy^{out_j}/dw_lm *
h(s_c), as A.23, A.25 and A.11 require.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from equivalence.compare import distance
from equivalence.specs import SEEDS
from longlag import CellSpec
from longlag.ops import bptt, reference
from longlag.ops.engine import LayerCall
from longlag.ops.layer import State, Weights
from longlag.ops.paths import FULL, TRUNCATED
from property_examples import examples

Array = np.ndarray


def f(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def f_slope(x: float) -> float:
    return f(x) * (1.0 - f(x))


def online_1997(
    x: Array, e_y: Array, w_in: Array, w_c: Array, w_out: Array, *, size: int, recurrent: bool
) -> tuple[Array, Array, Array, Array]:
    """One sequence through blocks of ``size`` cells: cell outputs y_c(t), and -dE/dw for w_in, w_c, w_out.

    x : (T, I); e_y : (T, cells) the error arriving at each cell output, sum_k w_{k c} e_k(t) of the paper.
    Weights (units, sources); sources are a 1 for the bias, x(t), then y_c(t-1), y_in(t-1), y_out(t-1).
    """
    blocks, cells = len(w_in), len(w_c)
    y_c, y_in, y_out = [0.0] * cells, [0.0] * blocks, [0.0] * blocks
    s = [0.0] * cells
    ds_dw_in = np.zeros((cells, w_in.shape[1]))  # of cell c's state by its own block's input-gate weights
    ds_dw_c = np.zeros((cells, w_c.shape[1]))
    outputs, up_in, up_c, up_out = np.zeros_like(e_y), np.zeros_like(w_in), np.zeros_like(w_c), np.zeros_like(w_out)
    for t in range(len(x)):
        sources = [1.0, *x[t], *y_c, *y_in, *y_out] if recurrent else [1.0, *x[t]]
        net_in = [sum(w_in[j][m] * sources[m] for m in range(len(sources))) for j in range(blocks)]
        net_out = [sum(w_out[j][m] * sources[m] for m in range(len(sources))) for j in range(blocks)]
        net_c = [sum(w_c[c][m] * sources[m] for m in range(len(sources))) for c in range(cells)]
        y_in, y_out = [f(net) for net in net_in], [f(net) for net in net_out]
        for j in range(blocks):
            for v in range(size):
                c = j * size + v
                g, g_slope = 4.0 * f(net_c[c]) - 2.0, 4.0 * f_slope(net_c[c])  # A.3
                s[c] += y_in[j] * g  # A.7
                for m in range(len(sources)):
                    ds_dw_in[c][m] += g * f_slope(net_in[j]) * sources[m]  # A.23
                    ds_dw_c[c][m] += g_slope * y_in[j] * sources[m]  # A.25
                h, h_slope = 2.0 * f(s[c]) - 1.0, 2.0 * f_slope(s[c])  # A.2
                y_c[c] = y_out[j] * h
                outputs[t][c] = y_c[c]
                e_s = y_out[j] * h_slope * e_y[t][c]  # A.21
                for m in range(len(sources)):
                    up_out[j][m] += f_slope(net_out[j]) * h * e_y[t][c] * sources[m]  # A.19, A.20
                    up_in[j][m] += e_s * ds_dw_in[c][m]  # A.24
                    up_c[c][m] += e_s * ds_dw_c[c][m]  # A.26
    return outputs, up_in, up_c, up_out


@examples(200)
@given(
    blocks=st.sampled_from([2, 1]),
    size=st.sampled_from([2, 1, 3]),
    recurrent=st.booleans(),
    features=st.integers(1, 2),
    samples=st.integers(1, 2),
    steps=st.sampled_from([5, 1, 8]),
    seed=SEEDS,
)
def test_traces_carried_forward_give_the_truncated_gradient_of_the_whole_sequence(
    blocks: int, size: int, recurrent: bool, features: int, samples: int, steps: int, seed: int
) -> None:
    spec = CellSpec.hochreiter1997(cells_per_block=size, recurrence=recurrent)
    cells, random = blocks * size, np.random.default_rng(seed)
    width = 1 + features + (cells + 2 * blocks if recurrent else 0)
    w_in, w_c, w_out = (random.normal(0.0, 0.8, (units, width)) for units in (blocks, cells, blocks))
    x, errors = random.normal(size=(steps, samples, features)), random.normal(size=(steps, samples, cells))

    stacked = torch.from_numpy(np.concatenate([w_in, w_c, w_out]))  # rows i, g, o
    bias, *split = (part.clone().requires_grad_() for part in stacked.split([1, features, width - 1 - features], 1))
    weights = Weights(split[0], split[1], bias[:, 0])
    gates = 2 * blocks if recurrent else 0
    state = State(*(torch.zeros(samples, count, dtype=torch.float64) for count in (cells, cells, gates)))

    online = [
        online_1997(x[:, b], errors[:, b], w_in, w_c, w_out, size=size, recurrent=recurrent) for b in range(samples)
    ]
    outputs = torch.from_numpy(np.stack([sample[0] for sample in online], axis=1))
    expected = torch.from_numpy(np.concatenate([sum(sample[part] for sample in online) for part in (1, 2, 3)]))
    full_differs = recurrent and steps > 1
    for engine in (bptt.layer, reference.layer):
        found, _ = engine(LayerCall(spec, weights, torch.from_numpy(x), state, None, TRUNCATED))
        total = (found * torch.from_numpy(errors)).sum()
        gradient = torch.cat(torch.autograd.grad(total, [bias, *split], materialize_grads=True), dim=1)
        assert distance([found], [outputs]) <= 1e-12
        assert distance([gradient], [expected]) <= 1e-10
    if full_differs:
        found, _ = bptt.layer(LayerCall(spec, weights, torch.from_numpy(x), state, None, FULL))
        total = (found * torch.from_numpy(errors)).sum()
        full = torch.cat(torch.autograd.grad(total, [bias, *split]), dim=1)
        assert distance([full], [expected]) > 1e-8
