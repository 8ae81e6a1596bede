"""Searches composed in this process, commands run as users run them, and a program that is not ours."""

import json
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from hydra import compose, initialize_config_dir

import lstm_ae.console  # noqa: F401  (it registers the resolvers that conf/config.yaml uses)
from lstm_ae.config import CONF
from lstm_ae.sweeps.search import Search, build_search
from tests import commands

# A Hydra program that knows nothing of this package but the sweeper.
PROGRAM = """
import time
from pathlib import Path
import hydra
from hydra.core.plugins import Plugins
from lstm_ae.sweeps.plugin import StudySweeper
from lstm_ae.sweeps.trial import reporter

Plugins.instance().register(StudySweeper)

@hydra.main(config_path=str(Path(__file__).parent), config_name="program")
def main(config):
    time.sleep(config.seconds)
    if config.x > 3:
        raise RuntimeError("x is too large")
    if (report := reporter(config)) is not None:
        report([{"epoch": 1, "distance": abs(config.x - 1)}])
    return (config.x - 1) ** 2

if __name__ == "__main__":
    main()
"""
CONFIG = """
defaults:
  - _self_
  - override hydra/sweeper: study
  - override hydra/sweeper/sampler: grid
x: 0
seconds: 0
hydra:
  searchpath: ["file://{conf}"]
  sweep:
    dir: ${{hydra.sweeper.directory}}
  sweeper:
    study_name: foreign
"""


def trials_of(directory: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=directory.name, storage=f"sqlite:///{directory}/study.db").trials


def summary(directory: Path) -> dict:
    return json.loads((directory / "summary.json").read_text())


def workers_of(supervisor: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(supervisor)], capture_output=True, text=True).stdout
    return [int(pid) for pid in listed.split()]


def succeed(process: subprocess.Popen) -> str:
    """Wait for a command and return its output; it must end well."""
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    return output


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
def start_program(tmp_path):
    """Starts the foreign program in an empty directory, by default as a script."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "program.py").write_text(PROGRAM)
    (folder / "program.yaml").write_text(CONFIG.format(conf=CONF))

    def start(*arguments, how=("package/program.py",)):
        return subprocess.Popen(
            [sys.executable, *how, "-m", *arguments], cwd=tmp_path, env=commands.environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    return start


@pytest.fixture
def search(tmp_path, monkeypatch):
    """Builds a search from overrides, as a command in an empty directory would."""
    monkeypatch.chdir(tmp_path)

    def search(*overrides: str, storage: str | None = None) -> Search:
        swept = [o for o in overrides if not o.startswith("hydra") and ("," in o or "(" in o) and "[" not in o]
        given = [override for override in overrides if override not in swept]
        with initialize_config_dir(CONF):
            config = compose("config", given, return_hydra_config=True)
        keys = {key: value for key, value in config.hydra.sweeper.items() if key != "_target_"}
        keys["storage"] = storage or keys["storage"]
        arguments = [override for override in overrides if not override.startswith("hydra")]
        return build_search(config, arguments, **keys)

    return search
