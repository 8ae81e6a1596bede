"""A study that outlives its processes: where it is stored, who is alive in it, and which trial comes next."""

import fcntl
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.pruners import BasePruner
from optuna.samplers import RandomSampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from lstm_ae.errors import UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.lock import is_locked

HEARTBEAT = 20  # seconds between two signs of life
SILENCE = 180  # seconds without one after which a worker on another machine counts as dead
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

optuna.logging.set_verbosity(optuna.logging.WARNING)


def storage_url(storage: str | None, directory: Path) -> str:
    """An SQLAlchemy address that means the same from every working directory; `study.db` in `directory` by default."""
    if storage is None:
        return f"sqlite:///{directory / 'study.db'}"
    url = sqlalchemy.make_url(storage)
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        url = url.set(database=str(Path(url.database).absolute()))
    return url.render_as_string(hide_password=False)


@cache
def open_storage(url: str) -> RDBStorage:
    """The storage behind an address, opened once in a process; its folder is made.

    Raises:
        UserError: it cannot be opened.
    """
    parsed = sqlalchemy.make_url(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    if sqlite and parsed.database in (None, "", ":memory:"):
        raise UserError("hydra.sweeper.storage: a study in memory cannot be shared; name a file or leave it null")
    if sqlite:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        return RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 120}} if sqlite else {"pool_pre_ping": True})
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, optuna.exceptions.StorageInternalError) as error:
        raise UserError(f"the study's storage {parsed} cannot be opened: {str(error).splitlines()[0]}") from error


def open_study(url: str, name: str, directions: list[str], pruner: BasePruner) -> optuna.Study:
    """The study, made if there is none.

    Raises:
        UserError: it cannot be opened, or searches in other directions.
    """
    with exclusive(url):
        try:
            return optuna.create_study(
                storage=open_storage(url), study_name=name, directions=directions, pruner=pruner, load_if_exists=True
            )
        except ValueError as error:
            raise UserError(f"study_name={name}: the study that is there differs: {error}") from error


def find_study(url: str, name: str) -> optuna.Study | None:
    """The study, if there is one; makes nothing.

    Raises:
        UserError: its storage cannot be opened.
    """
    parsed = sqlalchemy.make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        return None
    try:
        return optuna.load_study(study_name=name, storage=open_storage(url))
    except KeyError:
        return None


@contextmanager
def exclusive(url: str) -> Iterator[None]:
    """One process at a time, of all that work on a storage: an advisory lock in PostgreSQL, else one beside the file.

    Both are let go by the system when their holder dies.
    """
    parsed = sqlalchemy.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(5135)"))
            yield
        return
    path = Path(f"{parsed.database}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def check_settings(study: optuna.Study, settings: dict[str, Any], url: str) -> None:
    """Give a new study its settings, and hold those of an old one against `settings`.

    Raises:
        UserError: they differ; names the keys.
    """
    with exclusive(url):
        known = study.user_attrs.get("settings")
        if known is None:
            study.set_user_attr("settings", settings)
            return
    absent = "(absent)"
    different = [key for key in sorted(known | settings) if known.get(key, absent) != settings.get(key, absent)]
    if different:
        lines = [f"  {key}: {known.get(key, absent)} there, {settings.get(key, absent)} here" for key in different[:12]]
        if len(different) > len(lines):
            lines.append(f"  and {len(different) - len(lines)} more")
        raise UserError(
            f"the study {study.study_name} was begun with other settings:\n" + "\n".join(lines) + "\n"
            "Its trials would not compare. Go on with its settings, or give this search a name: study_name=..."
        )


def machine() -> str:
    """This machine, in this boot."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()} {boot}"


@contextmanager
def alive_lock(directory: Path) -> Iterator[Path]:
    """A file in `directory` that is locked as long as this process lives."""
    folder = directory / ".workers"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def is_alive(trial: FrozenTrial, directory: Path) -> bool:
    """Whether the process behind a running trial still lives; ask only while you hold the study (`exclusive`)."""
    owner = trial.user_attrs.get("worker")
    if owner is None:
        return False  # its maker died before it let go of the study
    if is_locked(RunDirectory(directory / trial.user_attrs["directory"]).lock):
        return True  # the job itself, wherever its launcher put it
    if owner["machine"] == machine():
        # The trial of a dead worker is for its parent to fail, if that lives: queued again, it might kill the next one.
        return is_locked(Path(owner["lock"])) or is_locked(Path(owner["parent"]))
    return time.time() - trial.user_attrs.get("heartbeat", 0) < SILENCE


def is_orphan(trial: FrozenTrial) -> bool:
    """Whether a trial was cut off and its settings queued again."""
    return trial.user_attrs.get("orphan", False)


def failures(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Those that failed by themselves."""
    return [trial for trial in trials if trial.state == TrialState.FAIL and not is_orphan(trial)]


def counted(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Those that `n_trials` counts: finished or running, orphans apart."""
    return [trial for trial in trials if trial.state != TrialState.WAITING and not is_orphan(trial)]


def requeue_orphans(study: optuna.Study, directory: Path) -> None:
    """Fail the running trials whose process is gone and queue their settings again, in the same run directory.

    Ask only while you hold the study. Dying in here loses nothing: what is queued names the trial that it is for, and
    that trial is failed afterwards.
    """
    trials = study.get_trials(deepcopy=False)
    replaced = {trial.user_attrs.get("replaces") for trial in trials}
    for trial in trials:
        if trial.state != TrialState.RUNNING or is_alive(trial, directory):
            continue
        point = trial.system_attrs.get("fixed_params", {}) | trial.params
        if point and trial.number not in replaced:
            kept = {"directory": trial.user_attrs["directory"]} if "directory" in trial.user_attrs else {}
            study.enqueue_trial(point, user_attrs={"replaces": trial.number, **kept})
        live = optuna.Trial(study, trial._trial_id)
        live.set_user_attr("orphan", True)
        live.set_user_attr("reason", "its process was gone; its settings were queued again")
        study.tell(trial.number, state=TrialState.FAIL)


def claim(study: optuna.Study, search: Any, owner: dict[str, Any]) -> optuna.Trial | None:
    """The next trial, now `owner`'s, its run directory made; None when the study needs no more.

    Args:
        study: to take it from.
        search: what is searched (a `lstm_ae.sweeps.search.Search`).
        owner: what to write into the trial: `machine`, `pid`, and the lock files of the worker and of its `parent`.
    """
    with exclusive(search.storage):
        study.sampler = RandomSampler()  # marking orphans must not draw from the real one
        requeue_orphans(study, search.directory)
        trials = study.get_trials(deepcopy=False)
        taken = counted(trials)
        if len(taken) >= search.n_trials or len(failures(trials)) > search.max_failures:
            return None
        waiting = any(trial.state == TrialState.WAITING for trial in trials)
        if search.points is not None and not waiting:
            tried = [trial.system_attrs.get("fixed_params", {}) | trial.params for trial in taken]
            rest = [point for point in search.points if point not in tried]
            if not rest:
                return None
            study.enqueue_trial(rest[0])
        study.sampler = search.sampler_for(len(trials))
        trial = study.ask(search.space)
        if search.extend is not None:
            search.extend(search.config, trial)
        if "directory" not in trial.user_attrs:
            trial.set_user_attr("directory", new_directory(search.directory, trial.number))
        trial.set_user_attr("heartbeat", time.time())
        trial.set_user_attr("worker", owner)
        return trial


def new_directory(parent: Path, number: int) -> str:
    """The name of a directory that is new in `parent`: `number`, or `number-2`, ... where an older study left one."""
    for attempt in range(1, 1000):
        name = str(number) if attempt == 1 else f"{number}-{attempt}"
        try:
            (parent / name).mkdir(parents=True)
            return name
        except FileExistsError:
            continue
    raise UserError(f"{parent / str(number)}: no free name beside it")
