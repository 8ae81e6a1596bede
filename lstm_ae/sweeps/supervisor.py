"""The process that the user starts: it keeps workers running until the study is complete, and reports on the way."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import optuna
import sqlalchemy
from optuna.trial import TrialState
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from lstm_ae.console import FULL_ERROR, stop_on_signals
from lstm_ae.errors import UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.sweeps.claiming import counted, failures, requeue, tidy, to_go_on
from lstm_ae.sweeps.cost import plan, session
from lstm_ae.sweeps.liveness import alive_lock, machine
from lstm_ae.sweeps.results import conclude, finished, line
from lstm_ae.sweeps.search import Search
from lstm_ae.sweeps.shortlist import is_paused
from lstm_ae.sweeps.storage import annotate, check_database, check_settings, exclusive, find_study, storage_blamed

# Set in the processes that a search starts, for them to work on its study and start no others: a JSON object with
# `supervisor`, the lock file of the process that started them, and `sweep_directory`.
WORKER = "LSTM_AE_WORKER"
POLL = 0.5  # seconds between two looks at the workers
DEATHS = 3  # processes that may die over the same settings before these count as failed
ASKED_TO_END = {  # how a worker ends when it is asked to; the shell's 128 + number as well
    code for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM) for code in (-number, 128 + number)
}
IDLE_DEATHS = 3  # workers in a row that may die without a trial before the search gives up

log = logging.getLogger(__name__)


def supervise(search: Search) -> None:
    """Bring the study of `search` to its `n_trials` with `n_jobs` workers, then report what was found.

    Several of these may run at once, on one machine or on many: their workers share the study.

    Raises:
        UserError: another search has this name, or too many trials failed.
        Stopped: SIGINT or SIGTERM; the same command continues the search later.
    """
    stop_on_signals()
    with storage_blamed(search.storage):
        check_database(search.storage)
        check_runs(search)
        complete(search)


def check_runs(search: Search) -> None:
    """Make sure that a new study does not begin among the runs of one that was lost.

    Raises:
        UserError: there are runs in its directory, and it knows of none.
    """
    runs = [path.parent for path in search.directory.glob("*/.hydra")]
    study = find_study(search.storage, search.name) if runs else None
    if runs and (study is None or not study.get_trials(deepcopy=False)):
        raise UserError(
            f"{search.directory} holds {len(runs)} run(s), but the study {search.name} in "
            f"{sqlalchemy.make_url(search.storage)} knows of none: was it deleted, emptied or renamed? Put it back, or "
            "begin a fresh search with study_name=..."
        )


def complete(search: Search) -> None:
    """Run what is left of a search whose storage has been looked at; raises as `supervise` does."""
    study = search.open()
    check_settings(study, search.settings, search.storage)
    before = finished(study)
    if len(before) >= search.n_trials:
        more = "" if search.points is not None else f"For more trials: hydra.sweeper.n_trials={2 * search.n_trials}\n"
        print(f"The study {search.name} in {search.directory} is complete: {search.n_trials} trials.\n{more}"
              "For a fresh one: study_name=...")  # fmt: skip
        conclude(search, study)
        return
    log.info("study %s: %d of %d trials done, %d worker(s), in %s", search.name, len(before), search.n_trials,
             search.n_jobs, search.directory)  # fmt: skip
    log.info("%s", plan(search))
    log.info("the workers' own output: %s", search.directory / "workers.log")
    with (
        logging_redirect_tqdm(),
        Progress(search, study) as progress,
        alive_lock(search.directory) as lock,
        session(study, lock.name) as still_here,
        (search.directory / "workers.log").open("a") as output,
    ):
        workers = Workers(search, study, lock, output)
        try:
            while workers.keep_going():
                progress.update()
                still_here()
                time.sleep(POLL)
        except BaseException:
            workers.stop()
            log.warning("stopped; the same command continues the search")
            raise
        finally:
            progress.update()
    conclude(search, study)


class Workers:
    """The worker processes of this process."""

    def __init__(self, search: Search, study: optuna.Study, lock: Path, output: IO[str]) -> None:
        self.search = search
        self.study = study
        self.lock = lock
        self.output = output
        self.processes: list[subprocess.Popen] = []
        self.idle_deaths = 0

    def keep_going(self) -> bool:
        """Replace workers that have ended as long as there are trials to do; False once the study is complete.

        Raises:
            UserError: workers die before they have a trial.
        """
        for process in [process for process in self.processes if process.poll() is not None]:
            self.processes.remove(process)
            if process.returncode != 0:
                self._settle_trial_of(process)
        if not self.processes:  # else they look after the orphans themselves
            with exclusive(self.search.storage):
                tidy(self.study, self.search)
        trials = self.study.get_trials(deepcopy=False)
        taken = counted(trials)
        running = sum(trial.state == TrialState.RUNNING and not is_paused(trial) for trial in taken)
        too_many = len(failures(trials)) > self.search.max_failures
        free = 0 if too_many else self.search.n_trials - len(taken) + len(to_go_on(self.study, self.search))
        own = len(self.processes)
        # A worker that is still starting has no trial yet: one of the free ones is for it.
        while len(self.processes) < self.search.n_jobs and free > max(0, own - running):
            self.processes.append(self._start())
            own += 1
        return bool(self.processes) or (running > 0 and not too_many)

    def _start(self) -> subprocess.Popen:
        """Start this process's own command once more, as a worker.

        Its session is its own, so that Ctrl-C reaches it once, through `stop`.
        """
        order = {
            "supervisor": str(self.lock),
            "sweep_directory": str(Path(self.search.config.hydra.sweep.dir).absolute()),
        }
        environment = {**os.environ, WORKER: json.dumps(order), "TQDM_DISABLE": "1", FULL_ERROR: "0"}
        return subprocess.Popen(
            [sys.executable, *sys.orig_argv[1:]], env=environment, stdout=self.output, stderr=self.output,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def _settle_trial_of(self, process: subprocess.Popen) -> None:
        """Queue the trial that a dead worker leaves behind again; fail it if it may be what kills the workers.

        Raises:
            UserError: it left none, nor did the ones before it.
        """
        reason = exit_reason(process.returncode)
        left = [
            trial
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            if (worker := trial.user_attrs.get("worker"))
            and (worker["pid"], worker["machine"]) == (process.pid, machine())
            and not is_paused(trial)
        ]
        for trial in left:
            deaths = trial.user_attrs.get("deaths", 0) + (process.returncode not in ASKED_TO_END)
            if deaths < DEATHS:
                with exclusive(self.search.storage):
                    requeue(self.study, self.search, trial, deaths)
                continue
            reason += f", the {deaths}rd over these settings"
            annotate(self.search.storage, self.search.name, trial.number, reason=reason)
            self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            directory = RunDirectory(self.search.directory / trial.user_attrs["directory"])
            directory.update_summary(status="failed", error=reason)
        self.idle_deaths = 0 if left else self.idle_deaths + 1
        if self.idle_deaths >= IDLE_DEATHS:
            tail = Path(self.output.name).read_text().rstrip().splitlines()[-15:]
            raise UserError(
                f"{IDLE_DEATHS} workers in a row ended before they had a trial; the last: {reason}. "
                f"The end of {self.output.name}:\n" + "\n".join(tail)
            )

    def stop(self) -> None:
        """Ask the workers to stop, and wait until they have."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def exit_reason(returncode: int) -> str:
    """How a worker ended, in words."""
    if returncode == -signal.SIGKILL:
        return "its process was killed (signal 9: out of memory, or kill -9)"
    if returncode < 0:
        return f"its process was ended by {signal.Signals(-returncode).name}"
    return f"its process ended with exit code {returncode}"


class Progress:
    """A line for each finished trial, and a bar if there is a terminal."""

    def __init__(self, search: Search, study: optuna.Study) -> None:
        self.search = search
        self.study = study
        self.seen = {trial.number for trial in finished(study)}
        self.paused = {(trial.number, trial.last_step) for trial in study.get_trials(deepcopy=False)}

    def __enter__(self) -> "Progress":
        self.bar = tqdm(
            total=self.search.n_trials,
            initial=len(self.seen),
            desc=self.search.name,
            unit="trial",
            disable=not sys.stderr.isatty(),
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()

    def update(self) -> None:
        """Report the trials that have finished, or reached the end of a round, since the last time."""
        for trial in self.study.get_trials(deepcopy=False) if self.search.shortlist is not None else ():
            if is_paused(trial) and (trial.number, trial.last_step) not in self.paused:
                self.paused.add((trial.number, trial.last_step))
                log.info("%s", line(trial, self.search))
        for trial in finished(self.study):
            if trial.number not in self.seen:
                self.seen.add(trial.number)
                self.bar.update()
                log.info("[%d/%d] %s", len(self.seen), self.search.n_trials, line(trial, self.search))
