"""`resume=RUN_DIR` becomes the run's own config and what was changed last, and nothing that a directory smuggles in."""

import json

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import lstm_ae.console  # noqa: F401  (it registers the resolver that conf/config.yaml uses)
from lstm_ae.config import CONF
from lstm_ae.errors import UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.frame import load_runs
from lstm_ae.runs.overrides import changes
from lstm_ae.runs.resume import further_overrides, reopened
from lstm_ae.training import checkpoint
from tests.commands import TINY_SYNTHETIC, run, train


@pytest.fixture(scope="module")
def config():
    """The text of a run's saved config."""
    with initialize_config_dir(CONF):
        return OmegaConf.to_yaml(compose("config", ["trainer.max_epochs=5"]))


@pytest.fixture
def stopped(tmp_path, config):
    """A run that was stopped after its first epoch."""
    directory = RunDirectory(tmp_path / "run")
    directory.config.parent.mkdir(parents=True)
    directory.config.write_text(config)
    directory.config.with_name("hydra.yaml").write_text("hydra: {}\n")
    directory.config.with_name("overrides.yaml").write_text("- seed=0\n")
    directory.checkpoints.mkdir()
    checkpoint.save(directory.checkpoints / "last.pt", {"history": [], "optimizer": {}})
    directory.write_metrics([{"epoch": 1, "val/loss": 0.5}])
    directory.update_summary(status="stopped")
    return directory


def test_a_command_without_resume_stays_as_it_is():
    assert reopened(["seed=1", "resume=null"]) == ["seed=1", "resume=null"]


def test_the_runs_own_config_then_the_further_overrides(stopped):
    *arguments, last = reopened([f"resume={stopped.path}", "trainer.max_epochs=9"])
    assert arguments == [
        f"--config-path={stopped.config.parent}", "--config-name=config", f"hydra.run.dir='{stopped.path}'",
        "hydra.output_subdir=null", "trainer.max_epochs=9",
    ]  # fmt: skip
    assert last == f"resume='{stopped.path}'"


def test_what_was_asked_last_is_what_goes_on(stopped):
    resumes = [
        {"epoch": 1, "overrides": ["trainer.max_epochs=9", "++trainer.patience=2"]},
        {"epoch": 3, "overrides": ["trainer.max_epochs=2000"]},
    ]
    stopped.update_summary(resumes=resumes)
    assert {"trainer.max_epochs=2000", "++trainer.patience=2"} < set(reopened([f"resume={stopped.path}"]))
    shorter = reopened([f"resume={stopped.path}", "trainer.max_epochs=4"])
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
    assert len(reopened([f"resume={stopped.path}"])) == 5


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
    with pytest.raises(
        UserError, match=r"more than Hydra writes there|not a config of this program|no keys"
    ) as refusal:
        reopened([f"resume={stopped.path}"])
    assert len(str(refusal.value)) < 1000


def test_another_file_beside_the_config_is_refused(stopped):
    (stopped.config.parent / "default.yaml").write_text("")
    with pytest.raises(UserError, match="more than Hydra writes there"):
        reopened([f"resume={stopped.path}"])


def complete(directory, capsys, *overrides):
    """What is said to a resume of a complete run; None where it goes on."""
    directory.update_summary(status="completed")
    try:
        reopened([f"resume={directory.path}", *overrides])
    except SystemExit as ended:
        assert ended.code == 0
        return capsys.readouterr().out


def test_a_complete_run_is_not_resumed_without_a_change(stopped, capsys):
    stopped.write_metrics([{"epoch": epoch, "val/loss": 1 / epoch} for epoch in range(1, 6)])
    assert f"To train it further: resume={stopped.path} trainer.max_epochs=10\n" in complete(stopped, capsys)
    assert "is complete" in complete(stopped, capsys, "trainer.max_epochs=3")
    assert complete(stopped, capsys, "trainer.max_epochs=9") is None


def test_a_run_that_stopped_early_is_told_what_would_make_it_longer(stopped, capsys, config):
    stopped.config.write_text(config.replace("patience: null", "patience: 2"))
    stopped.write_metrics([{"epoch": epoch, "val/loss": loss} for epoch, loss in enumerate([0.3, 0.4, 0.5], 1)])
    assert f"resume={stopped.path} trainer.patience=null\n" in complete(stopped, capsys)
    assert "trainer.patience=null" in complete(stopped, capsys, "trainer.max_epochs=100")  # changes nothing
    assert complete(stopped, capsys, "trainer.patience=3") is None
    stopped.folds.mkdir()
    assert "cross-validated" in complete(stopped, capsys, "trainer.max_epochs=100")


@pytest.mark.parametrize(
    ("override", "kind"),
    [
        ("seed=7", "resume"), ("split_seed=1", "rerun"), ("monitor=val/reconstruction", "resume"),
        ("model.hidden_size=9", "rerun"), ("++optimizer.lr=1", "resume"), ("dataset.num_train=8", "resume"),
        ("dataset.num_folds=3", "resume"), ("trainer.gradient_clip_norm=9", "resume"), ("optimizer={lr: 1}", "resume"),
        ("+new=1", "resume"), ("~pruner", "resume"), ("cross_validation=3", "resume"),
    ],
)  # fmt: skip
def test_what_would_make_another_experiment_is_refused(stopped, override, kind):
    before = sorted((path, path.stat().st_mtime_ns) for path in stopped.path.rglob("*"))
    with pytest.raises(UserError, match="would make another experiment of it") as refusal:
        reopened([f"{kind}={stopped.path}", override])
    text = str(refusal.value)
    assert text.splitlines()[-1].endswith(f"weights={stopped.path}")
    assert override in text.replace("'", "") and "trainer.max_epochs=5" in text.splitlines()[-1]
    assert sorted((path, path.stat().st_mtime_ns) for path in stopped.path.rglob("*")) == before


def test_what_may_be_set(stopped):
    own = ["trainer.max_epochs=9", "trainer.patience=3", "device=cpu", "threads=1", "backend=torch", "seed=0"]
    assert set(own) < set(reopened([f"resume={stopped.path}", *own]))
    with pytest.raises(UserError, match=r"trainer\.max_epochs=9: would make another experiment"):
        reopened([f"rerun={stopped.path}", *own])
    assert set(own[2:]) < set(reopened([f"rerun={stopped.path}", *own[2:]]))


def test_a_key_that_an_older_run_lacks_is_added(stopped, config):
    stopped.config.write_text(config.replace("  patience: null\n", ""))
    with pytest.raises(UserError):  # not an error of Hydra's about a key that is not in the struct
        reopened([f"resume={stopped.path}", "trainer.patience=x"])
    assert "+trainer.patience=3" in reopened([f"resume={stopped.path}", "trainer.patience=3"])


@pytest.mark.parametrize("value", ["-1", "0", "x", "null", "1.5", "[1]", "${seed}"])
def test_a_typo_is_found_before_anything_is_written(stopped, value):
    with pytest.raises(UserError, match=r"trainer\.max_epochs=.* must be a whole number >= 1"):
        reopened([f"resume={stopped.path}", f"trainer.max_epochs={value}"])
    assert stopped.read_summary() == {"status": "stopped"}


def test_a_rerun_starts_from_the_runs_own_config_and_claims_a_new_directory(stopped):
    stopped.update_summary(resumes=[{"epoch": 1, "overrides": ["trainer.max_epochs=9"]}])
    arguments = reopened([f"rerun={stopped.path}", "threads=1"])
    assert arguments == [
        f"--config-path={stopped.config.parent}", "--config-name=config",
        "+hydra.callbacks.claim._target_=lstm_ae.runs.claim.Claim", "trainer.max_epochs=9", "threads=1",
        "++resume=null", f"++rerun='{stopped.path}'",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-m", "resume={run}"], "leave out -m"),
        (["resume={run}", "rerun={run}"], "give one"),
        (["resume={run}", "hydra.run.dir=x"], "rerun="),
        (["rerun=nowhere"], "no run there"),
        (["resume={run}/checkpoints"], "no run there"),
    ],
)
def test_what_makes_no_sense_together(stopped, arguments, words):
    with pytest.raises(UserError, match=words):
        reopened([argument.format(run=stopped.path) for argument in arguments])


def test_a_run_without_a_checkpoint_is_not_resumed_but_rerun(stopped):
    (stopped.checkpoints / "last.pt").unlink()
    with pytest.raises(UserError, match=r"nothing to resume.*rerun="):
        reopened([f"resume={stopped.path}"])
    assert reopened([f"rerun={stopped.path}"])


def test_further_overrides_are_those_that_change_something(stopped):
    given = ["seed=0", "trainer.max_epochs=9", "resume='x'"]
    assert further_overrides(stopped, given) == ["trainer.max_epochs=9"]
    stopped.update_summary(resumes=[{"epoch": 1, "overrides": ["seed=1", "trainer.max_epochs=9"]}])
    assert further_overrides(stopped, given) == ["seed=0"]
    stopped.config.with_name("overrides.yaml").write_text("[")
    assert further_overrides(stopped, ["seed=1", "trainer.max_epochs=8"]) == ["trainer.max_epochs=8"]


def test_a_resume_is_recorded(tmp_path):
    directory = train(*TINY_SYNTHETIC, "trainer.max_epochs=1", cwd=tmp_path)
    done = run("train", "resume=run", "trainer.max_epochs=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((directory / "summary.json").read_text())["resumes"] == [
        {"epoch": 1, "overrides": ["trainer.max_epochs=2"]}
    ]
    (row,) = load_runs(directory).to_dict("records")
    assert (row["trainer.max_epochs"], row["epochs"]) == (2, 2)
