"""Where a study is stored: its address, opening it, and keeping the processes that share it apart."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import optuna
import sqlalchemy
from filelock import Timeout
from optuna.pruners import BasePruner
from optuna.storages import RDBStorage

from lstm_ae.errors import UserError
from lstm_ae.runs.lock import hold

Direction = Literal["minimize", "maximize"]
ADVISORY_LOCK = 5135  # the number of our lock in a PostgreSQL server; any number will do, if it is always the same

LOCK_WAIT = 30  # seconds without the lock of an SQLite study before that is worth a line

log = logging.getLogger(__name__)

optuna.logging.set_verbosity(optuna.logging.WARNING)


def storage_url(storage: str | None, directory: Path) -> str:
    """The SQLAlchemy address of a study, the same from every working directory.

    Args:
        storage: the address as the user gave it; None stands for `study.db` in `directory`.
        directory: of the sweep.

    Raises:
        UserError: it is no such address.
    """
    if storage is None:
        return sqlalchemy.URL.create("sqlite", database=str(directory / "study.db")).render_as_string()
    try:
        url = sqlalchemy.make_url(storage)
    except sqlalchemy.exc.ArgumentError as error:
        raise UserError(
            f"hydra.sweeper.storage={storage}: must be an address such as sqlite:///FILE or "
            "postgresql+psycopg://USER@HOST/DATABASE, or null"
        ) from error
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        url = url.set(database=str(Path(url.database).absolute()))
    return url.render_as_string(hide_password=False)


@cache
def open_storage(url: str) -> RDBStorage:
    """Open the storage at `url`, once per process. The folder of an SQLite file is made.

    Raises:
        UserError: it cannot be opened.
    """
    parsed = sqlalchemy.make_url(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    if sqlite and parsed.database in (None, "", ":memory:"):
        raise UserError("hydra.sweeper.storage: a study in memory cannot be shared; name a file or leave it null")
    if sqlite:
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    try:
        return RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 120}} if sqlite else {"pool_pre_ping": True})
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, optuna.exceptions.StorageInternalError) as error:
        raise UserError(f"the study's storage {parsed} cannot be opened: {first_line(error)}") from error


def open_study(url: str, name: str, directions: list[Direction], pruner: BasePruner) -> optuna.Study:
    """Open a study, or create it if there is none.

    Raises:
        UserError: it cannot be opened, or it was created with other directions.
    """
    with exclusive(url):
        try:
            return optuna.create_study(
                storage=open_storage(url), study_name=name, directions=directions, pruner=pruner, load_if_exists=True
            )
        except ValueError as error:
            raise UserError(f"study_name={name}: the study that is there differs: {error}") from error


def find_study(url: str, name: str) -> optuna.Study | None:
    """Open a study if there is one; nothing is created.

    Raises:
        UserError: its storage cannot be opened.
    """
    parsed = sqlalchemy.make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database and not Path(parsed.database).is_file():
        return None
    try:
        return optuna.load_study(study_name=name, storage=open_storage(url))
    except KeyError:
        return None


def trial_id(url: str, study_name: str, number: int) -> int:
    """The id that the storage gave to a trial, from the trial's number in its study."""
    storage = open_storage(url)
    return storage.get_trial_id_from_study_id_trial_number(storage.get_study_id_from_name(study_name), number)


def annotate(url: str, study_name: str, number: int, **attributes: Any) -> None:
    """Write user attributes into a trial, whoever runs it."""
    identifier = trial_id(url, study_name, number)
    for name, value in attributes.items():
        open_storage(url).set_trial_user_attr(identifier, name, value)


@contextmanager
def exclusive(url: str) -> Iterator[None]:
    """Let one process at a time into the block, of all processes that share the storage at `url`.

    The lock is an advisory one in PostgreSQL, a file beside the database for SQLite. The system releases both when
    the process that holds them dies.
    """
    parsed = sqlalchemy.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
        try:
            connection = engine.connect()
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise UserError(f"the study's storage {parsed} cannot be reached: {first_line(error)}") from error
        with connection:
            connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({ADVISORY_LOCK})"))
            yield
        return
    path = Path(f"{parsed.database}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with waiting_for(path):
        yield


@contextmanager
def waiting_for(path: Path) -> Iterator[None]:
    """Hold a lock file, however long another process has it, and say so meanwhile."""
    while True:
        held = hold(path, wait=LOCK_WAIT)
        try:
            held.__enter__()
            break
        except Timeout:
            log.warning("another process has held %s for %d s; waiting for it to let go", path, LOCK_WAIT)
    try:
        yield
    finally:
        held.__exit__(None, None, None)


def check_database(url: str) -> None:
    """Look through the file of an SQLite study that is there, before anything relies on it.

    It is opened for writing: what a process that was killed left half written is rolled back, which a reader cannot do.

    Raises:
        UserError: it is damaged, or locked by another program.
    """
    parsed = sqlalchemy.make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or not Path(parsed.database).is_file():
        return
    try:
        with closing(sqlite3.connect(Path(parsed.database).as_uri() + "?mode=rw", uri=True, timeout=20)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        found = str(error)
    if "locked" in found:
        raise UserError(f"{parsed.database}: another program keeps it locked; end that one, or wait for it")
    if found != "ok":
        raise UserError(
            f"{parsed.database}: damaged ({' '.join(found.split())[:100]}). The runs beside it are whole: "
            "python -m lstm_ae.compare reads them without it. To search on, put a copy of the file back, or begin a "
            "fresh search with study_name=..."
        )


@contextmanager
def storage_blamed(url: str) -> Iterator[None]:
    """Raise what goes wrong with the storage at `url` as an error that names it.

    Raises:
        UserError: the storage fails.
    """
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
        raise UserError(
            f"the study's storage {sqlalchemy.make_url(url)} fails: {first_line(cause or error)}"
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def check_settings(study: optuna.Study, settings: dict[str, Any], url: str) -> None:
    """Write the settings of a search into a new study; compare them with those of an old one.

    Args:
        study: in the storage at `url`.
        settings: dotted keys and JSON values; whatever two trials of one study must have in common.
        url: of the storage.

    Raises:
        UserError: the study was begun with other settings; names the keys that differ.
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
            "Its trials would not compare. Use its settings, or give this search another name: study_name=..."
        )
