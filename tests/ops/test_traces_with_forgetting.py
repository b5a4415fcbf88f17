"""The 1997 rule's forward form for cells that forget and see through peepholes (ops/README.md): every trace fades with
the forget gate, and a peephole's weight has a trace like any other. Against the truncated backward pass.
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
from longlag.ops.paths import TRUNCATED
from property_examples import examples

Array = np.ndarray


def gate(alpha: float, net: float) -> tuple[float, float]:
    """A gate's activation, and its slope by the net input."""
    y = 1.0 / (1.0 + math.exp(-alpha * net))
    return y, alpha * y * (1.0 - y)


def forward_in_time(
    x: Array, errors: Array, w: dict[str, Array], p: dict[str, Array], *, size: int, alpha: float, coupled: bool
) -> tuple[dict[str, Array], dict[str, Array]]:
    """One sequence, squashed by tanh: dE/dw and dE/dp for each kind of unit, every weight by itself.

    w[kind] : (units, sources), sources a 1, x(t), the cell outputs of t-1; p[gate] : (cells,).
    """
    cells = len(w["g"])
    traced = [kind for kind in "ifg" if kind in w]
    ds_dw = {kind: np.zeros((cells, w[kind].shape[1])) for kind in traced}
    ds_dp = {kind: np.zeros((cells, cells)) for kind in traced if kind != "g"}
    dw, dp = {kind: np.zeros_like(part) for kind, part in w.items()}, {kind: np.zeros(cells) for kind in p}
    s, y = [0.0] * cells, [0.0] * cells
    for t in range(len(x)):
        sources = [1.0, *x[t], *y]
        before = list(s)
        net = {kind: [float(np.dot(row, sources)) for row in part] for kind, part in w.items()}
        for j in range(cells // size):
            block = range(j * size, (j + 1) * size)
            i, i_slope = gate(alpha, net["i"][j] + sum(p["i"][c] * before[c] for c in block))
            if coupled:
                f, f_slope = 1.0 - i, 0.0
            else:
                f, f_slope = gate(alpha, net["f"][j] + sum(p["f"][c] * before[c] for c in block))
            for c in block:
                g = math.tanh(net["g"][c])
                s[c] = f * before[c] + i * g
                by_net = {"i": i_slope * (g - before[c] if coupled else g), "f": f_slope * before[c]}
                by_net["g"] = i * (1.0 - g * g)
                for kind in traced:
                    for m in range(len(sources)):
                        ds_dw[kind][c, m] = f * ds_dw[kind][c, m] + by_net[kind] * sources[m]
                for kind in ds_dp:
                    for seen in block:
                        ds_dp[kind][c, seen] = f * ds_dp[kind][c, seen] + by_net[kind] * before[seen]
            o, o_slope = gate(alpha, net["o"][j] + sum(p["o"][c] * s[c] for c in block))
            at_o = sum(errors[t][c] * math.tanh(s[c]) for c in block) * o_slope
            for m in range(len(sources)):
                dw["o"][j, m] += at_o * sources[m]
            for c in block:
                dp["o"][c] += at_o * s[c]
                h = math.tanh(s[c])
                y[c] = o * h
                at_s = errors[t][c] * o * (1.0 - h * h)
                for kind in traced:
                    dw[kind][c if kind == "g" else j] += at_s * ds_dw[kind][c]
                for kind in ds_dp:
                    dp[kind] += at_s * ds_dp[kind][c]
    return dw, dp


@examples(200)
@given(
    blocks=st.sampled_from([2, 1]),
    size=st.sampled_from([2, 1]),
    coupled=st.booleans(),
    alpha=st.sampled_from([1.0, 2.5]),
    steps=st.sampled_from([5, 1, 8]),
    seed=SEEDS,
)
def test_traces_that_fade_with_the_forget_gate_give_the_truncated_gradient(
    blocks: int, size: int, coupled: bool, alpha: float, steps: int, seed: int
) -> None:
    spec = CellSpec(cells_per_block=size, coupled_gates=coupled, peepholes=True, sharpness=alpha, biases="single")
    cells, features, random = blocks * size, 2, np.random.default_rng(seed)
    kinds = "igo" if coupled else "ifgo"
    w = {kind: random.normal(0.0, 0.8, (cells if kind == "g" else blocks, 1 + features + cells)) for kind in kinds}
    p = {kind: random.normal(0.0, 0.8, cells) for kind in kinds if kind != "g"}
    x, errors = random.normal(size=(steps, features)), random.normal(size=(steps, cells))
    dw, dp = forward_in_time(x, errors, w, p, size=size, alpha=alpha, coupled=coupled)
    expected = [torch.from_numpy(np.concatenate(list(dw.values()))), torch.from_numpy(np.stack(list(dp.values())))]

    stacked = torch.from_numpy(np.concatenate(list(w.values())))
    bias, *split = (part.clone().requires_grad_() for part in stacked.split([1, features, cells], dim=1))
    peephole = torch.from_numpy(np.stack(list(p.values()))).requires_grad_()
    weights = Weights(split[0], split[1], bias[:, 0], peephole)
    state = State(*(torch.zeros(1, width, dtype=torch.float64) for width in (cells, cells, 0)))
    for engine in (bptt.layer, reference.layer):
        outputs, _ = engine(LayerCall(spec, weights, torch.from_numpy(x)[:, None], state, None, TRUNCATED))
        total = (outputs[:, 0] * torch.from_numpy(errors)).sum()
        *parts, at_peephole = torch.autograd.grad(total, [bias, *split, peephole])
        assert distance([torch.cat(parts, dim=1), at_peephole], expected) <= 1e-10
