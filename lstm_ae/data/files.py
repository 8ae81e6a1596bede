"""Public files on disk: used as they lie, verified by content, downloaded once when missing."""

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import pooch

from lstm_ae.errors import UserError

TIMEOUT = 30  # seconds without an answer before the next address is tried


def data_root() -> Path:
    """The folder of public files: `LSTM_AE_DATA` if set, else `~/.cache/lstm_ae`."""
    return Path(os.environ.get("LSTM_AE_DATA") or Path.home() / ".cache" / "lstm_ae")


@dataclass(frozen=True)
class PublicFile:
    """A published file: its place under `data_root()` (without .gz), the SHA-256 of its content, where it is served.

    The checksum is that of the decompressed content, because the same content is served in different gzip wrappers.
    """

    name: str
    sha256: str
    addresses: tuple[str, ...]

    def read(self) -> bytes:
        """The decompressed, verified content; downloaded first where the file is missing.

        Raises:
            UserError: the file on disk is not the published one, or none is there and no address serves it.
        """
        plain = data_root() / self.name
        zipped = plain.with_name(plain.name + ".gz")
        for path in (zipped, plain):
            if path.is_file():
                try:
                    return self._verified(path)
                except ValueError as error:
                    raise UserError(f"{path}: {error}.\nDelete it and run again to download it anew.") from error
        problems = []
        for address in self.addresses:
            target = zipped if address.endswith(".gz") else plain
            try:
                return self._download(address, target)
            except (OSError, ValueError) as error:  # requests' errors are OSErrors
                problems.append(f"  {address}: {_brief(error)}")
        raise UserError(
            f"{self.name} is not at {zipped} or {plain}, and could not be downloaded:\n"
            + "\n".join(problems)
            + f"\nPut the file at one of the two places by hand (LSTM_AE_DATA names the folder, now {data_root()}), "
            "or use a data set that needs no download: dataset=synthetic, digits_rows or digits_pixels."
        )

    def _download(self, address: str, target: Path) -> bytes:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            pooch.HTTPDownloader(progressbar=os.isatty(2), timeout=TIMEOUT)(address, str(temporary), None)
            content = self._verified(temporary)
            os.replace(temporary, target)
            return content
        finally:
            temporary.unlink(missing_ok=True)

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


def _brief(error: Exception) -> str:
    """The innermost reason of a chain of network errors, in one line."""
    while error.__context__ is not None and isinstance(error.__context__, Exception):
        error = error.__context__
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
