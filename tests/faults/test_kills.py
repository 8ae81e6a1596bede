"""Runs that are killed, stopped, starved of disk and started twice: nothing is lost beyond the epoch at hand."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from lstm_ae.errors import UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.training import checkpoint
from tests.commands import TINY_SYNTHETIC, environment, words

SETTINGS = (
    *TINY_SYNTHETIC, "trainer.max_epochs=6", "model.num_layers=2", "model.dropout=0.3", "scheduler=one_cycle",
)  # fmt: skip
RENAMES = 21  # of a whole run: its summary and metrics, and two checkpoints an epoch


@pytest.fixture(scope="module")
def whole(processes, tmp_path_factory):
    """What a run leaves that nobody stopped, and how long it took."""
    folder = tmp_path_factory.mktemp("whole")
    for name in ("slow", "run"):  # the first one imports what is imported late
        started = time.monotonic()
        assert processes.run(*SETTINGS, f"hydra.run.dir={name}", cwd=folder) == 0, (folder / "output").read_text()
    return results(folder / "run"), time.monotonic() - started


def results(run: Path):
    """All numbers of a run but the time that it took."""
    summary = json.loads((run / "summary.json").read_text())
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in RunDirectory(run).read_metrics()]
    state = checkpoint.load(run / "checkpoints/last.pt")
    weights = {name: tensor.tolist() for name, tensor in state["model"].items()}
    return summary["status"], summary["test"], summary["baselines"], summary["best"], rows, weights


def kept(run: Path) -> int:
    """How many epochs the last checkpoint holds; it must be whole if it is there."""
    try:
        return len(checkpoint.load(run / "checkpoints/last.pt")["history"])
    except UserError:
        assert not (run / "checkpoints/last.pt").exists()
        return 0


def next_command(run: Path, folder: Path, attempt: int) -> tuple[list[str], Path]:
    """What a user types after a kill: resume if there is something to resume, else a new directory."""
    if run is not None and RunDirectory(run).can_resume():
        return [f"resume={run.name}"], run
    return [*SETTINGS, f"hydra.run.dir=run{attempt}"], folder / f"run{attempt}"


def torture(processes, folder, whole, chance, kills, counts):
    """Kill a run `kills` times on its way to the end; what it leaves is what a run leaves that was never killed."""
    expected, seconds = whole
    run, attempt = None, 0
    config = None
    while kills > 0:
        attempt += 1
        arguments, run = next_command(run, folder, attempt)
        before = kept(run)
        if chance.random() < 0.5:
            options = {"rename": chance.randint(1, RENAMES - 3 * before), "after": chance.random() < 0.5}
            code = processes.run(*arguments, cwd=folder, **options)
            counts["at a rename"] += code == -signal.SIGKILL
        else:
            pid = processes.start(*arguments, cwd=folder)
            time.sleep(chance.uniform(0, 0.9) * seconds)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            code = processes.wait(pid)
            counts["at a random moment"] += code == -signal.SIGKILL
        now = kept(run)
        rows = RunDirectory(run).read_metrics()
        assert now >= before, "an epoch was lost"
        assert now <= len(rows) <= now + 1, "metrics.csv and last.pt disagree by more than the epoch at hand"
        counts["epochs lost beyond the one at hand"] += max(0, before - now)
        saved = run / ".hydra/config.yaml"
        if config is not None and before:
            assert saved.read_text() == config
        config = saved.read_text() if saved.is_file() else None
        kills -= code == -signal.SIGKILL
        if code == 0:
            break
        assert code == -signal.SIGKILL, (folder / "output").read_text()[-2000:]
    if code != 0:
        arguments, run = next_command(run, folder, attempt + 1)
        assert processes.run(*arguments, cwd=folder) == 0, (folder / "output").read_text()[-2000:]
    assert results(run) == expected
    assert not (run / ".lock").exists() and not list(run.rglob(".*.pt"))
    assert "Traceback" not in (folder / "output").read_text()
    counts["endings equal to the last bit"] += 1


def test_a_run_that_is_killed_again_and_again(processes, whole, tmp_path):
    counts = Counter()
    torture(processes, tmp_path, whole, random.Random(5), 4, counts)
    assert counts["at a rename"] + counts["at a random moment"] >= 2


@pytest.mark.soak
def test_three_hundred_kills(processes, whole, tmp_path):
    wanted = int(os.environ.get("LSTM_AE_SOAK_KILLS", "300"))
    counts, chance = Counter(), random.Random(0)
    for chain in range(10_000):
        folder = tmp_path / str(chain)
        folder.mkdir()
        torture(processes, folder, whole, chance, chance.randint(2, 8), counts)
        if counts["at a rename"] + counts["at a random moment"] >= wanted:
            break
    print(f"\nkills of runs: {dict(counts)}")


@pytest.mark.soak
@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_every_rename(processes, whole, tmp_path, after):
    number, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        code = processes.run(*SETTINGS, "hydra.run.dir=run0", cwd=folder, rename=number, after=after)
        if code == -signal.SIGKILL:
            arguments, run = next_command(folder / "run0", folder, 1)
            assert processes.run(*arguments, cwd=folder) == 0, (folder / "output").read_text()[-2000:]
            assert results(run) == whole[0]
    assert number > 15
    print(f"\nkilled {'after' if after else 'before'} each of {number - 1} renames; every ending equal")


def stop(processes, folder, number, delay):
    """Start a run, send it a signal after a while, and return its exit code and what it said."""
    pid = processes.start(*SETTINGS, "trainer.max_epochs=100000", "hydra.run.dir=run", cwd=folder)
    time.sleep(delay)
    os.kill(pid, number)
    return processes.wait(pid), (folder / "output").read_text()


def check_stopped(folder, number, code, said):
    assert code == 128 + number, said[-2000:]
    assert not any(word in said for word in ("Traceback", "RecursionError", "Exception ignored")), said[-2000:]
    summary = folder / "run/summary.json"
    if summary.is_file():
        assert json.loads(summary.read_text())["status"] == "stopped"
    assert kept(folder / "run") == 0 or "resume=" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_at_any_moment_stops_a_run_in_a_line(processes, whole, tmp_path, number):
    delay = 0.5 * whole[1] if number == signal.SIGHUP else 0.1 * whole[1]
    check_stopped(tmp_path, number, *stop(processes, tmp_path, number, delay))


@pytest.mark.soak
def test_sixty_signals(processes, whole, tmp_path):
    chance, moments = random.Random(1), Counter()
    for i in range(60):
        number = chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        folder = tmp_path / str(i)
        folder.mkdir()
        check_stopped(folder, number, *stop(processes, folder, number, chance.uniform(0.02, 1) * whole[1]))
        moments["in training" if kept(folder / "run") else "before the first epoch"] += 1
    print(f"\nsignals that stopped a run in a line: {dict(moments)}")


@pytest.mark.soak
@pytest.mark.parametrize("command", ["train", "evaluate", "forecast", "compare"])
def test_signals_during_the_imports(tmp_path, command):
    """Of the real program: whatever the moment, it ends in a line."""
    chance = random.Random(2)
    for _ in range(5):
        program = words(command, "run=nowhere" if command != "train" else "--cfg=job")
        process = subprocess.Popen(
            program, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        time.sleep(chance.uniform(0.3, 3))
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=120)
        assert "Traceback" not in said and "RecursionError" not in said, said


def test_a_disk_that_fills_up_costs_no_epoch_and_no_traceback(processes, tmp_path):
    code = processes.run(*SETTINGS, "hydra.run.dir=run", cwd=tmp_path, file_size=8_000)
    said = (tmp_path / "output").read_text()
    assert code == 1 and "Traceback" not in said, said[-2000:]
    assert "File too large" in said
    assert json.loads((tmp_path / "run/summary.json").read_text())["status"] == "failed"
    assert not list((tmp_path / "run").rglob(".*.*")) or {p.name for p in (tmp_path / "run").rglob(".*")} == {".hydra"}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB; skipped where this process may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("may not mount a file system here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.soak
def test_a_file_system_that_fills_up_midway(processes, whole, small_disk, tmp_path):
    pid = processes.start(*SETTINGS, "trainer.max_epochs=100000", f"hydra.run.dir={small_disk}/run", cwd=tmp_path)
    run = small_disk / "run"
    while not (run / "checkpoints/last.pt").is_file():
        time.sleep(0.01)
    filler = os.open(small_disk / "filler", os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while True:
            os.write(filler, bytes(512))
    os.close(filler)
    code = processes.wait(pid)
    said = (tmp_path / "output").read_text()
    assert code == 1 and "Traceback" not in said, said[-2000:]
    assert "No space left" in said, said[-500:]
    epochs = kept(run)
    assert epochs >= 1
    # The run cannot always say how it ended on a disk that is full; whoever looks sees that nobody is at work in it.
    (tmp_path / "output").unlink()
    assert processes.run(str(run), cwd=tmp_path, command="compare") == 0
    said = (tmp_path / "output").read_text()
    assert "failed" in said or "no process on this machine is at work on it" in said, said
    print(f"\nstatus on the full disk: {RunDirectory(run).read_summary()['status']}")
    (small_disk / "filler").unlink()
    assert processes.run(f"resume={run}", f"trainer.max_epochs={epochs + 2}", cwd=tmp_path) == 0
    assert kept(run) == epochs + 2


def test_two_starts_in_one_directory(processes, whole, tmp_path):
    pids = [processes.start(*SETTINGS, "hydra.run.dir=run", cwd=tmp_path) for _ in range(2)]
    codes = sorted(processes.wait(pid) for pid in pids)
    said = (tmp_path / "output").read_text()
    assert codes == [0, 1], said
    assert "holds a run already" in said or "another process is training" in said
    assert results(tmp_path / "run") == whole[0]
    # And later: a run that is finished is not overwritten.
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "run").rglob("*"))
    assert processes.run("seed=5", "hydra.run.dir=run", cwd=tmp_path) == 1
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "run").rglob("*")) == before


def test_two_resumes_and_a_clock_that_was_set_back(processes, whole, tmp_path):
    assert processes.run(*SETTINGS, "hydra.run.dir=run", cwd=tmp_path, rename=10) == -signal.SIGKILL
    for path in (tmp_path / "run").rglob("*"):
        os.utime(path, (2**32, 2**32))  # in the year 2106
    pids = [processes.start("resume=run", cwd=tmp_path) for _ in range(2)]
    codes = sorted(processes.wait(pid) for pid in pids)
    said = (tmp_path / "output").read_text()
    assert codes in ([0, 0], [0, 1]), said  # the second may find the run complete
    assert codes == [0, 0] or "another process is training" in said
    assert "Traceback" not in said
    assert results(tmp_path / "run") == whole[0]


@pytest.mark.soak
def test_sixty_kills_of_searches(tmp_path):
    kills = os.environ.get("LSTM_AE_SOAK_SWEEP_KILLS", "60")
    program = Path(__file__).parents[2] / "experiments/sweeps/torture.py"
    done = subprocess.run([sys.executable, program, kills, "1"], cwd=tmp_path, env=environment(), capture_output=True,
                          text=True)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"\nkills of searches: {kills}; {done.stdout.splitlines()[-1]}")
