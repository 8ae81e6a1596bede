"""Searches of a Hydra program that is not ours, however it is started."""

import os
import signal
from importlib.util import find_spec

import pytest
from omegaconf import OmegaConf
from optuna.trial import TrialState

from lstm_ae.sweeps.claiming import counted
from tests.commands import wait_for
from tests.sweeps.conftest import succeed, trials_of


def test_workers_start_the_console_script_that_the_user_started(start_program, tmp_path):
    script = tmp_path / "bin" / "foreign"  # as pip writes it
    script.parent.mkdir()
    path = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
    script.write_text(path + "from package.program import main\nmain()\n")
    output = succeed(start_program("x=0,1,2", "hydra.sweeper.n_jobs=2", how=[script]))
    directory = tmp_path / "multirun" / "foreign"
    assert sorted((trial.params["x"], trial.value) for trial in trials_of(directory)) == [(0, 1), (1, 0), (2, 1)]
    assert OmegaConf.load(directory / "optimization_results.yaml").best_params == {"x": 1}
    assert "[3/3]" in output
    assert "lstm_ae.compare" not in output, "it reads our runs only"
    assert [path.name for path in directory.glob("*/.hydra/config.yaml")] == ["config.yaml"] * 3


def test_two_commands_work_on_one_study_and_a_dead_worker_costs_nothing(start_program, tmp_path):
    directory = tmp_path / "multirun" / "foreign"
    ways = (["package/program.py"], ["-m", "package.program"])
    both = [start_program("x=0,1,2,3", "seconds=2", how=how) for how in ways]

    def at_work():
        if not list(directory.glob("*/.hydra/overrides.yaml")):
            return {}
        running = [trial for trial in trials_of(directory) if trial.state == TrialState.RUNNING]
        workers = [trial.user_attrs["worker"] for trial in running if "worker" in trial.user_attrs]
        return {worker["supervisor"]: worker["pid"] for worker in workers}

    wait_for(lambda: len(at_work()) == 2)
    victim = next(iter(at_work().values()))
    os.kill(victim, signal.SIGKILL)
    for process in both:
        succeed(process)
    trials = counted(trials_of(directory))
    assert sorted(trial.params["x"] for trial in trials) == [0, 1, 2, 3]
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    (lost,) = [trial for trial in trials_of(directory) if trial.user_attrs.get("orphan")]
    assert lost.user_attrs["worker"]["pid"] == victim
    (again,) = [trial for trial in trials if trial.user_attrs.get("replaces") == lost.number]
    assert (again.params, again.user_attrs["deaths"]) == (lost.params, 1)
    workers = [trial.user_attrs["worker"] for trial in trials_of(directory) if "worker" in trial.user_attrs]
    assert len({worker["supervisor"] for worker in workers}) == 2
    assert (directory / "optimization_results.yaml").is_file()


def test_a_search_in_which_all_fail_says_why(start_program, tmp_path):
    process = start_program("x=4,5")
    output, _ = process.communicate(timeout=200)
    assert process.returncode != 0
    assert "2 of 2 trials failed" in output
    assert "RuntimeError: x is too large" in output
    trials = trials_of(tmp_path / "multirun" / "foreign")
    assert [trial.state for trial in trials] == [TrialState.FAIL] * 2
    assert all(trial.user_attrs["reason"] == "RuntimeError: x is too large" for trial in trials)


def test_a_program_may_report_and_be_pruned_whatever_launches_its_jobs(start_program, tmp_path):
    if not find_spec("submitit"):
        pytest.skip("submitit is not installed: pip install 'lstm-ae[dev]'")
    pruner = "{_target_: optuna.pruners.MedianPruner, n_startup_trials: 1}"
    with (tmp_path / "package" / "program.yaml").open("a") as config:
        config.write(f"monitor: distance\npruner: {pruner}\n")
    succeed(start_program("x=1,2", "hydra/launcher=submitit_local"))
    good, bad = trials_of(tmp_path / "multirun" / "foreign")
    assert (good.state, bad.state) == (TrialState.COMPLETE, TrialState.PRUNED)
    assert (good.intermediate_values, bad.intermediate_values) == ({1: 0.0}, {1: 1.0})
