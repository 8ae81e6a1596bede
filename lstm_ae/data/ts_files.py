"""The `.ts` files of the UCR and UEA archive, as aeon and sktime write them.

Lines with `@` say what is there, each line after `@data` is a sequence: its dimensions between colons, the values of
each between commas (`?` or NaN: missing), and the label last.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lstm_ae.errors import UserError


@dataclass
class Header:
    """What the lines with `@` say."""

    dimensions: int | None = None
    classes: tuple[str, ...] = ()  # empty: no labels
    target: bool = False  # whether a number to predict stands in the label's place


def read_ts(file: Path) -> tuple[list[np.ndarray], np.ndarray | None]:
    """The sequences of a `.ts` file, (length, features) each, and their labels as text; None without any.

    Raises:
        UserError: a mistake in the file, with its line; a file cut short is one.
    """
    sequences: list[np.ndarray] = []
    labels: list[str] = []
    header = Header()
    for number, line in _lines(file, header):
        place = f"{file}, line {number}"
        *fields, last = line.split(":")
        if header.classes or header.target:
            labels.append(last.strip())
        else:
            fields.append(last)
        header.dimensions = header.dimensions or len(fields)
        if header.classes and labels[-1] not in header.classes:
            raise UserError(f"{place}: ends in {shortened(labels[-1])}, which is none of the classes {_few(header)}; "
                            "the file may be cut short")  # fmt: skip
        if len(fields) != header.dimensions:
            raise UserError(f"{place}: {len(fields)} dimensions, and there should be {header.dimensions}; the file may "
                            "be cut short")  # fmt: skip
        dimensions = [_numbers(field, place) for field in fields]
        sizes = {len(values) for values in dimensions}
        if len(sizes) > 1:
            raise UserError(f"{place}: dimensions of {' and '.join(map(str, sorted(sizes)))} steps; all dimensions of "
                            "a sequence need the same")  # fmt: skip
        sequences.append(np.stack(dimensions, axis=1))
    if not sequences:
        raise UserError(f"{file}: no sequences after @data; the file may be cut short")
    return sequences, np.array(labels) if header.classes else None


def _lines(file: Path, header: Header) -> Iterator[tuple[int, str]]:
    """The lines of data with their numbers; what stands before them goes into `header`."""
    data = False
    with file.open(encoding="utf-8", errors="replace") as opened:  # comments may be in any encoding; data are ASCII
        for number, line in enumerate(map(str.strip, opened), start=1):
            if not line or line.startswith(("#", "%")):
                continue
            if data:
                yield number, line
            elif line.lower() == "@data":
                data = True
            elif line.startswith("@"):
                _read_header(line, header, f"{file}, line {number}")
            else:
                raise UserError(f"{file}, line {number}: {shortened(line)} before @data; is this a .ts file?")
    if not data:
        raise UserError(f"{file}: there is no line @data; the file is cut short, or no .ts file")


def _read_header(line: str, header: Header, place: str) -> None:
    key, *words = line.split()
    if key.lower() == "@timestamps" and words[:1] == ["true"]:
        raise UserError(
            f"{place}: values with time stamps of their own are not read from .ts files. Write them as a CSV file with "
            "a column for the sequence, one for the time and one for each dimension, and read that with dataset=table "
            "dataset.series=... dataset.time=... dataset.window=null"
        )  # fmt: skip
    if key.lower() == "@dimensions" and words and words[0].isdecimal():
        header.dimensions = int(words[0])
    if key.lower() == "@classlabel" and words[:1] == ["true"]:
        header.classes = tuple(words[1:])
    if key.lower() == "@targetlabel" and words[:1] == ["true"]:
        header.target = True


def _numbers(field: str, place: str) -> np.ndarray:
    """The values between commas, NaN for what is missing."""
    words = field.replace("?", "nan").split(",")
    try:
        return np.array(words, dtype=np.float64)
    except ValueError:
        for position, word in enumerate(words, start=1):
            try:
                float(word)
            except ValueError:
                raise UserError(f"{place}, value {position}: {shortened(word)} is no number") from None
        raise


def _few(header: Header) -> str:
    return ", ".join(header.classes[:10]) + (", ..." if len(header.classes) > 10 else "")


def shortened(text: str) -> str:
    """A text in quotes, cut where it is long."""
    return repr(text if len(text) <= 30 else text[:27] + "...")
