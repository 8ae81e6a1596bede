"""What a result depends on beside its config: versions, the code's commit and its changes, the processor."""

import os
import platform
import re
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lstm_ae.config import ALLOW

SOURCE = Path(__file__).resolve().parents[2]  # the root of the checkout
CODE = ("lstm_ae", "conf")  # what results depend on there
PACKAGES = ("lstm-ae", "torch", "numpy", "scikit-learn", "hydra-core", "optuna")


def provenance() -> dict[str, Any]:
    """The fields of `summary.json` that say what a run was made with.

    Returns:
        `versions`; `git_commit`, None outside a git checkout; `git_dirty`, the files of the package and of `conf/`
        that differ from that commit, untracked ones included; `processor`, the model that computes on a CPU; and
        `allow`, the modules of the user's own that a config could name.
    """
    commit, changed = git_state(SOURCE)
    return {
        "versions": {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        "git_commit": commit,
        "git_dirty": changed,
        "processor": processor(),
        "allow": [name for name in os.environ.get(ALLOW, "").split(",") if name],
    }


@cache  # the code that runs is the code that was imported when the process began
def git_state(source: Path) -> tuple[str | None, list[str]]:
    """The commit that the checkout at `source` is at, and the files of the code that differ from it.

    (None, []) where git does not know the package: outside a checkout, or installed into somebody else's.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(source), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout

    try:
        if not git("ls-files", "--", CODE[0]):
            return None, []
        changed = git("status", "--porcelain", "--untracked-files=all", "--no-renames", "-z", "--", *CODE)
        return git("rev-parse", "HEAD").strip(), [line[3:] for line in changed.split("\0") if line]
    except (OSError, subprocess.SubprocessError):
        return None, []


@cache
def processor() -> str:
    """The processor's model, as far as the system tells."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
