"""Network: an LSTM and the output units that read it."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from longlag.cell import Squash
from longlag.checks import MOST, one_of, true_or_false, whole_number
from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError, InputTypeError
from longlag.nn import layout
from longlag.nn.calls import Lengths, SequenceCall, sequence_call
from longlag.nn.lstm import LSTM
from longlag.nn.rnn_base import is_symbol, leaf_call
from longlag.ops.engine import CallOptions, Recording
from longlag.ops.paths import GradientPaths
from longlag.ops.squash import SQUASH
from longlag.renamed import renamed_arguments

__all__ = ["Network", "Reads"]

Reads = Literal["cells", "cells+inputs"]


class Network(nn.Module):
    """Output units on top of an LSTM (1997 paper, section 4.3): ``y_k = f(W [what they read] + b)`` at every step.

    Parameters
    ----------
    lstm : LSTM
    output_size : int
        Output units.
    output_activation : {"identity", "logistic", "tanh", "logistic_pm1", "logistic_pm2"}
    reads : {"cells", "cells+inputs"}
        "cells": the LSTM's output (connectivity F of the 1997 paper's Table 10). "cells+inputs": the input as well
        (connectivity B: each layer reads all layers below).
    bias : bool
        Whether output units have a bias.

    Raises
    ------
    InputError
        If the output size is not positive or an option is unknown.
    """

    __call__: SequenceCall

    def __init__(
        self,
        lstm: LSTM,
        output_size: int,
        *,
        output_activation: Squash = "identity",
        reads: Reads = "cells",
        bias: bool = True,
    ) -> None:
        super().__init__()
        if not isinstance(lstm, LSTM):
            raise InputTypeError(f"lstm is a {type(lstm).__name__}; expected a longlag.LSTM")
        output_size = whole_number("output_size", output_size, 1)
        one_of("output_activation", output_activation, tuple(SQUASH))
        one_of("reads", reads, get_args(Reads))
        true_or_false("bias", bias)
        self.lstm, self.output_size = lstm, output_size
        self.output_activation: Squash = output_activation
        self.reads: Reads = reads
        width = lstm.output_size + (lstm.input_size if reads == "cells+inputs" else 0)
        if width * output_size > MOST:
            raise InputError(f"output_size is {output_size}: output units of more than 2**40 weights; expected fewer")
        like = lstm.weight_ih_l0
        self.readout = nn.Linear(width, output_size, bias=bias, device=like.device, dtype=like.dtype)

    @sequence_call
    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: tuple[Tensor, ...] | None = None,
        *,
        lengths: Lengths = None,
        paths: GradientPaths | None = None,
        options: CallOptions | None = None,
    ) -> tuple[Tensor | PackedSequence, tuple[Tensor, ...]]:
        """Run over whole sequences; arguments, results and errors are those of ``LSTM.forward``.

        The output has ``output_size`` features. Beyond the longest sequence of the batch it is zero; between the end of
        a shorter sequence and that step it means nothing.
        """
        if type(input) is not Tensor and is_symbol(input):
            arguments = {"hx": hx, "lengths": lengths, "paths": paths, "options": options}
            return leaf_call(self, input, arguments)  # type: ignore[no-any-return]
        hidden, state = self.lstm(input, hx, lengths=lengths, paths=paths, options=options)
        recording = None if options is None else options.recording
        if isinstance(hidden, PackedSequence):
            assert isinstance(input, PackedSequence)
            return layout.with_data(hidden, self._read(hidden.data, input.data, recording)), state
        # Output units read what the cells read: no step that all sequences lack, and nothing that padding may hold.
        form = self.lstm.to_time_major(input, lengths)
        cells = hidden.unsqueeze(1) if not form.batched else hidden.transpose(0, 1) if self.lstm.batch_first else hidden
        return layout.restore_format(self._read(cells[: len(form.inputs)], form.inputs, recording), form), state

    def _read(self, hidden: Tensor, input: Tensor, recording: Recording | None) -> Tensor:
        seen = torch.cat([hidden, input], dim=-1) if self.reads == "cells+inputs" else hidden
        net = self.readout(seen)
        if recording is not None:
            recording.readout_inputs.append(seen)
            recording.readout_nets.append(net)
        return SQUASH[self.output_activation](net)

    @renamed_arguments(hx="state")
    def respond(
        self,
        batch: SequenceBatch,
        state: tuple[Tensor, ...] | None = None,
        *,
        paths: GradientPaths | None = None,
        options: CallOptions | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return outputs (T, B, output_size) to a batch, whatever ``batch_first`` says, and the state after each.

        ``state`` is the one before the first step; None for zeros.
        """
        if not isinstance(batch, SequenceBatch):
            raise InputTypeError(f"batch is of type {type(batch).__name__}; expected a SequenceBatch")
        inputs = batch.inputs.transpose(0, 1) if self.lstm.batch_first else batch.inputs
        outputs, state = self(inputs, state, lengths=batch.lengths, paths=paths, options=options)
        return (outputs.transpose(0, 1) if self.lstm.batch_first else outputs), state

    def weight_count(self) -> int:
        """Return how many trainable numbers the network has: W of the papers."""
        return sum(weight.numel() for weight in self.parameters() if weight.requires_grad)
