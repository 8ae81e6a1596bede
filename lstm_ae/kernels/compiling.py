"""C sources -> a shared library, compiled once per machine and kept in a cache."""

import atexit
import hashlib
import importlib.util
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)

FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")
NATIVE = ("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ("-mcpu=native",)  # the first one accepted
MORE_FLAGS = "LSTM_AE_CFLAGS"  # environment variable: flags after all others, for debugging
TIMEOUT = 300  # seconds


class CannotCompile(Exception):
    """There is no compiler, or it failed; the text says which, in one line."""


class Compiled(NamedTuple):
    """A shared library, and who compiled it."""

    path: Path
    compiler: str


def compiler() -> list[str]:
    """The command that compiles C: `$CC` if set, else `cc`, `gcc`, `clang`, or the one inside the `ziglang` wheel.

    Raises:
        CannotCompile: there is none.
    """
    if chosen := shlex.split(os.environ.get("CC", "")):
        if shutil.which(chosen[0]) is None:
            raise CannotCompile(f"CC={os.environ['CC']}: there is no such command")
        return chosen
    for name in ("cc", "gcc", "clang"):
        if found := shutil.which(name):
            return [found]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc"]
    raise CannotCompile("no C compiler: none of cc, gcc, clang, and no ziglang wheel (pip install ziglang)")


def version(command: list[str]) -> str:
    """The first line that a compiler says of itself.

    Raises:
        CannotCompile: it does not run.
    """
    return _run([*command, "--version"]).partition("\n")[0].strip()


def processor() -> str:
    """What tells apart processors that need code of their own; home directories are shared between machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()} {platform.release()}"
    told = {line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}
    return "\n".join([platform.machine(), *sorted(told)])


def cache_directory() -> Path:
    """Where compiled libraries are kept: `$XDG_CACHE_HOME/lstm_ae/kernels`, by default under `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "lstm_ae" / "kernels"


def compiled(sources: list[Path]) -> Compiled:
    """The shared library of `sources`, from the cache if it is there.

    The name holds a hash of all that the library depends on: sources, flags, the compiler's version, the processor.
    It is written under a temporary name and then renamed, so processes that start together at worst compile twice. A
    cache that cannot be written costs a compilation per process, into a temporary directory.

    `LSTM_AE_CFLAGS` adds flags: "-march=x86-64" makes code for any x86-64, "-fsanitize=address" finds wrong addresses.

    Raises:
        CannotCompile: no compiler, or it failed.
    """
    command, extra = compiler(), shlex.split(os.environ.get(MORE_FLAGS, ""))
    told = version(command)
    parts = [
        *(source.read_text() for source in sources),
        *FLAGS,
        *map(repr, NATIVE),
        *extra,
        *command,
        told,
        processor(),
    ]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    name = f"lstm-{digest[:20]}.so"
    directory = cache_directory()
    if (directory / name).is_file():
        return Compiled(directory / name, told)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        directory = Path(tempfile.mkdtemp(prefix="lstm_ae-"))
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        log.warning("cannot keep the compiled LSTM layer (%s): it is compiled anew in every process", error)
    log.info("compiling the native LSTM layer, once for this machine (%s)", told)
    started = time.perf_counter()
    handle, temporary = tempfile.mkstemp(prefix=name, dir=directory)
    os.close(handle)
    try:
        _compile([*command, *FLAGS], [*extra, *map(str, sources), "-o", temporary, "-lm", "-pthread"])
        os.replace(temporary, directory / name)
    finally:
        Path(temporary).unlink(missing_ok=True)
    log.debug("compiled in %.1f s: %s", time.perf_counter() - started, directory / name)
    return Compiled(directory / name, told)


def _compile(head: list[str], tail: list[str]) -> None:
    """Compile for this very processor; compilers differ in how they are told to."""
    failures = []
    for native in NATIVE:
        try:
            _run([*head, *native, *tail])
            return
        except CannotCompile as failure:
            failures.append(failure)
    raise failures[1]  # of the plainest flag: what the others say may be about themselves


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotCompile(f"{shlex.join(command[:3])} does not run: {error}") from error
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line.lower()), done.stderr.strip()[-200:])
        raise CannotCompile(f"{shlex.join(command[:3])} ... ended with {done.returncode}: {said}")
    return done.stdout
