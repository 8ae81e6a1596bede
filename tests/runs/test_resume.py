"""`resume=RUN_DIR` becomes the run's own config and what was changed last, and nothing that a directory smuggles in."""

import json

import pytest

from lstm_ae.errors import UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.frame import load_runs
from lstm_ae.runs.resume import changes, further_overrides, resumed
from tests.commands import TINY_SYNTHETIC, run, train


@pytest.fixture
def stopped(tmp_path):
    """A run that was stopped after its first epoch."""
    directory = RunDirectory(tmp_path / "run")
    directory.config.parent.mkdir(parents=True)
    directory.config.write_text("seed: 0\ntrainer:\n  max_epochs: 5\n")
    directory.config.with_name("hydra.yaml").write_text("hydra: {}\n")
    directory.config.with_name("overrides.yaml").write_text("- seed=0\n")
    directory.checkpoints.mkdir()
    (directory.checkpoints / "last.pt").write_bytes(b"")
    directory.update_summary(status="stopped")
    return directory


def test_a_command_without_resume_stays_as_it_is():
    assert resumed(["seed=1", "resume=null"]) == ["seed=1", "resume=null"]


def test_the_runs_own_config_then_the_further_overrides(stopped):
    *arguments, last = resumed([f"resume={stopped.path}", "trainer.max_epochs=9"])
    assert arguments == [
        f"--config-path={stopped.config.parent}", "--config-name=config", f"hydra.run.dir='{stopped.path}'",
        "hydra.output_subdir=null", "trainer.max_epochs=9",
    ]  # fmt: skip
    assert last == f"resume='{stopped.path}'"


def test_what_was_asked_last_is_what_goes_on(stopped):
    resumes = [
        {"epoch": 1, "overrides": ["trainer.max_epochs=9", "+trainer.patience=2"]},
        {"epoch": 3, "overrides": ["trainer.max_epochs=2000"]},
    ]
    stopped.update_summary(resumes=resumes)
    assert {"trainer.max_epochs=2000", "+trainer.patience=2"} < set(resumed([f"resume={stopped.path}"]))
    shorter = resumed([f"resume={stopped.path}", "trainer.max_epochs=4"])
    assert "trainer.max_epochs=4" in shorter
    assert "trainer.max_epochs=2000" not in shorter


@pytest.mark.parametrize(
    "smuggled",
    [
        ["hydra.job.env_set={HARM: done}"], ["+hydra.job.env_set={HARM: done}"], ["hydra/launcher=joblib"],
        ["--config-dir=elsewhere"], ["-m"], [["seed=1"]], "seed=1", [{"seed": 1}], ["~seed"], None,
    ],
)  # fmt: skip
def test_a_recorded_override_that_is_no_plain_setting_is_left_out(stopped, smuggled):
    stopped.update_summary(resumes=[{"epoch": 1, "overrides": smuggled}])
    assert changes(stopped.read_summary()) == []
    assert len(resumed([f"resume={stopped.path}"])) == 5


@pytest.mark.parametrize("resumes", [None, 3, [], [3], ["x"], {"epoch": 1}, [{}]])
def test_resumes_of_any_kind_are_read(resumes):
    assert changes({"resumes": resumes}) == []


@pytest.mark.parametrize(
    "text",
    [
        "seed: 0\nhydra:\n  job: {}\n", 'seed: 0\n"hydra": {}\n', "seed: 0\nhydra : {}\n", "? hydra\n: {}\nseed: 0\n",
        "!!str hydra: {}\n", "{seed: 0, hydra: {}}\n", "  seed: 0\n  hydra: {}\n", "<<: {hydra: {}}\n", "1: 2\n",
        "defaults: []\nseed: 0\n", "# @package hydra\njob: {}\n", "hydra.job.chdir: true\n", "[]", "seed", "a: [",
        "x: " + "[" * 20_000, "x: " + "a" * 2_000_000, "\0",
    ],
)  # fmt: skip
def test_a_config_that_holds_more_than_settings_is_refused(stopped, text):
    stopped.config.write_text(text)
    with pytest.raises(UserError, match=r"more than Hydra writes there|not a config of this program") as refusal:
        resumed([f"resume={stopped.path}"])
    assert len(str(refusal.value)) < 1000


def test_another_file_beside_the_config_is_refused(stopped):
    (stopped.config.parent / "default.yaml").write_text("")
    with pytest.raises(UserError, match="more than Hydra writes there"):
        resumed([f"resume={stopped.path}"])


def test_a_complete_run_is_not_resumed_without_a_change(stopped, capsys):
    stopped.update_summary(status="completed")
    with pytest.raises(SystemExit) as ended:
        resumed([f"resume={stopped.path}"])
    assert ended.value.code == 0
    assert "is complete" in capsys.readouterr().out
    assert resumed([f"resume={stopped.path}", "trainer.max_epochs=9"])


def test_further_overrides_are_those_that_change_something(stopped):
    given = ["seed=0", "trainer.max_epochs=9", "resume='x'"]
    assert further_overrides(stopped, given) == ["trainer.max_epochs=9"]
    stopped.update_summary(resumes=[{"epoch": 1, "overrides": ["seed=1", "trainer.max_epochs=9"]}])
    assert further_overrides(stopped, given) == ["seed=0"]
    stopped.config.with_name("overrides.yaml").write_text("[")
    assert further_overrides(stopped, ["seed=1", "trainer.max_epochs=8"]) == ["trainer.max_epochs=8"]


def test_a_resume_is_recorded_and_changed_data_refused(tmp_path):
    directory = train(*TINY_SYNTHETIC, "trainer.max_epochs=1", cwd=tmp_path)
    done = run("train", "resume=run", "trainer.max_epochs=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    before = (directory / "summary.json").read_text()
    assert json.loads(before)["resumes"] == [{"epoch": 1, "overrides": ["trainer.max_epochs=2"]}]
    (row,) = load_runs(directory).to_dict("records")
    assert (row["trainer.max_epochs"], row["epochs"]) == (2, 2)
    done = run("train", "resume=run", "trainer.max_epochs=3", "dataset.num_sequences=70", cwd=tmp_path)
    assert done.returncode == 1
    assert "data set has changed" in done.stderr and "Traceback" not in done.stderr
    assert (directory / "summary.json").read_text() == before
