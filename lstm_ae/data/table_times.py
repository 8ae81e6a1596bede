"""Time stamps as files have them: text in the usual forms, numbers, or dates of Parquet."""

import re
import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
from pandas.tseries.api import guess_datetime_format

ZONE = re.compile(r"\d(Z|[+-]\d{2}:?\d{2}| ?UTC)$")


class WrongValue(Exception):
    """A value that cannot be used: its position in the chunk, and why."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position


class TimeReader:
    """Reads a column of times, every chunk of it in the way in which the first was read."""

    def __init__(self) -> None:
        self.form: str | None = None  # "number", "date" or a format of strptime
        self.zone: str | None = None  # of dates; "none" where they name none

    def __call__(self, column: pd.Series) -> np.ndarray:
        """The times, datetime64[ns] (in UTC where they name a zone) or float64.

        Raises:
            WrongValue: a time is missing, cannot be read, or is in another zone or of another form than those before.
        """
        missing = column.isna().to_numpy()
        if missing.any():
            raise WrongValue(int(missing.argmax()), "the time is missing")
        if pd.api.types.is_numeric_dtype(column):
            self._same(column, "form", "number")
            numbers = column.to_numpy(float)
            if not np.isfinite(numbers).all():
                raise WrongValue(int((~np.isfinite(numbers)).argmax()), "the time is infinite")
            return numbers
        dates = column if pd.api.types.is_datetime64_any_dtype(column) else self._parsed(column.astype(str))
        self._same(column, "zone", _zone(dates))
        if dates.dt.tz is not None:
            dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
        return dates.to_numpy("datetime64[ns]")

    def _same(self, column: pd.Series, name: str, value: str) -> None:
        """Every chunk has the form and the zone of the first."""
        if getattr(self, name) is None:
            setattr(self, name, value)
        if getattr(self, name) != value:
            what = "in another time zone" if name == "zone" else "of another form"
            raise WrongValue(0, f"{str(column.iloc[0])!r} is {what} than the times before it; write all in one")

    def _parsed(self, texts: pd.Series) -> pd.Series:
        forms = list(_forms(texts.iloc[0])) if self.form is None else [self.form]
        for form in forms:
            try:
                dates = pd.to_datetime(texts, format=form)
            except ValueError:
                continue
            if pd.api.types.is_datetime64_any_dtype(dates):
                self.form = form
                return dates
        zones = texts.str.extract(ZONE)[0].fillna("none")
        other = (zones != zones.iloc[0]).to_numpy()
        if other.any():
            position = int(other.argmax())
            raise WrongValue(position, f"{texts.iloc[position]!r} is in another time zone than {texts.iloc[0]!r}; "
                             "write all times in one, such as UTC")  # fmt: skip
        unread = [pd.to_datetime(texts, format=form, errors="coerce").isna().to_numpy() for form in forms if form]
        position = int(min(unread, key=np.sum).argmax()) if unread else 0
        raise WrongValue(position, f"{texts.iloc[position]!r} is no time that can be read here; use "
                         "2016-01-31 12:30:00 (ISO 8601), the form of the first line, or numbers")  # fmt: skip


def _forms(text: str) -> Iterator[str]:
    """In which forms to read times like this one: ISO 8601, else month before day, else day before month."""
    yield "ISO8601"
    for day_first in (False, True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a form is not the one asked for
            guess = guess_datetime_format(text, dayfirst=day_first)
        if guess:
            yield guess


def _zone(dates: pd.Series) -> str:
    return "none" if dates.dt.tz is None else str(dates.dt.tz)
