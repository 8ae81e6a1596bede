"""Public files on disk: used as they are, verified by their content, downloaded once where they are missing."""

import gzip
import hashlib
import logging
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import pooch

from lstm_ae.errors import UserError
from lstm_ae.files import replacing

log = logging.getLogger(__name__)

TIMEOUT = 30  # seconds without an answer before the next address is tried


def data_root() -> Path:
    """The folder of public files: `LSTM_AE_DATA` if set, else `~/.cache/lstm_ae`."""
    return Path(os.environ.get("LSTM_AE_DATA") or Path.home() / ".cache" / "lstm_ae")


@dataclass(frozen=True)
class PublicFile:
    """A published file.

    Args:
        name: its place under `data_root()`, without .gz.
        sha256: of its decompressed content, because the same content is served in different gzip files.
        addresses: where it can be downloaded, in order of preference.
        instead: data sets that need no download, for the message where the file cannot be had.
    """

    name: str
    sha256: str
    addresses: tuple[str, ...]
    instead: tuple[str, ...] = ("synthetic",)

    def read(self) -> bytes:
        """The decompressed, verified content; the file is downloaded where it is missing, and the log says which it is.

        Raises:
            UserError: the file on disk is not the published one, or there is none and no address serves it.
        """
        plain = data_root() / self.name
        zipped = plain.with_name(plain.name + ".gz")
        for path in (zipped, plain):
            if path.is_file():
                try:
                    content = self._verified(path)
                except ValueError as error:
                    raise UserError(
                        f"{path}: {error}.\nDelete it and run again to download the published file. To train on data "
                        "of your own, add a data set of your own (README.md says how) instead of replacing this one."
                    ) from error
                log.info("read %s", path)
                return content
        problems = []
        for address in self.addresses:
            target = zipped if address.endswith(".gz") else plain
            try:
                content = self._download(address, target)
            except (OSError, ValueError) as error:  # the errors of requests are OSErrors
                problems.append(f"  {address}: {_innermost_reason(error)}")
            else:
                log.info("downloaded %s to %s", address, target)
                return content
        raise UserError(
            f"{self.name} is not at {zipped} or {plain}, and could not be downloaded:\n"
            + "\n".join(problems)
            + f"\nPut the file at one of the two places by hand (LSTM_AE_DATA names the folder, now {data_root()}), "
            f"or use a data set that needs no download: dataset={', '.join(self.instead)}."
        )

    def _download(self, address: str, target: Path) -> bytes:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            pooch.HTTPDownloader(progressbar=os.isatty(2), timeout=TIMEOUT)(address, str(temporary), None)
            return self._verified(temporary)

    def _verified(self, path: Path) -> bytes:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            try:
                content = gzip.decompress(content)
            except (OSError, EOFError, zlib.error) as error:
                raise ValueError(f"damaged gzip file ({error})") from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise ValueError(f"not the published content (SHA-256 {found[:12]}..., expected {self.sha256[:12]}...)")
        return content


def _innermost_reason(error: BaseException) -> str:
    """The first cause in a chain of network errors, in one line."""
    while isinstance(error.__context__, Exception):
        error = error.__context__
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
