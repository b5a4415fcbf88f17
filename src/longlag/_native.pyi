"""CPU kernels of longlag."""

from collections.abc import Mapping, Sequence

def instruction_sets() -> list[str]:
    """
    Those of 'baseline', 'avx2' and 'avx512' that this build has and this CPU offers, narrowest first.
    """

def instruction_set() -> str:
    """The one in use."""

def use(name: str) -> None:
    """Use another one than the widest, for tests and measurements."""

def lanes(wide: bool) -> int:
    """Elements of a vector: float64 if True, float32 if False."""

def evaluate32(function: str, x: int, y: int, n: int) -> None:
    """
    y = function(x) for n float32 at two addresses, as the kernels compute it.
    """

def evaluate64(function: str, x: int, y: int, n: int) -> None:
    """The same in float64."""

class Cell:
    """The kernels' part of a CellSpec."""

    def __init__(
        self,
        *,
        cells_per_block: int,
        input_gate: bool,
        forget_gate: bool,
        output_gate: bool,
        coupled_gates: bool,
        peepholes: bool,
        gate_recurrence: bool,
        input_squash: str,
        output_squash: str,
        sharpness: float,
        recurrence: bool,
        conventional_units: int,
        unit_squash: str,
    ) -> None: ...

class BatchCall:
    """
    What every pass needs. Tensors are addresses, 0 for none; `inputs` has its three strides.
    """

    def __init__(
        self,
        *,
        lanes: str,
        threads: int,
        steps: int,
        samples: int,
        checkpoint_every: int,
        lengths: int,
        inputs: Sequence[int],
        weights: Sequence[int],
        initial_state: Sequence[int],
        outputs: int,
        tape: int,
    ) -> None: ...

class Layer:
    """The kernels for one layer in one direction."""

    def __init__(
        self,
        *,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        projection_size: int,
        recurrent_paths: bool,
        peephole_paths: bool,
    ) -> None: ...
    def tape_size(self, *, wide: bool, lanes: str, steps: int, samples: int, checkpoint_every: int) -> int:
        """Elements of the tape that `forward` writes and `backward` reads."""

    def step32(
        self,
        samples: int,
        x: int,
        weights: Sequence[int],
        second_bias: int,
        initial_state: Sequence[int],
        final_state: Sequence[int],
    ) -> None:
        """
        One step without a tape: rows of x and of the states, contiguous, sample after sample.
        """

    def forward32(self, call: BatchCall, *, final_state: Sequence[int]) -> None:
        """Writes outputs, final state and tape."""

    def backward32(
        self,
        call: BatchCall,
        *,
        d_outputs: Sequence[int],
        d_final_state: Sequence[int],
        d_inputs: int,
        d_initial_state: Sequence[int],
        d_weights: Sequence[int],
        per_sample: bool,
    ) -> None:
        """
        Writes the gradients by inputs, initial state and weights; with `per_sample` those by weights are (B, ...).
        """

    def tangent32(
        self,
        call: BatchCall,
        *,
        inputs: Sequence[int],
        initial_state: Sequence[int],
        weights: Sequence[int],
        outputs: int,
        final_state: Sequence[int],
    ) -> None:
        """
        Writes the directional derivatives of outputs and final state, for those of inputs, initial state and weights.
        """

    def step64(
        self,
        samples: int,
        x: int,
        weights: Sequence[int],
        second_bias: int,
        initial_state: Sequence[int],
        final_state: Sequence[int],
    ) -> None:
        """
        One step without a tape: rows of x and of the states, contiguous, sample after sample.
        """

    def forward64(self, call: BatchCall, *, final_state: Sequence[int]) -> None:
        """Writes outputs, final state and tape."""

    def backward64(
        self,
        call: BatchCall,
        *,
        d_outputs: Sequence[int],
        d_final_state: Sequence[int],
        d_inputs: int,
        d_initial_state: Sequence[int],
        d_weights: Sequence[int],
        per_sample: bool,
    ) -> None:
        """
        Writes the gradients by inputs, initial state and weights; with `per_sample` those by weights are (B, ...).
        """

    def tangent64(
        self,
        call: BatchCall,
        *,
        inputs: Sequence[int],
        initial_state: Sequence[int],
        weights: Sequence[int],
        outputs: int,
        final_state: Sequence[int],
    ) -> None:
        """
        Writes the directional derivatives of outputs and final state, for those of inputs, initial state and weights.
        """

def stream_fields() -> list[str]:
    """The columns of a bank's table of streams, in order."""

class Bank32:
    """Networks of memory-cell blocks, side by side in vectors or one by one."""

    def __init__(
        self,
        *,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        output_size: int,
        symbols: bool,
        reads_inputs: bool,
        bias: bool,
        gate_bias_only: bool,
        output_bias: bool,
        output_activation: str,
        squared: bool,
        networks: int,
        side_by_side: bool,
    ) -> None: ...
    def elements(self) -> int:
        """Numbers in memory, idle lanes included."""

    def load(self, network: int | None, arrays: Mapping[str, int], *, pending: bool) -> None:
        """Copies arrays by name into one network, or with None into all."""

    def dump(self, network: int, arrays: Mapping[str, int], *, pending: bool, from_snapshot: bool) -> None:
        """Copies a network's numbers into arrays by name."""

    def snapshot(self) -> None:
        """Copies all numbers as they are now, for dump(from_snapshot=True)."""

    def read(
        self,
        *,
        streams: int,
        learning_rates: int,
        every_step: bool,
        learn: bool,
        update_at_ends: bool,
        targets: bool,
        restore_state: bool,
        threads: int,
    ) -> None:
        """
        Every network reads its stream: a row of stream_fields() and a learning rate each.
        """

class Bank64:
    """Networks of memory-cell blocks, side by side in vectors or one by one."""

    def __init__(
        self,
        *,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        output_size: int,
        symbols: bool,
        reads_inputs: bool,
        bias: bool,
        gate_bias_only: bool,
        output_bias: bool,
        output_activation: str,
        squared: bool,
        networks: int,
        side_by_side: bool,
    ) -> None: ...
    def elements(self) -> int:
        """Numbers in memory, idle lanes included."""

    def load(self, network: int | None, arrays: Mapping[str, int], *, pending: bool) -> None:
        """Copies arrays by name into one network, or with None into all."""

    def dump(self, network: int, arrays: Mapping[str, int], *, pending: bool, from_snapshot: bool) -> None:
        """Copies a network's numbers into arrays by name."""

    def snapshot(self) -> None:
        """Copies all numbers as they are now, for dump(from_snapshot=True)."""

    def read(
        self,
        *,
        streams: int,
        learning_rates: int,
        every_step: bool,
        learn: bool,
        update_at_ends: bool,
        targets: bool,
        restore_state: bool,
        threads: int,
    ) -> None:
        """
        Every network reads its stream: a row of stream_fields() and a learning rate each.
        """
