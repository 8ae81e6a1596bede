"""The keys of a config: which of them tell two settings apart, and a nested config as dotted keys."""

from collections.abc import Mapping
from typing import Any

# How a run is carried out. None of these changes what it measures, so runs that differ in them are the same setting.
EXECUTION_KEYS = ("device", "backend", "threads", "workers", "study_name", "resume", "rerun", "revalidate")
SEED_KEYS = ("seed", "dataset.fold")  # what varies between the repetitions of one setting
MAX_KEYS = 1000  # more are no config, and would take minutes to line up


def flatten(tree: Mapping[Any, Any]) -> dict[str, Any]:
    """A nested config as one dictionary of dotted keys; lists and empty groups stay values.

    Raises:
        ValueError: more keys than any config has, or none.
    """
    flat: dict[str, Any] = {}
    if not isinstance(tree, Mapping):
        raise ValueError("no keys")

    def walk(branch: Mapping[Any, Any], prefix: str) -> None:
        for key, value in branch.items():
            if isinstance(value, Mapping) and value:
                walk(value, f"{prefix}{key}.")
            else:
                flat[f"{prefix}{key}"] = value
            if len(flat) > MAX_KEYS:
                raise ValueError(f"more than {MAX_KEYS} keys")

    walk(tree, "")
    return flat
