"""Kill a search at random moments, start it again each time, and count what was lost.

python experiments/sweeps/torture.py [kills] [seed] [search | shortlist]

Each round starts the same command, waits a random time, kills the parent with SIGKILL, then a worker a moment later
(or the worker first, every third round). After the last round the command runs to its end. Counted on the way: trials
that were finished before a kill and are not afterwards, run directories whose config was written again, and the
study's total at the end against `n_trials`. Of a shortlist also: settings with two directories, epochs that a log shows
twice, and the epochs in all against those that the plan told.
"""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import optuna
from optuna.trial import TrialState

from lstm_ae.sweeps.claiming import counted

COMMAND = [
    sys.executable, "-m", "lstm_ae.train", "-m", "study_name=torture", "workers=2", "hydra.sweeper.max_failure_rate=1",
    "dataset.num_sequences=2000",
]  # fmt: skip
# How many trials, more than the kills leave time for, and what searches them.
SEARCHES = {
    "search": (100, ["sweep=synthetic_tpe", "hydra.sweeper.n_trials=100"]),
    "shortlist": (48, ["sweep=synthetic_grid", "pruner=shortlist", "model.hidden_size=8,12,16,20,24,28,32,40",
                       "trainer.max_epochs=30", "pruner.rounds=[1,3,6]", "pruner.keep=[16,6,2]"]),
}  # fmt: skip
EPOCHS_TOLD = 48 + 16 * 2 + 6 * 3 + 2 * 24


def finished(directory: Path) -> dict[int, tuple]:
    """Number to outcome of the trials that are complete, pruned or failed by themselves."""
    if not (directory / "study.db").is_file():
        return {}
    try:
        study = optuna.load_study(study_name="torture", storage=f"sqlite:///{directory}/study.db")
    except (KeyError, RuntimeError):  # killed before the study was made
        return {}
    trials = counted(study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)))
    return {trial.number: (trial.state.name, trial.values, tuple(trial.params.items())) for trial in trials}


def reasons(directory: Path) -> dict[int, str]:
    """Number to recorded reason of the trials that failed by themselves."""
    study = optuna.load_study(study_name="torture", storage=f"sqlite:///{directory}/study.db")
    failed = counted(study.get_trials(states=(TrialState.FAIL,)))
    return {trial.number: trial.user_attrs.get("reason", "none recorded") for trial in failed}


def configs(directory: Path) -> dict[Path, tuple[int, str]]:
    """The saved configs with the time of their writing, of the runs that Hydra had set up whole."""
    whole = [path for path in directory.glob("*/.hydra/config.yaml") if (path.parent / "overrides.yaml").is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_text()) for path in whole}


def children(parent: int) -> list[int]:
    """The processes that `parent` started."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True).stdout
    return [int(pid) for pid in listed.split()]


def kill(pid: int) -> None:
    """SIGKILL; a process that is gone already is fine."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def trained_twice(directory: Path) -> tuple[int, int, int]:
    """Settings with more than one directory, epochs that a log shows more than once, and the epochs in all."""
    settings = [path.read_text().split("++hydra")[0] for path in directory.glob("*/.hydra/overrides.yaml")]
    twice = epochs = 0
    for log in directory.glob("*/train.log"):
        logged = re.findall(r"epoch (\d+)/", log.read_text())
        twice += len(logged) - len(set(logged))
        metrics = log.parent / "metrics.csv"
        epochs += max(0, len(metrics.read_text().splitlines()) - 1) if metrics.is_file() else 0
    return len(settings) - len(set(settings)), twice, epochs


def main(kills: str = "10", seed: str = "0", kind: str = "search") -> None:
    """Print a line per round and the counts at the end; exit 1 if anything was lost."""
    n_trials, extra = SEARCHES[kind]
    repeat(int(kills), int(seed), n_trials, [*COMMAND, *extra], kind)


def repeat(kills: int, seed: int, n_trials: int, command: list[str], kind: str) -> None:
    """Kill `command` so many times, then let it end."""
    chance = random.Random(seed)
    lost = overwritten = 0
    with tempfile.TemporaryDirectory() as home:
        directory = Path(home) / "multirun" / "torture"
        output = (Path(home) / "output.log").open("w")
        done, written = {}, {}
        for round_number in range(kills + 1):
            process = subprocess.Popen(command, cwd=home, stdout=output, stderr=output)
            if round_number < kills:
                delay = chance.uniform(2, 16)
                if kind == "shortlist":  # a moment after its first epochs, however long its start takes here
                    begun, delay = trained_twice(directory)[2], chance.uniform(0, 6)
                    while process.poll() is None and trained_twice(directory)[2] == begun:
                        time.sleep(0.2)
                try:
                    process.wait(delay)
                except subprocess.TimeoutExpired:
                    workers = children(process.pid)
                    victims = [process.pid, *chance.sample(workers, min(1, len(workers)))]
                    if round_number % 3 == 2:
                        victims.reverse()
                    for victim in victims:
                        kill(victim)
                        time.sleep(chance.uniform(0, 1))
            process.wait()
            now, config = finished(directory), configs(directory)
            lost += sum(now.get(number) != outcome for number, outcome in done.items())
            overwritten += sum(config.get(path) != content for path, content in written.items())
            done, written = now, config
            print(f"round {round_number}: {len(done)} of {n_trials} finished, {trained_twice(directory)[2]} epochs, "
                  f"lost {lost}, overwritten {overwritten}", flush=True)  # fmt: skip
        states = [outcome[0] for outcome in done.values()]
        for number, reason in reasons(directory).items():
            print(f"trial {number} failed: {reason}")
        doubles, again, epochs = trained_twice(directory)
    wrong = 0
    if kind == "shortlist":
        wrong = doubles + again + abs(epochs - EPOCHS_TOLD)
        print(f"settings with two directories: {doubles}; epochs trained twice: {again}; "
              f"epochs {epochs}, told beforehand {EPOCHS_TOLD}")  # fmt: skip
    print(f"finished trials lost: {lost}; directories overwritten: {overwritten}; total {len(done)} of {n_trials}: "
          + ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states))))  # fmt: skip
    sys.exit(lost > 0 or overwritten > 0 or len(done) != n_trials or bool(wrong))


if __name__ == "__main__":
    main(*sys.argv[1:])
