"""Any engine in bounded memory: what a stretch of steps needs for its way back is computed again when it is needed."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from longlag.ops.engine import Engine, LayerCall
from longlag.ops.layer import State

__all__ = ["Checkpointed"]


class Checkpointed(Engine):
    """An engine, ``call.options.checkpoint_every`` steps at a time.

    Of a stretch autograd keeps inputs, a state and its own bookkeeping. The CPU kernels need none of this: they have
    checkpoints of their own.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.name, self.fields = engine.name, engine.fields
        self.devices, self.dtypes, self.numbers = engine.devices, engine.dtypes, engine.numbers
        self.wishes = engine.wishes | {"checkpoints"}

    def run(self, call: LayerCall) -> tuple[Tensor, State]:
        every, state, outputs = call.options.checkpoint_every, call.state, []
        stretches = call.inputs.split(every) if call.inputs.shape[0] else ()
        for number, inputs in enumerate(stretches):
            lengths = None if call.lengths is None else (call.lengths - number * every).clamp(0, inputs.shape[0])
            stretch = call._replace(inputs=inputs, state=state, lengths=lengths)
            again = _Repeatable(self.engine, stretch)
            values, state = checkpoint(again, *again.tensors, use_reentrant=False)
            outputs.append(values)
        if not outputs:
            return call.inputs.new_zeros((0, *state.output.shape)), state
        return torch.cat(outputs), state


class _Repeatable:
    """A call that is run twice, and draws the same random numbers both times.

    Its ``tensors`` are handed to PyTorch's checkpoint one by one: of those it notices whether somebody has changed them
    in place before the second time. Of generators it knows PyTorch's global one alone.
    """

    def __init__(self, engine: Engine, call: LayerCall) -> None:
        self.engine, self.call = engine, call
        weights = [weight for weight in call.weights if weight is not None]
        self.tensors = (call.inputs, *call.state, *weights, *call.extra.values())
        generator = call.options.generator
        self.random = None if generator is None else generator.get_state()
        self.again = False

    def __call__(self, *_: Tensor) -> tuple[Tensor, State]:
        generator = self.call.options.generator
        if generator is None or self.random is None:
            return self.engine.run(self.call)
        if not self.again:
            self.again = True
            return self.engine.run(self.call)
        now = generator.get_state()
        generator.set_state(self.random)
        try:
            return self.engine.run(self.call)
        finally:
            generator.set_state(now)
