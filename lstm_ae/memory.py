"""Whether something fits into memory, asked before it is made: afterwards it is too late to say so."""

import os
from pathlib import Path

from lstm_ae.errors import ConfigError


def available() -> int | None:
    """Bytes that a process may still take, the limit of its container included; None where nobody tells."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
        group = Path("/sys/fs/cgroup")
        found += [int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())]
    except (OSError, ValueError, IndexError):  # another system, no container, or "max": no limit
        pass
    if not found and hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        found = [os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    return min(found, default=None)


def require(needed: float, key: str, value: object, what: str) -> None:
    """Refuse a setting that asks for more memory than there is.

    Args:
        needed: bytes, at the least.
        key, value: the setting to blame.
        what: what needs them, for the message.

    Raises:
        ConfigError: that is more than the machine can give.
    """
    there = available()
    if there is not None and needed > there:
        raise ConfigError(
            key, value, f"is too large: {what} would need about {gigabytes(needed)} of memory, and there are "
            f"{gigabytes(there)}"
        )  # fmt: skip


def gigabytes(count: float) -> str:
    """A number of bytes as people say it."""
    return f"{count / 1e9:.1f} GB" if count < 1e15 else f"{count / 1e9:.0e} GB"
