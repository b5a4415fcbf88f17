"""longlag.LSTM: stands in for torch.nn.LSTM, for any CellSpec."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from longlag.cell import CellSpec
from longlag.checks import MOST, true_or_false, whole_number
from longlag.errors import InputError, InputTypeError, ShapeError
from longlag.nn import init, layout, sharpness
from longlag.nn.calls import Lengths, SequenceCall, sequence_call
from longlag.nn.options import PATHS, Gradient, check_device, check_dropout, check_dtype, check_flag, check_gradient
from longlag.nn.rnn_base import PlainRNN, is_symbol, leaf_call
from longlag.nn.sizes import LayerSizes
from longlag.nn.stack import run_stack
from longlag.nn.stepping import Stepper
from longlag.nn.tensors import check_loaded, check_tensor
from longlag.ops.engine import CallOptions, Engine, Recording
from longlag.ops.layer import State
from longlag.ops.paths import GradientPaths
from longlag.ops.select import EngineChooser, check_backend, with_checkpoints

__all__ = ["LSTM"]

_TRAINING, _EVALUATING = CallOptions(training=True), CallOptions(training=False)


class LSTM(PlainRNN):
    """Long short-term memory layers. With the default cell: torch.nn.LSTM, its arguments, state_dict and results.

    Parameters
    ----------
    input_size, hidden_size : int
        Features of x_t, and memory cells per layer and direction.
    num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype
        As in torch.nn.LSTM.
    cell : CellSpec
        Gates, blocks, peepholes, squashings, sharpness.
    gradient : {"full", "truncated"}
        "full": backward() follows every path (batch paper, eqs 13-18). "truncated": the 1997 rule; recurrent sources
        and peephole states inside net inputs are constants (1997 paper, appendix A.1.2). Other gradients concern a
        whole network and its loss: see longlag.gradients.
    backend : {"auto", "native", "native-samples", "native-units", "triton", "torch", "bptt", "reference"}
        The engine; ``backend_for(input)`` names the one that will run. On a GPU, "triton" rounds products of float32 as
        PyTorch is set to on CUDA, and measures once how a layer is best launched where
        ``torch.backends.cudnn.benchmark`` is set.
    checkpoint_every : int or None
        Keep only the state at every so many steps for the way back, and run the steps between two of them again: the
        memory of a long sequence is its input, its output, and that of so many steps. Costs about one more forward
        pass. The kernels' results are the same bit for bit. About the square root of T needs the least memory.
    learn_sharpness : bool
        Whether the slope alpha of the gates is trained, one for each kind of gate (input, forget, output) of each layer
        and direction: ``alpha = cell.sharpness * exp(log_sharpness)``, which begins at ``cell.sharpness``. Coupled
        gates share one. Each call multiplies weights by it first, and ``step`` takes the way of ``forward``.

    Raises
    ------
    InputError (a ValueError)
        For impossible sizes or options, among them ``learn_sharpness`` for a cell without gates.

    Parameters of the module, for layer k (and suffix ``_reverse``): ``weight_ih_l{k}`` (rows, I), ``weight_hh_l{k}``
    (rows, R), ``bias_ih_l{k}`` and ``bias_hh_l{k}`` (rows), ``weight_hr_l{k}`` (P, H) with a projection, and
    ``weight_peephole_l{k}`` (gates, H) with peepholes, ``log_sharpness_l{k}`` (gates,) where sharpness is learned. Rows
    and R are those of ``CellSpec.rows`` and ``source_size``, gates stand in the order i, f, o.
    """

    __call__: SequenceCall
    weight_ih_l0: Tensor  # the one that every layer has: its type and device are the layer's
    _stepper: Stepper | None
    _chooser: EngineChooser

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        cell: CellSpec | None = None,
        gradient: Gradient = "full",
        backend: str = "auto",
        checkpoint_every: int | None = None,
        learn_sharpness: bool = False,
    ) -> None:
        super().__init__()
        flags = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
        for name, flag in {**flags, "learn_sharpness": learn_sharpness}.items():
            check_flag(name, flag)
        sizes = LayerSizes(
            input_size=input_size,
            hidden_size=hidden_size,
            cell=CellSpec() if cell is None else cell,
            num_layers=num_layers,
            num_directions=2 if bidirectional else 1,
            proj_size=proj_size,
            bias=bias,
            learn_sharpness=learn_sharpness,
        )
        if checkpoint_every is not None:
            checkpoint_every = whole_number("checkpoint_every", checkpoint_every, 1, MOST)
        check_dropout(dropout, sizes.num_layers)
        check_dtype(dtype)
        check_device(device)
        self.input_size, self.hidden_size, self.num_layers = sizes.input_size, sizes.hidden_size, sizes.num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, sizes.proj_size
        self.learn_sharpness = learn_sharpness
        self._set_sizes(sizes)
        self.gradient = gradient
        self.backend = backend
        self.checkpoint_every = checkpoint_every
        for name, shape in self.sizes.all_shapes().items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    # -- shapes and parameters -----------------------------------------------------------------------------------------

    @property
    def cell(self) -> CellSpec:
        """Gates, blocks, peepholes, squashings, sharpness. May be set to another cell whose weights have these shapes.

        Raises
        ------
        InputError
            When a cell is set whose weights or states have other shapes than this layer's.
        """
        return self.sizes.cell

    @cell.setter
    def cell(self, cell: CellSpec) -> None:
        sizes = dataclasses.replace(self.sizes, cell=cell)
        if sizes.all_shapes() != self.sizes.all_shapes() or sizes.state_widths != self.sizes.state_widths:
            raise InputError(
                "the cell has weights or states of other shapes than this layer; expected a new LSTM for it"
            )
        self._set_sizes(sizes)
        self._forget_calls()

    def _set_sizes(self, sizes: LayerSizes) -> None:
        self.sizes = sizes
        # Made here, because torch.compile cannot trace how.
        _ = sizes.state_widths, sizes.names, sizes.cell.text, sizes.cell.gates, sizes.cell.departures

    @property
    def gradient(self) -> Gradient:
        """The paths of the error: "full" or "truncated"."""
        return self._gradient

    @gradient.setter
    def gradient(self, gradient: Gradient) -> None:
        check_gradient(gradient)
        self._gradient: Gradient = gradient

    @property
    def backend(self) -> str:
        """The engine, or "auto" where it is chosen at each call."""
        return self._backend

    @backend.setter
    def backend(self, backend: str) -> None:
        if not isinstance(backend, str):
            raise InputTypeError(f"backend is {backend!r}; expected a name, such as 'auto'")
        check_backend(backend, self.cell, PATHS[self.gradient])
        self._backend = backend
        self._forget_calls()

    def _forget_calls(self) -> None:
        """Drop what is remembered of earlier calls: it holds for another cell or backend."""
        self._stepper = None
        self._chooser = EngineChooser(self._backend, self.sizes.cell, self.sizes.hidden_size)

    @property
    def num_directions(self) -> int:
        """The number of directions: 1, or 2 when bidirectional."""
        return self.sizes.num_directions

    @property
    def output_size(self) -> int:
        """Features of the output: all directions' cells (or projections) and conventional units."""
        return self.sizes.output_size

    def __getstate__(self) -> dict[str, Any]:
        remembered = ("_stepper", "_chooser")  # addresses mean nothing elsewhere
        return {name: value for name, value in self.__dict__.items() if name not in remembered}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._forget_calls()

    def layer_shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of one layer's parameters, in torch's order."""
        return self.sizes.parameter_shapes(layer)

    def layer_parameters(self) -> Iterator[dict[str, nn.Parameter]]:
        """Return the parameters of each layer and direction, forward before reverse, by name without the suffix."""
        for layer in range(self.num_layers):
            names = self.sizes.parameter_shapes(layer)
            for suffix in self.sizes.suffixes(layer):
                yield {name: getattr(self, f"{name}_{suffix}") for name in names}

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters of each layer and direction in a list, as torch.nn.LSTM has them."""
        return [list(weights.values()) for weights in self.layer_parameters()]

    def weight_count(self) -> int:
        """Return how many trainable numbers the layers have."""
        return sum(weight.numel() for weight in self.parameters() if weight.requires_grad)

    def gate_sharpness(self) -> list[dict[str, float]]:
        """Return the slope alpha of each of the cell's gates ("i", "f", "o"), for each layer and direction."""
        return sharpness.gate_slopes(self)

    def reset_parameters(self) -> None:
        """Draw all parameters anew as torch.nn.LSTM does; other initialisations are in longlag.nn.init."""
        init.uniform_(self)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Refuse what would make parameters complex, as ``to(torch.complex64)`` does, before it has changed any."""
        parameter = next(self.parameters())
        after = fn(torch.empty(0, dtype=parameter.dtype, device=parameter.device)).dtype
        if after.is_complex:
            raise InputTypeError(f"the layer's parameters would be {after}; expected real numbers")
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any) -> None:
        """Refuse what is no tensor of real numbers before anything is loaded. Sizes are compared by PyTorch."""
        for name, parameter in self.named_parameters(recurse=False):
            if prefix + name in state_dict:
                check_loaded(prefix + name, state_dict[prefix + name], parameter)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        defaults: dict[str, Any] = {
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
            "proj_size": 0,
            "cell": CellSpec(),
            "gradient": "full",
            "backend": "auto",
            "checkpoint_every": None,
            "learn_sharpness": False,
        }
        parts += [f"{name}={getattr(self, name)}" for name, value in defaults.items() if getattr(self, name) != value]
        return ", ".join(parts)

    # -- running -------------------------------------------------------------------------------------------------------

    def backend_for(self, input: Tensor | PackedSequence) -> str:
        """Return the name of the engine that will run on this input."""
        form = self.to_time_major(input, None)
        return self._engine(form.inputs, (), PATHS[self._gradient], CallOptions()).name

    def to_time_major(self, input: Tensor | PackedSequence, lengths: Lengths) -> layout.InputFormat:
        """Return the input as the engines take it, (T, B, I), and what is needed to answer in its format."""
        like = self._parameter("weight_ih_l0")
        return layout.to_time_major(
            input, lengths, sizes=self.sizes, dtype=like.dtype, device=like.device, batch_first=self.batch_first
        )

    def _engine(self, inputs: Tensor, states: Sequence[State], paths: GradientPaths, options: CallOptions) -> Engine:
        remembered = self._chooser.remembered(inputs, paths, options)
        if remembered is not None:
            return remembered
        # States and parameters are looked at only if the answer depends on them, so they come as a generator.
        tensors = itertools.chain(itertools.chain.from_iterable(states), self.parameters())
        return self._chooser.choose(inputs, tensors, paths, options)

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
        """Run over whole sequences.

        Parameters
        ----------
        input : (T, B, I), (B, T, I) with batch_first, (T, I) unbatched, or a PackedSequence
        hx : (h_0, c_0) or None for zeros
            (layers * directions, B, O) and (layers * directions, B, H), unbatched without B; with gate recurrence a
            third tensor, the gate activations.
        lengths : (B,) whole numbers, tensor or list, or None
            Real steps of each sequence, zero allowed. Padding may hold anything and changes no bit of a result.
        paths : GradientPaths or None
            The error's paths for this call, instead of those of ``gradient``.
        options : CallOptions or None
            What training needs of a call besides its results; see ``longlag.ops.engine``.

        Returns
        -------
        output in the form of the input, zero beyond each length, and the state (h_n, c_n) after each last real step.

        Raises
        ------
        ShapeError (a ValueError and a RuntimeError, as torch raises)
            When sizes, types or lengths do not fit.
        """
        if type(input) is not Tensor and is_symbol(input):
            arguments = {"hx": hx, "lengths": lengths, "paths": paths, "options": options}
            return leaf_call(self, input, arguments)  # type: ignore[no-any-return]
        form = self.to_time_major(input, lengths)
        states = layout.split_state(hx, form, sizes=self.sizes, dtype=self._parameter("weight_ih_l0").dtype)
        if paths is None:
            paths = PATHS[self._gradient]
        elif not isinstance(paths, GradientPaths):
            raise InputTypeError(f"paths is {paths!r}; expected GradientPaths, such as longlag.ops.paths.TRUNCATED")
        options = self._options(options)
        engine = self._engine(form.inputs, states, paths, options)
        if options.checkpoint_every:
            engine = with_checkpoints(engine, options.checkpoint_every)
        # Under autocast everything has its type by now: engines are spared a choice for each operation.
        spared = torch.autocast(form.inputs.device.type, enabled=False) if form.autocast else nullcontext()
        with spared:
            values, finals = run_stack(self.sizes, self._parameter, engine, form, states, paths, options, self.dropout)
        return layout.restore_format(values, form), layout.stack_state(finals, form, self.sizes)

    def step(
        self, x_t: Tensor, state: tuple[Tensor, ...] | None = None, *, inplace: bool = False
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run one step of a stream: ``forward`` over one step, without most of its overhead under ``torch.no_grad()``.

        Parameters
        ----------
        x_t : (B, I), or (I,) unbatched
        state : what the last step (or ``forward``) returned, or None for zeros before the first.
        inplace : bool
            Write the next state into ``state``'s own tensors, which saves most of what is left of the overhead. Needs
            ``torch.no_grad()`` and a state.

        Returns
        -------
        y_t (B, O) or (O,), and the state to hand to the next step. Under ``torch.no_grad()`` y_t may share its memory
        with the state: clone it before you change it in place.

        Raises
        ------
        InputError
            For a bidirectional layer, which reads a sequence from its end as well.
        ShapeError
            When sizes or types do not fit.
        """
        if (
            state is not None
            and type(x_t) is Tensor
            and (inplace is False or inplace is True)
            and not torch.is_grad_enabled()
            and not torch._C._are_functorch_transforms_active()
            and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling()
            and not (self.dropout and self.training)
            and not torch._C._len_torch_dispatch_stack()  # whoever follows operators is shown them
            and torch._C._get_tracing_state() is None
        ):
            if self._stepper is None:
                self._stepper = Stepper(self.sizes, self.backend)
            result = self._stepper.step(self._parameters, x_t, state, inplace)
            if result is not None:
                return result
        if self.bidirectional:
            raise InputError("step needs a layer that reads forward only; this one is bidirectional")
        check_tensor("x_t", x_t)
        true_or_false("inplace", inplace)
        if x_t.dim() not in (1, 2):
            raise ShapeError(f"x_t is {x_t.dim()}-D; expected (samples, features) or (features,)")
        if inplace and (state is None or torch.is_grad_enabled()):
            raise InputError("step(inplace=True) needs a state to write into, and torch.no_grad()")
        steps = 1 if self.batch_first and x_t.dim() == 2 else 0
        output, after = self.forward(x_t.unsqueeze(steps), state)
        if inplace and state is not None:
            for part, value in zip(state, after, strict=True):
                part.copy_(value)
            after = state
        return output.squeeze(steps), after

    @contextmanager
    def noting_outputs(self) -> Iterator[list[Tensor]]:
        """Record the outputs of the layers. Use ``options=CallOptions(recording=...)`` instead."""
        warnings.warn(
            "LSTM.noting_outputs() is now lstm(input, options=CallOptions(recording=Recording())) of "
            "longlag.ops.engine; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=3,
        )
        recording = Recording()

        def record(_: nn.Module, arguments: Any, keywords: dict[str, Any]) -> Any:
            options = keywords.get("options") or CallOptions()
            return arguments, {**keywords, "options": options._replace(recording=recording)}

        hook = self.register_forward_pre_hook(record, with_kwargs=True)
        try:
            yield recording.layers
        finally:
            hook.remove()

    def _options(self, options: CallOptions | None) -> CallOptions:
        """Return the options of a call, completed by the layer's own."""
        if options is None:
            if self.checkpoint_every is None:
                return _TRAINING if self.training else _EVALUATING
            options = CallOptions()
        elif not isinstance(options, CallOptions):
            raise InputTypeError(f"options is {options!r}; expected longlag.ops.engine.CallOptions")
        return options._replace(
            checkpoint_every=options.checkpoint_every or self.checkpoint_every or 0,
            training=self.training if options.training is None else options.training,
        )

    def _parameter(self, name: str) -> Tensor:
        parameter: Tensor | None = self._parameters.get(name)
        return getattr(self, name) if parameter is None else parameter  # a parametrised weight is an attribute

    def initial_state(self, samples: int) -> tuple[Tensor, ...]:
        """Return zeros for a batch of ``samples`` sequences, in the form ``forward`` takes as ``hx``.

        Raises
        ------
        InputError
            When ``samples`` is no whole number, or too large a one.
        """
        samples = whole_number("samples", samples, 0, MOST)
        like = self.weight_ih_l0
        return tuple(like.new_zeros((self.sizes.stack_size, samples, width)) for width in self.sizes.state_widths)
