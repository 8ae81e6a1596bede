"""Searches composed in this process, and sweeps run as users run them."""

import pytest
from hydra import compose, initialize_config_dir

from lstm_ae.config import CONF
from lstm_ae.sweeps.search import Search, build_search
from tests import commands


@pytest.fixture
def run(tmp_path):
    """Runs `python -m lstm_ae.train` in an empty directory and returns the finished process."""

    def run(*arguments, code=0):
        done = commands.run("train", *arguments, cwd=tmp_path)
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
