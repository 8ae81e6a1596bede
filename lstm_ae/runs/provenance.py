"""What a result may depend on beside its config: versions and the commit of the source."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path


def versions() -> dict[str, str]:
    """The versions that a result may depend on."""
    packages = ("lstm-ae", "torch", "numpy", "scikit-learn", "hydra-core", "optuna")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}


def git_commit() -> str | None:
    """The commit of the source, with `-dirty` where it was changed since; None outside a git checkout."""
    source = Path(__file__).resolve().parents[2]
    try:
        described = subprocess.run(
            ["git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()
