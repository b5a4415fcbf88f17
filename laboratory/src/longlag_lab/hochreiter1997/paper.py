"""The values that the 1997 paper prints: every row of Tables 1-9, and what sections 5 and 6.1 say in words."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from longlag.errors import InputError

__all__ = ["LAGS", "LIMITS_TABLE", "ROWS", "Row", "chosen"]

LIMITS_TABLE = 0  # section 6.1 has none
NEVER = 1_000_000  # the cap of a method that never succeeds in the paper


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a table.

    Parameters
    ----------
    table : int
    name : str
        The name in Table 10, with a number behind it if the table has several.
    learner, title : str
    weights : int
        The number of weights as printed; for competitors of Table 1 it is the paper's estimate.
    trials : int
        How many trials the paper's means are over.
    after : int, optional
        Sequences until success; None: there was none.
    solved : float, optional
        The share of successful trials; None: the paper says no more than "some".
    also : tuple of (str, int)
        Further counts, each with the name of its rule.
    wrong : float, optional
        The share of wrong sequences in the test.
    most : int, optional
        The cap, if it is not three times the paper's count.
    """

    table: int
    name: str
    learner: str
    title: str
    weights: int
    trials: int
    after: int | None
    solved: float | None
    also: tuple[tuple[str, int], ...] = ()
    wrong: float | None = None
    most: int | None = None

    @property
    def cap(self) -> int:
        """The number of sequences (or guesses) that a trial may take, unless another cap is asked for."""
        if self.most is not None:
            return self.most
        return NEVER if self.after is None or self.solved == 0.0 else 3 * self.after


def _lstm(
    table: int, name: str, title: str, weights: int, trials: int, after: int, solved: float = 1.0, **more: float
) -> Row:
    st1 = more.get("ST1")
    return Row(
        table=table,
        name=name,
        learner="LSTM",
        title=title,
        weights=weights,
        trials=trials,
        after=after,
        solved=solved,
        also=() if st1 is None else (("ST1", int(st1)),),
        wrong=more.get("wrong"),
    )


def _other(
    table: int, name: str, learner: str, title: str, weights: int, after: int | None, solved: float | None
) -> Row:
    trials = 30 if table == 1 else 18
    return Row(
        table=table, name=name, learner=learner, title=title, weights=weights, trials=trials, after=after, solved=solved
    )


def _guess(table: int, name: str, title: str, cap: int) -> Row:
    """Return a row of random weight guessing, of which the paper says that it beats all on 3a, without a number."""
    return Row(
        table=table, name=name, learner="guess", title=title, weights=8, trials=10, after=None, solved=None, most=cap
    )


def _limit(name: str, learner: str, title: str, weights: int, cap: int) -> Row:
    """Return a row of section 6.1, which gives no numbers."""
    return Row(
        table=LIMITS_TABLE,
        name=name,
        learner=learner,
        title=title,
        weights=weights,
        trials=10,
        after=None,
        solved=None,
        most=cap,
    )


LAGS = (
    (50, 50, 364, 30_000),
    (100, 100, 664, 31_000),
    (200, 200, 1264, 33_000),
    (500, 500, 3064, 38_000),
    (1000, 1000, 6064, 49_000),
    (1000, 500, 3064, 49_000),
    (1000, 200, 1264, 75_000),
    (1000, 100, 664, 135_000),
    (1000, 50, 364, 203_000),
)
"""Table 3: q, p, weights, sequences."""

ROWS: tuple[Row, ...] = (
    _other(1, "1-rtrl-3", "RTRL", "3 hidden units", 170, 173_000, None),
    _other(1, "1-rtrl-12", "RTRL", "12 hidden units", 494, 25_000, None),
    _other(1, "1-elm", "ELM", "15 hidden units", 435, None, 0.0),
    _other(1, "1-rcc", "RCC", "7-9 hidden units", 119, 182_000, 0.5),
    _lstm(1, "1-1", "4 blocks of 1, rate 0.1", 264, 30, 39_740),
    _lstm(1, "1-2", "3 blocks of 2, rate 0.1", 276, 30, 21_730),
    _lstm(1, "1-3", "3 blocks of 2, rate 0.2", 276, 30, 14_060, 0.97),
    _lstm(1, "1-4", "4 blocks of 1, rate 0.5", 264, 30, 9_500, 0.97),
    _lstm(1, "1-5", "3 blocks of 2, rate 0.5", 276, 30, 8_440),
    _other(2, "2a-rtrl-4-1", "RTRL", "delay 4, rate 1", 36, 1_043_000, 0.78),
    _other(2, "2a-rtrl-4-4", "RTRL", "delay 4, rate 4", 36, 892_000, 0.56),
    _other(2, "2a-rtrl-4-10", "RTRL", "delay 4, rate 10", 36, 254_000, 0.22),
    _other(2, "2a-rtrl-10", "RTRL", "delay 10, rates 1-10", 144, None, 0.0),
    _other(2, "2a-rtrl-100", "RTRL", "delay 100, rates 1-10", 10_404, None, 0.0),
    _other(2, "2a-bptt-100", "BPTT", "delay 100, rates 1-10", 10_404, None, 0.0),
    _other(2, "2a-ch", "CH", "delay 100, rate 1", 10_506, 32_400, 0.33),
    _lstm(2, "2a", "delay 100, rate 1", 10_504, 18, 5_040),
    _other(2, "2b-ch", "CH", "2b: delay 100, rate 1", 10_506, None, 0.0),
    _lstm(2, "2b", "2b: delay 100, rate 1", 10_504, 18, 5_680),
    *(_lstm(3, f"2c-{n}", f"q = {q}, p = {p}", weights, 20, after) for n, (q, p, weights, after) in enumerate(LAGS, 1)),
    _guess(4, "3a-guess", "T = 100, N = 3, 1 unit", 20_000),
    _lstm(4, "3a-1", "T = 100, N = 3", 102, 10, 39_850, ST1=27_380, wrong=0.000195),
    _lstm(4, "3a-2", "T = 100, N = 1", 102, 10, 64_330, ST1=58_370, wrong=0.000117),
    _lstm(4, "3a-3", "T = 1000, N = 3", 102, 10, 452_460, ST1=446_850, wrong=0.000078),
    _guess(5, "3b-guess", "T = 100, N = 3, 1 unit", 5_000),
    _lstm(5, "3b-1", "T = 100, N = 3", 102, 10, 43_250, ST1=41_740, wrong=0.00828),
    _lstm(5, "3b-2", "T = 100, N = 1", 102, 10, 78_430, ST1=74_950, wrong=0.015),
    _lstm(5, "3b-3", "T = 1000, N = 1", 102, 10, 485_080, ST1=481_060, wrong=0.01207),
    _lstm(6, "3c-1", "T = 100, N = 3", 102, 10, 269_650, wrong=0.00558),
    _lstm(6, "3c-2", "T = 100, N = 1", 102, 10, 565_640, wrong=0.00441),
    _lstm(7, "4-1", "T = 100", 93, 10, 74_000, wrong=1 / 2560),
    _lstm(7, "4-2", "T = 500", 93, 10, 209_000, wrong=0.0),
    _lstm(7, "4-3", "T = 1000", 93, 10, 853_000, wrong=1 / 2560),
    _lstm(8, "5-1", "T = 100, nseq = 140", 93, 10, 482_000, wrong=139 / 2560),
    _lstm(8, "5-2", "T = 100, nseq = 13", 93, 10, 1_273_000, wrong=14 / 2560),
    _lstm(9, "6a", "two symbols", 156, 20, 31_390, wrong=1 / 2560),
    _lstm(9, "6b", "three symbols", 308, 10, 571_100, wrong=2 / 2560),
    _limit("xor-truncated", "LSTM", "delayed XOR, T = 30, truncated", 361, 100_000),
    _limit("xor-full", "LSTM", "delayed XOR, T = 30, full gradient", 361, 100_000),
    _limit("parity-guess", "guess", "500-step parity", 8, 50_000),
    _limit("parity-lstm", "LSTM", "500-step parity", 103, 50_000),
    _limit("count-3-11", "LSTM", "signal 3 or 11 steps ago", 121, 100_000),
    _limit("count-99-100", "LSTM", "signal 99 or 100 steps ago", 121, 100_000),
)


def chosen(tables: Collection[int], names: list[str] | None) -> list[Row]:
    """Return the rows of some tables that ``names`` mean; None: all.

    A name means the row that has it. If no row has it, it means all rows whose name begins with it and a dash: "3a"
    means 3a-1 and so on. Raises InputError for a name that means no row.
    """
    rows = [row for row in ROWS if row.table in tables]
    if names is None:
        return rows
    for name in names:
        if not any(_named(row, name) for row in rows):
            known = ", ".join(row.name for row in rows)
            raise InputError(f"row {name!r} is not among those asked for; expected some of {known}")
    return [row for row in rows if any(_named(row, name) for name in names)]


def _named(row: Row, name: str) -> bool:
    exact = any(other.name == name for other in ROWS)
    return row.name == name if exact else row.name.startswith(f"{name}-")
