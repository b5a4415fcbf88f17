"""CPU kernels of the laboratory's competitors."""

from collections.abc import Mapping

def instruction_sets() -> list[str]:
    """
    Those of 'baseline', 'avx2' and 'avx512' that this build has and this CPU offers, narrowest first.
    """

def instruction_set() -> str:
    """The one in use."""

def use(name: str) -> None:
    """Use another one than the widest, for tests and measurements."""

class RecurrentBank32:
    """Plain recurrent nets or chunkers, side by side in vectors."""

    def __init__(
        self,
        *,
        input_size: int,
        hidden_size: int,
        output_size: int,
        symbols: bool,
        flat: bool,
        reads_inputs: bool,
        bias: bool,
        feedback: bool,
        method: str,
        chunker: bool,
        threshold: float,
        networks: int,
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

class RecurrentBank64:
    """Plain recurrent nets or chunkers, side by side in vectors."""

    def __init__(
        self,
        *,
        input_size: int,
        hidden_size: int,
        output_size: int,
        symbols: bool,
        flat: bool,
        reads_inputs: bool,
        bias: bool,
        feedback: bool,
        method: str,
        chunker: bool,
        threshold: float,
        networks: int,
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
