"""Files of whole sequences: NumPy's `.npy` and `.npz`, and the `.ts` files of the UCR and UEA archive."""

import zipfile
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from lstm_ae.data.ts_files import read_ts
from lstm_ae.errors import UserError

Arrays = np.ndarray | list[np.ndarray]  # (n, length, features), or a (length, features) for each sequence

LABELS, LENGTHS = ("labels", "y"), "lengths"
SUFFIXES = (".npy", ".npz", ".ts")
NPZ = (
    "An .npz file for sequences holds one array (n, length, features) or (n, length), any name; or an array for each "
    "sequence, (length, features) or (length,); or the steps of all sequences one after another, (steps, features), "
    "and `lengths`. Labels are called `labels` or `y`."
)


def read_arrays(path: str | Path) -> tuple[Arrays, np.ndarray | None]:
    """The sequences in a file, in original units, and their labels where the file has some.

    Nothing in a file is run: arrays of Python objects (pickles) are refused.

    Args:
        path: an `.npy` file (n, length, features) or (n, length); an `.npz` file with one such array, or with an array
            for each sequence, or with the steps of all of them one after another and `lengths` (n,); a `.ts` file.

    Returns:
        one array (n, length, features) where the file has one, else a list with a (length, features) for each sequence;
        float64, NaN where a value is missing. The labels, (n,), numbers or text.

    Raises:
        UserError: the file is missing, cut short, or not as above; says where and what would be.
    """
    file = _existing(path)
    if file.suffix == ".ts":
        arrays, labels = read_ts(file)
        return _checked(arrays, file), labels
    if file.suffix == ".npz":
        return _read_npz(file)
    return _checked(_load_array(file), file), None


def read_parts(path: str | Path, size: int) -> Iterator[tuple[Arrays, np.ndarray | None]]:
    """What `read_arrays` reads, `size` sequences at a time.

    Of an `.npy` file no more than a part is in memory; `.npz` and `.ts` files are read whole.

    Raises:
        UserError: as `read_arrays`; of an `.npy` file, an infinite value only when its part is read.
    """
    file = _existing(path)
    if file.suffix != ".npy":
        arrays, labels = read_arrays(path)
        for start in range(0, len(arrays), size):
            yield arrays[start : start + size], None if labels is None else labels[start : start + size]
        return
    count = len(_sequences(_load_array(file, mapped=True), file))
    for start in range(0, max(count, 1), size):
        # Mapped anew for each part: pages that were read before would go on counting as this process's memory.
        mapped = _load_array(file, mapped=True)
        yield _checked(mapped[start : start + size], file, start), None


def _existing(path: str | Path) -> Path:
    """The file, whose name says that it may hold sequences.

    Raises:
        UserError: there is none, it is empty, or it is another kind of file.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        folder = file.parent.iterdir() if file.parent.is_dir() else ()
        near = get_close_matches(file.name, [one.name for one in folder], n=1)
        raise UserError(f"{path}: there is no such file" + (f"; did you mean {near[0]}?" if near else ""))
    if file.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty")
    if file.suffix not in SUFFIXES:
        raise UserError(
            f"{path}: sequences are read from .npy, .npz and .ts files; CSV and Parquet are for dataset=table"
        )
    return file


def read_labels(path: str | Path) -> np.ndarray:
    """The labels (n,) in an `.npy` file of their own.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    file = Path(path).expanduser()
    if file.suffix != ".npy" or not file.is_file():
        raise UserError(f"{path}: labels are read from an .npy file with one label for each sequence, and this is none")
    labels = _load_array(file)
    if labels.ndim != 1:
        raise UserError(f"{path}: labels have the shape (n,), one for each sequence, and these have {labels.shape}")
    return labels


def _load_array(file: Path, mapped: bool = False) -> np.ndarray:
    """The array of an `.npy` file, in memory or `mapped` to it.

    Raises:
        UserError: it cannot be read, or is an `.npz` file by another name.
    """
    arrays = _load(file, mapped)
    if list(arrays) != [""]:
        raise UserError(f"{file}: holds the arrays {', '.join(list(arrays)[:6])}, as .npz files do; rename it to .npz")
    return arrays[""]


def _load(file: Path, mapped: bool = False) -> dict[str, np.ndarray]:
    """The arrays of a NumPy file by their names; that of an `.npy` file is called ""."""
    try:
        # "c": what is written to the array stays in memory. torch warns of arrays that cannot be written to.
        loaded = np.load(file, mmap_mode="c" if mapped else None, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if any(word in str(error) for word in ("allow_pickle", "pickled", "Python objects")):
            raise UserError(
                f"{file}: holds Python objects (a pickle), as NumPy saves sequences of unequal length in one array. "
                "Pickles are code and are never loaded. Save the sequences as an .npz file with an array for each: "
                f'np.savez("{file.stem}.npz", *sequences, labels=labels)'
            ) from error
        raise UserError(f"{file}: not a readable NumPy file, or cut short ({str(error).splitlines()[0]})") from error


def _read_npz(file: Path) -> tuple[Arrays, np.ndarray | None]:
    arrays = _load(file)
    labels = next((arrays.pop(name) for name in LABELS if name in arrays), None)
    lengths = arrays.pop(LENGTHS, None)
    if not arrays:
        raise UserError(f"{file}: holds no sequences. {NPZ}")
    if lengths is not None:
        return _checked(_divide(arrays, lengths, file), file), labels
    if len(arrays) == 1:
        (only,) = arrays.values()
        return _checked(only, file), labels
    sequences = [array[:, None] if array.ndim == 1 else array for array in arrays.values()]
    if any(array.ndim != 2 for array in sequences):
        raise UserError(f"{file}: holds the arrays {', '.join(list(arrays)[:6])}, some not of one sequence. {NPZ}")
    return _checked(sequences, file), labels


def _divide(arrays: dict[str, np.ndarray], lengths: np.ndarray, file: Path) -> list[np.ndarray]:
    """Sequences from their steps one after another, or from padded ones, by their `lengths`."""
    if len(arrays) != 1 or lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 1).any():
        raise UserError(
            f"{file}: `lengths` are whole numbers >= 1, one for each sequence of one array beside it. {NPZ}"
        )
    (values,) = arrays.values()
    if values.ndim == 3 and len(values) == len(lengths) and lengths.max() <= values.shape[1]:
        return [sequence[:length] for sequence, length in zip(values, lengths, strict=True)]
    if values.ndim > 2 or values.ndim == 0 or len(values) != lengths.sum():
        raise UserError(f"{file}: `lengths` add up to {lengths.sum()} steps, and the array has {values.shape}. {NPZ}")
    steps = values[:, None] if values.ndim == 1 else values
    return np.split(steps, lengths.cumsum()[:-1])


def _sequences(array: np.ndarray, file: Path) -> np.ndarray:
    """The same as (n, length, features).

    Raises:
        UserError: its shape is none of sequences.
    """
    if array.ndim not in (2, 3):
        raise UserError(f"{file}: an array of shape {array.shape}; expected (n, length, features) or (n, length)")
    return array[..., None] if array.ndim == 2 else array


def _checked(arrays: Arrays, file: Path, first: int = 0) -> Arrays:
    """The same in float64, checked for what no sequence may be; `first` is the number of the first one in the file.

    Raises:
        UserError: not numbers, a shape that is none of sequences, nothing at all, infinite values.
    """
    parts = [arrays] if isinstance(arrays, np.ndarray) else arrays
    if any(part.dtype.kind not in "fiub" for part in parts):
        raise UserError(f"{file}: holds {parts[0].dtype}, and sequences are made of numbers")
    if isinstance(arrays, np.ndarray):
        parts = [_sequences(arrays, file)]
    if not parts or any(part.size == 0 for part in parts):
        raise UserError(f"{file}: holds no sequences, or one without a step")
    features = {part.shape[-1] for part in parts}
    if len(features) > 1:
        raise UserError(
            f"{file}: sequences with {' and '.join(map(str, sorted(features)))} features; all need the same"
        )
    whole = [np.asarray(part, dtype=np.float64) for part in parts]
    for i, part in enumerate(whole):
        bad = np.argwhere(np.isinf(part))
        if len(bad):
            sequence, step, feature = [*bad[0]] if isinstance(arrays, np.ndarray) else [i, *bad[0]]
            raise UserError(f"{file}: an infinite value at sequence {first + sequence}, step {step}, feature {feature} "
                            "(all counted from 0); write NaN where a value is missing")  # fmt: skip
    return whole[0] if isinstance(arrays, np.ndarray) else whole
