"""The process that the user starts: it keeps workers going, tells how the search gets on, and sums it up."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean, stdev
from typing import IO

import optuna
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from lstm_ae.console import FULL_ERROR, stop_on_signals
from lstm_ae.errors import UserError
from lstm_ae.files import write_whole
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.sweeps.plugin import WORKER
from lstm_ae.sweeps.search import Search
from lstm_ae.sweeps.study import (
    FINISHED,
    alive_lock,
    check_settings,
    counted,
    exclusive,
    failures,
    is_orphan,
    machine,
    requeue_orphans,
)
from lstm_ae.sweeps.worker import describe, quoted

log = logging.getLogger(__name__)

POLL = 0.5  # seconds between two looks at the workers
IDLE_DEATHS = 3  # workers in a row that may die without a trial before the search gives up


def run(search: Search) -> None:
    """Bring the study of `search` to its `n_trials` with `n_jobs` workers, then say what was found.

    Several of these may run at once, on one machine or on many: their workers share the study.

    Raises:
        UserError: another search has this name, or too many trials failed.
        Stopped: SIGINT or SIGTERM; the same command goes on later.
    """
    stop_on_signals()
    study = search.open()
    check_settings(study, search.settings, search.storage)
    before = finished(study)
    if len(before) >= search.n_trials:
        print(complete(search))
        conclude(search, study)
        return
    log.info("study %s: %d of %d trials done, %d worker(s), in %s", search.name, len(before), search.n_trials,
             search.n_jobs, search.directory)  # fmt: skip
    log.info("the workers' own output: %s", search.directory / "workers.log")
    with (
        logging_redirect_tqdm(),
        Progress(search, study) as progress,
        alive_lock(search.directory) as lock,
        (search.directory / "workers.log").open("a") as output,
    ):
        team = Team(search, study, lock, output)
        try:
            while team.keep_going():
                progress.look()
                time.sleep(POLL)
        except BaseException:
            team.stop()
            log.warning("stopped; the same command goes on where the trials are now")
            raise
        finally:
            progress.look()
    conclude(search, study)


class Team:
    """The worker processes of this process."""

    def __init__(self, search: Search, study: optuna.Study, lock: Path, output: IO[str]) -> None:
        self.search = search
        self.study = study
        self.lock = lock
        self.output = output
        self.workers: list[subprocess.Popen] = []
        self.idle_deaths = 0

    def keep_going(self) -> bool:
        """See to the workers; False once the study is complete.

        Raises:
            UserError: workers die before they have a trial.
        """
        for worker in [worker for worker in self.workers if worker.poll() is not None]:
            self.workers.remove(worker)
            if worker.returncode != 0:
                self._bury(worker)
        if not self.workers:  # else they see to the orphans themselves
            with exclusive(self.search.storage):
                requeue_orphans(self.study, self.search.directory)
        trials = self.study.get_trials(deepcopy=False)
        taken = counted(trials)
        running = sum(trial.state == TrialState.RUNNING for trial in taken)
        too_many = len(failures(trials)) > self.search.max_failures
        free = 0 if too_many else self.search.n_trials - len(taken)
        own = len(self.workers)
        # A worker that is still starting has no trial yet: it is counted against the free ones.
        while len(self.workers) < self.search.n_jobs and free > max(0, own - running):
            self.workers.append(self._start())
            own += 1
        return bool(self.workers) or (running > 0 and not too_many)

    def _start(self) -> subprocess.Popen:
        """A process with this one's command line; its own group, so that Ctrl-C reaches it once, through here."""
        directory = Path(self.search.config.hydra.sweep.dir).absolute()
        command = [sys.executable, "-m", "lstm_ae.train", *sys.argv[1:], f"hydra.sweep.dir={quoted(directory)}"]
        environment = {**os.environ, WORKER: str(self.lock), "TQDM_DISABLE": "1", FULL_ERROR: "0"}
        return subprocess.Popen(
            command, env=environment, stdout=self.output, stderr=self.output, stdin=subprocess.DEVNULL, process_group=0
        )

    def _bury(self, worker: subprocess.Popen) -> None:
        """Fail the trial that a dead worker leaves behind."""
        reason = describe(worker.returncode)
        left = [
            trial
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            if (owner := trial.user_attrs.get("worker")) and (owner["pid"], owner["machine"]) == (worker.pid, machine())
        ]
        for trial in left:
            optuna.Trial(self.study, trial._trial_id).set_user_attr("reason", reason)
            self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            RunDirectory(self.search.directory / trial.user_attrs["directory"]).update_summary(
                status="failed", error=reason
            )
        self.idle_deaths = 0 if left else self.idle_deaths + 1
        if self.idle_deaths >= IDLE_DEATHS:
            tail = Path(self.output.name).read_text().rstrip().splitlines()[-15:]
            raise UserError(
                f"{IDLE_DEATHS} workers in a row came to nothing; the last: {reason}. "
                f"The end of {self.output.name}:\n" + "\n".join(tail)
            )

    def stop(self) -> None:
        """Ask the workers to stop, and wait until they have."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            try:
                worker.wait(30)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


class Progress:
    """A line per finished trial, and a bar where there is a terminal."""

    def __init__(self, search: Search, study: optuna.Study) -> None:
        self.search = search
        self.study = study
        self.seen = {trial.number for trial in finished(study)}

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

    def look(self) -> None:
        """Report the trials that have finished since the last look."""
        for trial in finished(self.study):
            if trial.number in self.seen:
                continue
            self.seen.add(trial.number)
            self.bar.update()
            log.info("[%d/%d] %s", len(self.seen), self.search.n_trials, line(trial, self.search))


def line(trial: FrozenTrial, search: Search) -> str:
    """One finished trial in one line."""
    seconds = (trial.datetime_complete - trial.datetime_start).total_seconds()
    settings = " ".join(f"{name}={value}" for name, value in trial.params.items())
    if trial.state == TrialState.COMPLETE:
        outcome = "  ".join(f"{name} {value:.6g}" for name, value in zip(search.monitors, trial.values, strict=True))
    elif trial.state == TrialState.PRUNED:
        outcome = f"pruned after epoch {trial.last_step}"
    else:
        outcome = f"failed: {trial.user_attrs.get('reason', 'no reason known')}"
    return f"{trial.user_attrs.get('directory', trial.number)}: {outcome}  {settings}  {seconds:.1f} s"


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that are done, orphans apart, in the order of their numbers."""
    return [trial for trial in study.get_trials(deepcopy=False, states=FINISHED) if not is_orphan(trial)]


def complete(search: Search) -> str:
    """What to say of a study that needs no more trials."""
    more = "" if search.points is not None else f"For more trials: hydra.sweeper.n_trials={2 * search.n_trials}\n"
    return (
        f"The study {search.name} in {search.directory} is complete: {search.n_trials} trials.\n{more}"
        "For a fresh one: study_name=..."
    )


def conclude(search: Search, study: optuna.Study) -> None:
    """Say what the study found, and write it to `optimization_results.yaml` as Hydra's sweeper does.

    Raises:
        UserError: too many trials failed, or none is complete.
    """
    trials = finished(study)
    failed = failures(trials)
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    counts = {state.name.lower(): sum(trial.state == state for trial in trials) for state in FINISHED}
    log.info("%s", ", ".join(f"{count} {name}" for name, count in counts.items()))
    if len(failed) > search.max_failures or not done:
        reasons = "\n".join(f"  {line(trial, search)}" for trial in failed[-5:])
        raise UserError(
            f"{len(failed)} of {len(trials)} trials failed"
            + (f", more than hydra.sweeper.max_failure_rate={search.max_failure_rate} of {search.n_trials} allows"
               if len(failed) > search.max_failures else ", and none is complete")
            + f". The last:\n{reasons}\nTheir logs: {search.directory}/*/train.log. "
            "To go on all the same: hydra.sweeper.max_failure_rate=1; for a fresh start: study_name=..."
        )  # fmt: skip
    if search.config.revalidate is not None:
        for row in revalidation_table(done, search):
            log.info("%s", row)
    if len(search.monitors) == 1:
        best = study.best_trial
        results = {"name": "optuna", "best_params": best.params, "best_value": best.value}
        log.info("best: %s", line(best, search))
        log.info("its run: %s", search.directory / best.user_attrs["directory"])
    else:
        front = sorted(study.best_trials, key=lambda trial: trial.values)
        results = {"name": "optuna", "solutions": [{"params": t.params, "values": list(t.values)} for t in front]}
        log.info("Pareto front of %s:", " and ".join(search.monitors))
        for trial in front:
            log.info("  %s", line(trial, search))
    write_whole(search.directory / "optimization_results.yaml", OmegaConf.to_yaml(OmegaConf.create(results)))
    log.info("compare its runs: python -m lstm_ae.compare %s", search.directory)


def revalidation_table(done: list[FrozenTrial], search: Search) -> list[str]:
    """The settings that were trained again, best first, each with mean and standard deviation over its runs."""
    varied = {"seed", "dataset.fold"}
    groups: dict[str, list[FrozenTrial]] = {}
    for trial in done:
        name = " ".join(f"{key}={value}" for key, value in trial.params.items() if key not in varied)
        groups.setdefault(name, []).append(trial)
    sign = 1 if search.directions[0] == "minimize" else -1
    rows = []
    for name, trials in sorted(groups.items(), key=lambda group: sign * fmean(t.values[0] for t in group[1])):
        for index, monitor in enumerate(search.monitors):
            values = [trial.values[index] for trial in trials]
            spread = f" +- {stdev(values):.3g}" if len(values) > 1 else ""
            rows.append(f"{monitor} {fmean(values):.6g}{spread} over {len(values)} run(s): {name}")
    return rows
