"""Searches composed in this process, and commands run as users run them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from lstm_ae.config import CONF
from lstm_ae.sweeps.search import Search, build_search

ROOT = Path(__file__).resolve().parents[2]
TINY = [
    "dataset.num_sequences=60", "dataset.length=8", "dataset.dip_length=2", "dataset.dip_center=[3,4]",
    "model.num_layers=1", "trainer.max_epochs=2", "threads=1",
]  # fmt: skip


def command(*arguments, module="lstm_ae.train"):
    """The command line and environment of a command, this checkout's."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    return {"args": [sys.executable, "-m", module, *arguments], "env": {**environment, "OMP_NUM_THREADS": "1"}}


@pytest.fixture
def run(tmp_path):
    """Runs a command in an empty directory and returns the finished process."""

    def run(*arguments, code=0):
        done = subprocess.run(**command(*arguments), cwd=tmp_path, capture_output=True, text=True, timeout=400)
        logs = "".join(path.read_text()[-3000:] for path in tmp_path.glob("multirun/*/workers.log"))
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}\n{logs}"
        return done

    return run


@pytest.fixture
def search(tmp_path, monkeypatch):
    """Builds a search from overrides, as a command in an empty directory would."""
    monkeypatch.chdir(tmp_path)

    def search(*overrides: str, storage: str | None = None) -> Search:
        swept = [o for o in overrides if not o.startswith("hydra") and ("," in o or "(" in o) and "[" not in o]
        plain = [override for override in overrides if override not in swept]
        with initialize_config_dir(CONF):
            config = compose("config", plain, return_hydra_config=True)
        keys = {key: value for key, value in config.hydra.sweeper.items() if key != "_target_"}
        keys["storage"] = storage or keys["storage"]
        arguments = [override for override in overrides if not override.startswith("hydra")]
        return build_search(config, arguments, **keys)

    return search
