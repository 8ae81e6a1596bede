"""The command that trains a run again composes to the config that the run had, wherever the run came from."""

import json
import shlex

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lstm_ae.config import CONF
from lstm_ae.runs import retrain
from lstm_ae.runs.frame import load_runs
from lstm_ae.runs.settings import flatten


def composed(arguments):
    with initialize_config_dir(CONF):
        return compose("config", arguments, return_hydra_config=True)


def job(config):
    return flatten({key: value for key, value in OmegaConf.to_container(config).items() if key != "hydra"})


def begin(path, *overrides, resumes=()):
    """A run directory as Hydra begins it."""
    config = composed(list(overrides))
    (path / ".hydra").mkdir(parents=True)
    choices = "".join(f"      {group}: {option or 'null'}\n" for group, option in config.hydra.runtime.choices.items())
    (path / ".hydra/hydra.yaml").write_text(f"hydra:\n  runtime:\n    choices:\n{choices}  verbose: false\n")
    (path / ".hydra/overrides.yaml").write_text(OmegaConf.to_yaml(list(overrides)))
    own = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    (path / ".hydra/config.yaml").write_text(OmegaConf.to_yaml(own))
    (path / "summary.json").write_text(json.dumps({"status": "completed", "resumes": list(resumes)}))
    return job(config)


def again(path):
    """The words of the command behind `python -m lstm_ae.train`."""
    return shlex.split(retrain.command(load_runs(path)))[3:]


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.hidden_size=8", "seed=3"],
        ["experiment=digits", "optimizer=sgd", "optimizer.lr=1e-3"],
        ["model=classifier", "dataset=digits_rows", "monitor=val/accuracy", "mode=max"],
        ["sweep=synthetic_grid", "optimizer.lr=0.01", "model.hidden_size=8"],
        ["sweep=mnist_rows_pareto", "model.hidden_size=8"],
        ["sweep=mnist_rows_tpe", "study_name=mine", "workers=2", "model.hidden_size=8", "trainer.patience=null"],
        ["dataset.dip_center=[20,25]", "+trainer.note='a, b'"],
    ],
)
def test_the_same_config(tmp_path, overrides):
    then = begin(tmp_path / "0", *overrides)
    arguments = again(tmp_path)
    assert not any(argument.startswith(("rerun=", "pruner", "sweep=", "-m")) for argument in arguments)
    today = job(composed(arguments))
    different = {key for key in today.keys() | then.keys() if today.get(key) != then.get(key)}
    assert {key.split(".")[0] for key in different} <= set(retrain.NOT_AGAIN)


def test_seeds_become_a_multirun(tmp_path):
    for seed in (0, 1):
        begin(tmp_path / str(seed), "sweep=synthetic_grid", "optimizer.lr=0.01", f"seed={seed}")
    arguments = again(tmp_path)
    assert arguments[0] == "-m"
    assert arguments[-1] == "seed=0,1"
    assert not any(argument.startswith("sweep=") for argument in arguments)


def test_what_a_resume_changed_is_trained_too(tmp_path):
    begin(tmp_path, "trainer.max_epochs=5", resumes=[{"epoch": 5, "overrides": ["trainer.max_epochs=9"]}])
    assert again(tmp_path) == ["trainer.max_epochs=9"]


def test_a_config_that_todays_configs_cannot_make_is_named_by_its_file(tmp_path):
    begin(tmp_path, "trainer.max_epochs=5")
    config = tmp_path / ".hydra/config.yaml"
    config.write_text(config.read_text() + "gone: 1\n")
    assert again(tmp_path) == [f"rerun={tmp_path}"]


def test_several_of_them_get_a_line_each(tmp_path):
    for seed in (0, 1):
        begin(tmp_path / str(seed), f"seed={seed}")
        config = tmp_path / str(seed) / ".hydra/config.yaml"
        config.write_text(config.read_text() + "gone: 1\n")
    lines = retrain.command(load_runs(tmp_path)).splitlines()
    assert [line.split()[-1] for line in lines] == [f"rerun={tmp_path / str(seed)}" for seed in (0, 1)]


@pytest.mark.parametrize("text", ["gone: 1\nhydra: {job: {env_set: {HARM: done}}}\n", "[", None])
def test_no_command_trusts_a_directory_that_holds_more_than_a_config(tmp_path, text):
    begin(tmp_path, "trainer.max_epochs=5")
    if text is None:
        (tmp_path / ".hydra/config.yaml").unlink()
    else:
        (tmp_path / ".hydra/config.yaml").write_text(text)
    assert again(tmp_path) == []


def test_an_override_of_hydras_own_is_not_printed(tmp_path):
    begin(tmp_path, "trainer.max_epochs=5")
    (tmp_path / ".hydra/overrides.yaml").write_text("- trainer.max_epochs=5\n- hydra.job.env_set={HARM:done}\n")
    assert again(tmp_path) == ["trainer.max_epochs=5"]
