"""Sixteen tables in the forms that people have them, written by those who write them or as they do."""

from __future__ import annotations

import csv
import datetime
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["PLAIN_TABLES", "PlainTable"]


@dataclass(frozen=True)
class PlainTable:
    """A file, and what is in it.

    name : of the file
    write : writes it; gives the values of each series by its name, NaN where one is missing
    target : the column to forecast, or the columns
    time : the column of times, or None
    first, last : the first and last time in ISO form, None where there is no time
    """

    name: str
    write: Callable[[Path], dict[str, NDArray[np.float64]]]
    target: str | tuple[str, ...]
    time: str | None
    first: str | None
    last: str | None


def wave(seed: int, steps: int, season: int = 12, level: float = 100.0) -> list[float]:
    """A trend with a season and noise, with two digits behind the point."""
    rng, step = np.random.default_rng(seed), np.arange(steps)
    values = level * (1 + step / 200 + 0.2 * np.sin(2 * np.pi * step / season) + 0.03 * rng.standard_normal(steps))
    return [round(float(value), 2) for value in values]


def lines(path: Path, rows: Sequence[str], encoding: str = "utf-8", end: str = "\n") -> None:
    path.write_bytes((end.join(rows) + end).encode(encoding))


def days(start: str, count: int, unit: str = "D") -> list[str]:
    """Dates one after the other, in ISO form."""
    return (np.datetime64(start, unit) + np.arange(count)).astype(str).tolist()


def one(values: Sequence[float], name: str = "") -> dict[str, NDArray[np.float64]]:
    return {name: np.array(values, dtype=np.float64)}


def airline_of_r(path: Path) -> dict[str, NDArray[np.float64]]:
    """What R writes of data.frame(time = time(AirPassengers), value = AirPassengers)."""
    values = [round(value) for value in wave(0, 144, level=250)]
    rows = [f'"{row}",{1949 + (row - 1) / 12:.15g},{value}' for row, value in enumerate(values, start=1)]
    lines(path, ['"","time","value"', *rows])
    return one(values)


def sales_of_a_german_excel(path: Path) -> dict[str, NDArray[np.float64]]:
    """CSV (semicolons, decimal commas, cp1252, CRLF), with points between thousands."""
    values = wave(1, 120, level=2000)
    written = [f"{value:,.2f}".translate(str.maketrans(",.", ".,")) for value in values]
    dates = pd.date_range("2010-01-31", periods=120, freq="ME").strftime("%d.%m.%Y")
    rows = [f"{date};{value}" for date, value in zip(dates, written, strict=True)]
    lines(path, ["Datum;Umsatz in €", *rows], "cp1252", "\r\n")
    return one(values)


def download_of_fred(path: Path) -> dict[str, NDArray[np.float64]]:
    """A rate on weekdays, with a point on holidays."""
    dates = pd.bdate_range("2012-01-02", periods=300).strftime("%Y-%m-%d")
    values = wave(2, 300, 5, 2.0)
    gone = {0, 10, 34, 103}
    cells = ["." if row in gone else f"{value:.2f}" for row, value in enumerate(values)]
    lines(path, ["observation_date,DGS10", *(f"{date},{cell}" for date, cell in zip(dates, cells, strict=True))])
    return one([np.nan if row in gone else value for row, value in enumerate(values)])


def prices_of_yahoo(path: Path) -> dict[str, NDArray[np.float64]]:
    """A table of prices, the last day first; what is to be forecast has to be asked for."""
    dates = pd.bdate_range("2012-01-02", periods=200).strftime("%b %d, %Y")
    values = wave(3, 200, 5, 50.0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"])
        for row in reversed(range(200)):
            value = values[row]
            writer.writerow([dates[row], value, value + 1, value - 1, value, value, f"{1_000_000 + row:,}"])
    return one(values)


def log_of_a_sensor(path: Path) -> dict[str, NDArray[np.float64]]:
    """Milliseconds since 1970, every ten minutes."""
    start = int(np.datetime64("2012-03-24T00:00", "ms").astype(int))
    values = wave(4, 500, 144, 20.0)
    rows = [f"{start + 600_000 * row}\t{value}" for row, value in enumerate(values)]
    lines(path, ["timestamp\ttemperature", *rows])
    return one(values)


def unicode_text_of_excel(path: Path) -> dict[str, NDArray[np.float64]]:
    """Tabs in UTF-16, with a title."""
    values = wave(5, 96)
    months = pd.date_range("2006-01-01", periods=96, freq="MS").strftime("%b %Y")
    rows = [f"{month}\t{value}" for month, value in zip(months, values, strict=True)]
    lines(path, ["Übernachtungen, gesamt", "", "Month\tNights", *rows], "utf-16", "\r\n")
    return one(values)


def events_as_json_lines(path: Path) -> dict[str, NDArray[np.float64]]:
    """An object in each line, compressed, in the hours of a zone that changes its clocks."""
    moments = pd.date_range("2012-03-24", periods=240, freq="h", tz="Europe/Berlin")
    values = wave(6, 240, 24)
    rows = [json.dumps({"time": str(moment), "requests": value}) for moment, value in zip(moments, values, strict=True)]
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    return one(values)


def workbook(path: Path) -> dict[str, NDArray[np.float64]]:
    """A sheet with a title and dates, beside an empty one."""
    values = wave(7, 60)
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Data")
    for row in [["Orders by month"], [], ["Month", "Orders"]]:
        sheet.append(row)
    for row, value in enumerate(values):
        sheet.append([datetime.date(2010 + row // 12, 1 + row % 12, 1), value])
    book.save(path)
    return one(values)


def index_in_parquet(path: Path) -> dict[str, NDArray[np.float64]]:
    """A pandas series with an index of days."""
    values = wave(8, 400, 7)
    index = pd.date_range("2011-01-01", periods=400, freq="D", name="day")
    pd.Series(values, index=index, name="load").to_frame().to_parquet(path)
    return one(values)


def panel_in_feather(path: Path) -> dict[str, NDArray[np.float64]]:
    """A long panel with the names that the Nixtla packages have, its series of different lengths."""
    series = {f"s{number}": wave(9 + number, 60 + 6 * number) for number in range(4)}
    frame = pd.concat(
        pd.DataFrame({"unique_id": name, "ds": pd.date_range("2015-01-31", periods=len(y), freq="ME"), "y": y})
        for name, y in series.items()
    )
    frame.sample(frac=1, random_state=0).reset_index(drop=True).to_feather(path)
    return {name: np.array(values) for name, values in series.items()}


def wide_by_quarters(path: Path) -> dict[str, NDArray[np.float64]]:
    """A column for each of several series, as Eurostat names quarters."""
    quarters = [f"{2000 + row // 4}-Q{1 + row % 4}" for row in range(80)]
    frame = pd.DataFrame({"quarter": quarters, "north": wave(20, 80, 4), "south": wave(21, 80, 4)})
    frame.to_csv(path, index=False, sep="\t")
    return {name: frame[name].to_numpy() for name in ("north", "south")}


def blanks_of_an_institute(path: Path) -> dict[str, NDArray[np.float64]]:
    """Columns held apart by blanks, the year and month in two of them, under comments."""
    values = wave(22, 120, level=320)
    rows = [f"{1958 + row // 12:6d}{1 + row % 12:4d}{value:10.2f}" for row, value in enumerate(values)]
    lines(path, ["# mole fractions in dry air, in ppm", "# from an observatory", "  year month     value", *rows])
    return one(values)


def american_dates(path: Path) -> dict[str, NDArray[np.float64]]:
    """Month, day and a short year, as American spreadsheets save them, with an index of pandas."""
    dates = pd.date_range("2012-01-01", periods=200, freq="D")
    values = [round(value) for value in wave(23, 200, 7, 1500)]
    cells = [f"{date.month}/{date.day}/{date:%y}" for date in dates]
    pd.DataFrame({"date": cells, "visits": [f"{value:,}" for value in values]}).to_csv(path)
    return one(values)


def one_column(path: Path) -> dict[str, NDArray[np.float64]]:
    """Numbers under a name, and nothing else."""
    values = wave(24, 150)
    lines(path, ["lynx", *map(str, values)])
    return one(values)


def years(path: Path) -> dict[str, NDArray[np.float64]]:
    """A number for each year, in bars."""
    values = wave(25, 114)
    lines(path, ["year|trappings", *(f"{1821 + row}|{value}" for row, value in enumerate(values))])
    return one(values)


def days_as_numbers(path: Path) -> dict[str, NDArray[np.float64]]:
    """20120131, compressed by zstd."""
    values = wave(26, 365, 7)
    rows = [f"{day.replace('-', '')},{value}" for day, value in zip(days("2012-01-01", 365), values, strict=True)]
    path.write_bytes(pa.compress("\n".join(["day,rain", *rows]).encode(), codec="zstd", asbytes=True))
    return one(values)


PLAIN_TABLES: tuple[PlainTable, ...] = (
    PlainTable("airline.csv", airline_of_r, "value", "time", "1949-01", "1960-12"),
    PlainTable("umsatz.csv", sales_of_a_german_excel, "Umsatz in €", "Datum", "2010-01-31", "2019-12-31"),
    PlainTable("DGS10.csv", download_of_fred, "DGS10", "observation_date", "2012-01-02", "2013-02-22"),
    PlainTable("prices.csv", prices_of_yahoo, "Close", "Date", "2012-01-02", "2012-10-05"),
    PlainTable("sensor.tsv", log_of_a_sensor, "temperature", "timestamp", "2012-03-24", "2012-03-27T11:10"),
    PlainTable("nights.txt", unicode_text_of_excel, "Nights", "Month", "2006-01", "2013-12"),
    PlainTable("requests.jsonl.gz", events_as_json_lines, "requests", "time", "2012-03-23T23", "2012-04-02T22"),
    PlainTable("orders.xlsx", workbook, "Orders", "Month", "2010-01", "2014-12"),
    PlainTable("load.parquet", index_in_parquet, "load", "day", "2011-01-01", "2012-02-04"),
    PlainTable("panel.feather", panel_in_feather, "y", "ds", "2015-01-31", "2021-06-30"),
    PlainTable("regions.tsv", wide_by_quarters, ("north", "south"), "quarter", "2000-01", "2019-10"),
    PlainTable("co2.dat", blanks_of_an_institute, "value", "year+month", "1958-01", "1967-12"),
    PlainTable("visits.csv", american_dates, "visits", "date", "2012-01-01", "2012-07-18"),
    PlainTable("lynx.csv", one_column, "lynx", None, None, None),
    PlainTable("trappings.csv", years, "trappings", "year", "1821", "1934"),
    PlainTable("rain.csv.zst", days_as_numbers, "rain", "day", "2012-01-01", "2012-12-30"),
)
