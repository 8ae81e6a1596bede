"""Tables written a part at a time to CSV, Parquet or NumPy files, which appear once they are complete."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lstm_ae.errors import ConfigError, UserError
from lstm_ae.files import replacing

Append = Callable[[pd.DataFrame], None]
SUFFIXES = (".csv", ".parquet", ".npz")
MAX_HEADER = 1_000_000  # characters of a line that names columns


def check_suffix(path: Path) -> None:
    """Refuse a file that is none of the kinds written here, or cannot be written on this machine.

    Raises:
        ConfigError: `output` has another suffix.
        UserError: Parquet without pyarrow.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError("output", path, f"must end in {', '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise UserError(
                f"{path}: Parquet needs pyarrow: pip install 'lstm-ae[parquet]'; or write {path.stem}.csv"
            ) from error


def column_names(path: Path) -> list[str]:
    """The columns of a table that stands at `path`, or the arrays of an `.npz` file; none if it is no such file."""
    try:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8") as file:
                return file.readline(MAX_HEADER).rstrip("\n").split(",")
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                return [name.removesuffix(".npy") for name in archive.namelist()]
        from pyarrow.parquet import read_schema

        return list(read_schema(path).names)
    except (OSError, ValueError, zipfile.BadZipFile, ImportError):  # pyarrow's errors are ValueErrors
        return []


@contextmanager
def writing(path: Path) -> Iterator[Append]:
    """Write a table: `with writing(path) as append: append(part)`, each part with the same columns.

    CSV and Parquet files are written as parts come. An `.npz` file gets an array for each column, and for columns whose
    names differ in a number at the end (`context_0`, `context_1`) one array (rows, columns); its parts wait in memory.

    Raises:
        UserError: Parquet without pyarrow.
    """
    check_suffix(path)
    with replacing(path) as temporary:
        if path.suffix == ".parquet":
            with _parquet(temporary) as append:
                yield append
        elif path.suffix == ".csv":
            with temporary.open("w", encoding="utf-8", newline="") as file:
                yield lambda part: part.to_csv(file, index=False, header=file.tell() == 0, lineterminator="\n")
        else:
            parts: list[pd.DataFrame] = []
            yield parts.append
            np.savez(temporary, allow_pickle=False, **arrays_of(pd.concat(parts, ignore_index=True)))


@contextmanager
def _parquet(path: Path) -> Iterator[Append]:
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    writer: Any = None

    def append(part: pd.DataFrame) -> None:
        nonlocal writer
        table = pyarrow.Table.from_pandas(part, preserve_index=False)
        if writer is None:
            writer = ParquetWriter(path, table.schema)
        writer.write_table(table.cast(writer.schema))

    try:
        yield append
    finally:
        if writer is not None:
            writer.close()


def arrays_of(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """The columns of a table as arrays, numbered ones together: `context_0`, `context_1` -> `context` (rows, 2)."""
    groups: dict[str, list[str]] = {}
    for name in map(str, table.columns):
        stem, _, number = name.rpartition("_")
        groups.setdefault(stem if stem and number.isdecimal() else name, []).append(name)
    found = {}
    for name, columns in groups.items():
        values = table[columns].to_numpy() if len(columns) > 1 or columns != [name] else table[name].to_numpy()
        found[name] = values.astype(str) if values.dtype == object else values
    return found
