from collections.abc import Sequence

def instruction_sets() -> list[str]: ...
def instruction_set() -> str: ...
def use(name: str) -> None: ...
def lanes(wide: bool) -> int: ...
def evaluate32(function: str, x: int, y: int, n: int) -> None: ...
def evaluate64(function: str, x: int, y: int, n: int) -> None: ...

class Layer:
    def __init__(
        self,
        cells_per_block: int,
        input_gate: bool,
        forget: int,
        output_gate: bool,
        peepholes: bool,
        gate_recurrence: bool,
        recurrence: bool,
        input_squash: int,
        output_squash: int,
        unit_squash: int,
        sharpness: float,
        conventional_units: int,
        inputs: int,
        hidden: int,
        projection: int,
        recurrent_paths: bool,
        peephole_paths: bool,
    ) -> None: ...
    def tape_size(self, wide: bool, lanes: str, steps: int, samples: int, every: int) -> int: ...
    def step32(
        self,
        samples: int,
        x: int,
        weights: Sequence[int],
        second_bias: int,
        start: Sequence[int],
        final: Sequence[int],
    ) -> None: ...
    step64 = step32
    def forward32(
        self,
        lanes: str,
        threads: int,
        steps: int,
        samples: int,
        every: int,
        lengths: int,
        inputs: Sequence[int],
        weights: Sequence[int],
        start: Sequence[int],
        outputs: int,
        final: Sequence[int],
        tape: int,
    ) -> None: ...
    forward64 = forward32
    def backward32(
        self,
        lanes: str,
        threads: int,
        steps: int,
        samples: int,
        every: int,
        lengths: int,
        inputs: Sequence[int],
        weights: Sequence[int],
        start: Sequence[int],
        outputs: int,
        tape: int,
        d_outputs: Sequence[int],
        d_final: Sequence[int],
        d_inputs: int,
        d_start: Sequence[int],
        d_weights: Sequence[int],
        each_its_own: bool,
    ) -> None: ...
    backward64 = backward32
    def tangent32(
        self,
        lanes: str,
        threads: int,
        steps: int,
        samples: int,
        every: int,
        lengths: int,
        inputs: Sequence[int],
        weights: Sequence[int],
        start: Sequence[int],
        outputs: int,
        tape: int,
        d_weights: Sequence[int],
        d_inputs: Sequence[int],
        d_start: Sequence[int],
        d_outputs: int,
        d_final: Sequence[int],
    ) -> None: ...
    tangent64 = tangent32

class Bank32:
    def __init__(
        self,
        layer: Layer,
        symbols: int,
        outputs: int,
        reads_inputs: bool,
        bias: bool,
        gate_bias_only: bool,
        output_bias: bool,
        squash: int,
        squared: bool,
        networks: int,
        side_by_side: bool,
    ) -> None: ...
    def elements(self) -> int: ...
    def put(self, network: int, numbers: Sequence[int], waiting: bool) -> None: ...
    def take(self, network: int, numbers: Sequence[int], waiting: bool) -> None: ...
    def keep(self) -> None: ...
    def take_kept(self, network: int, numbers: Sequence[int]) -> None: ...
    def read(
        self,
        streams: int,
        rates: int,
        every_step: bool,
        learns: bool,
        at_ends: bool,
        targets: bool,
        peeks: bool,
        threads: int,
    ) -> None: ...

class Bank64(Bank32): ...

class RecurrentBank32:
    def __init__(
        self,
        symbols: int,
        inputs: int,
        hidden: int,
        outputs: int,
        flat: bool,
        reads_inputs: bool,
        bias: bool,
        feedback: bool,
        method: int,
        chunker: bool,
        threshold: float,
        networks: int,
    ) -> None: ...
    def elements(self) -> int: ...
    def put(self, network: int, numbers: Sequence[int], waiting: bool) -> None: ...
    def take(self, network: int, numbers: Sequence[int], waiting: bool, kept: bool) -> None: ...
    def keep(self) -> None: ...
    def read(
        self,
        streams: int,
        rates: int,
        every_step: bool,
        learns: bool,
        at_ends: bool,
        targets: bool,
        peeks: bool,
        threads: int,
    ) -> None: ...

class RecurrentBank64(RecurrentBank32): ...
