"""What a message tells people to type does what it says: every printed command is run."""

import os
import re
import shlex
import shutil
import signal
import time

import pytest

from lstm_ae.runs.directory import RunDirectory
from tests import commands
from tests.commands import TINY_SYNTHETIC


def run(processes, folder, *arguments, command="train"):
    """Run a command; its exit code and what it said."""
    output = folder / "output"
    output.unlink(missing_ok=True)
    code = processes.run(*arguments, cwd=folder, command=command)
    said = output.read_text()
    assert "Traceback" not in said, said
    return code, said


def type_in(processes, folder, line):
    """Run what stands behind `python -m lstm_ae.` in a printed line; it must succeed."""
    command, *arguments = shlex.split(line.partition("python -m lstm_ae.")[2])
    code, said = run(processes, folder, *arguments, command=command)
    assert code == 0, said
    return said


def lines_with(said, words):
    found = [line for line in said.splitlines() if words in line]
    assert found, said
    return found


@pytest.fixture(scope="module")
def trained(processes, tmp_path_factory):
    """A finished run in `run`."""
    folder = tmp_path_factory.mktemp("printed")
    assert run(processes, folder, *TINY_SYNTHETIC, "hydra.run.dir=run")[0] == 0
    return folder


@pytest.fixture
def place(trained, tmp_path):
    shutil.copytree(trained / "run", tmp_path / "run")
    return tmp_path


def test_of_a_complete_run(processes, place):
    said = run(processes, place, "resume=run")[1]
    (more,) = lines_with(said, "To train it further: ")
    assert run(processes, place, *more.partition("further: ")[2].split())[0] == 0
    assert len((place / "run/metrics.csv").read_text().splitlines()) == 1 + 4
    (again,) = lines_with(said, "python -m lstm_ae.evaluate")
    assert "test/loss" in type_in(processes, place, again)


def test_of_a_directory_that_is_taken(processes, place):
    code, said = run(processes, place, "seed=3", "hydra.run.dir=run")
    assert code == 1
    (ways,) = lines_with(said, "holds a run already")
    resume, again = re.findall(r"(?:resume|rerun)=[^\s;]+", ways)
    assert "is complete" in run(processes, place, resume)[1]
    assert "equal to the last bit" in run(processes, place, again)[1]


def test_of_a_resume_that_would_be_another_experiment(processes, place):
    code, said = run(processes, place, "resume=run", "seed=7")
    assert code == 1
    (new,) = lines_with(said, "weights=")
    type_in(processes, place, new)
    (config,) = place.glob("outputs/*/*/.hydra/config.yaml")
    assert "seed: 7" in config.read_text()


def test_of_a_run_without_a_checkpoint(processes, place):
    shutil.rmtree(place / "run/checkpoints")
    code, said = run(processes, place, "resume=run")
    assert code == 1
    assert run(processes, place, re.search(r"rerun=\S+", said)[0])[0] == 0


def test_of_a_run_that_was_stopped_twice_the_second_time_on_a_longer_way(processes, tmp_path):
    def epochs():
        return len(RunDirectory(tmp_path / "run").read_metrics())

    def stopped(*arguments, after):
        (tmp_path / "output").unlink(missing_ok=True)
        pid = processes.start(*arguments, cwd=tmp_path)
        while not RunDirectory(tmp_path / "run").can_resume() or epochs() <= after:
            time.sleep(0.01)
        os.kill(pid, signal.SIGINT)
        assert processes.wait(pid) == 128 + signal.SIGINT
        return lines_with((tmp_path / "output").read_text(), "go on with")[0]

    stopped(*TINY_SYNTHETIC, "trainer.max_epochs=100000", "hydra.run.dir=run", after=1)
    done = epochs()
    hint = stopped("resume=run", f"trainer.max_epochs={done + 60}", after=done + 2)
    type_in(processes, tmp_path, hint)
    assert epochs() == done + 60  # not the number before


def test_of_compare(processes, place):
    said = run(processes, place, "run", command="compare")[1]
    type_in(processes, place, lines_with(said, "python -m lstm_ae.train")[0])
    assert len([*place.glob("outputs/*/*/checkpoints/best.pt")]) == 1
    config = place / "run/.hydra/config.yaml"
    config.write_text(config.read_text() + "note: 1\n")  # which no overrides reproduce
    said = run(processes, place, "run", command="compare")[1]
    (again,) = lines_with(said, "python -m lstm_ae.train")
    assert "rerun=" in again
    assert "equal to the last bit" in type_in(processes, place, again)


@pytest.mark.soak
def test_of_searches(processes, tmp_path):
    """The best run of a search, and all of its seeds, trained again by what `compare` prints."""
    search = (
        "-m",
        "sweep=synthetic_grid",
        *TINY_SYNTHETIC[:-1],
        "model.hidden_size=2",
        "optimizer.lr=0.01",
        "seed=1,2",
    )
    done = commands.run("train", *search, "study_name=mine", cwd=tmp_path)  # its workers are programs of their own
    assert done.returncode == 0, done.stderr
    for options, count in (((), 1), (("--group-by-seed",), 2)):
        said = run(processes, tmp_path, "multirun/mine", *options, command="compare")[1]
        before = len([*tmp_path.rglob("best.pt")])
        type_in(processes, tmp_path, lines_with(said, "python -m lstm_ae.train")[0])
        assert len([*tmp_path.rglob("best.pt")]) == before + count
