"""What a command line makes of the searches in conf/sweep: spaces, settings, and what is refused."""

import os
import sys
from pathlib import Path

import optuna
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from lstm_ae.config import CONF
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.sweeps.claiming import claim
from lstm_ae.sweeps.liveness import Worker, alive_lock, machine
from lstm_ae.sweeps.search import build_search, hash_seed

SEARCHES = sorted(path.stem for path in Path(CONF, "sweep").glob("*.yaml"))
AD_HOC = {"search", "grid", "shortlist"}


def rehearse(found):
    with initialize_config_dir(CONF):
        found.rehearse(GlobalHydra.instance().config_loader())


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_composes_and_says_how_to_start_it(search, name):
    given = ["model.hidden_size=2,3"] if name in AD_HOC else ["dataset.path=log.csv"] if name == "anomaly" else []
    found = search(f"sweep={name}", *given)
    assert found.name == name
    assert found.directory == Path("multirun", name).absolute()
    assert found.n_trials >= 1
    assert not found.directory.exists()
    assert f"-m sweep={name}" in Path(CONF, "sweep", f"{name}.yaml").read_text().splitlines()[1]


@pytest.mark.parametrize(("name", "points"), [("synthetic_grid", 18), ("mnist_rows_grid", 16), ("mnist_rows_c", 9)])
def test_grids_hold_the_points_of_the_reports(search, name, points):
    found = search(f"sweep={name}")
    assert found.n_trials == len(found.points) == points
    assert search(f"sweep={name}", "hydra.sweeper.n_trials=4").n_trials == 4


def test_the_direction_follows_the_mode(search):
    assert search("sweep=synthetic_tpe").directions == ["minimize"]
    assert search("sweep=mnist_rows_tpe").directions == ["maximize"]
    assert search("sweep=mnist_rows_pareto").directions == ["maximize", "minimize"]


@pytest.mark.parametrize("pruner", ["none", "median", "hyperband", "successive_halving", "patient"])
def test_every_pruner_can_be_built(search, pruner):
    assert isinstance(search("sweep=synthetic_tpe", f"pruner={pruner}").pruner, optuna.pruners.BasePruner)


def test_a_later_override_wins_over_the_space(search):
    fixed = search("sweep=synthetic_tpe", "model.hidden_size=16")
    assert "model.hidden_size" not in fixed.space
    assert "model.hidden_size=16" in fixed.overrides
    assert search("sweep=synthetic_grid", "model.hidden_size=4,5").n_trials == 12


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["sweep=mnist_rows_tpe", "monitor=val/loss", "mode=min"], "monitor"),
        (["sweep=mnist_rows_pareto", "pruner=median"], "pruner"),
        (["sweep=mnist_rows_pareto", "mode=max"], "mode"),
        (["sweep=synthetic_tpe", "study_name=null"], "study_name"),
        (["sweep=synthetic_tpe", "study_name=../else"], "study_name"),
        (["sweep=synthetic_tpe", "workers=0"], "workers"),
        (["sweep=synthetic_tpe", "hydra.sweeper.direction=maximize"], "hydra.sweeper.direction"),
        (["sweep=synthetic_tpe", "mode=max"], "mode"),
        (["sweep=synthetic_grid", "optimizer.lr=interval(0.1,0.2)"], "optimizer.lr"),
        (["sweep=synthetic_tpe", "revalidate=2", "cross_validation=3"], "revalidate"),
        (["sweep=synthetic_tpe", "hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials"),
        (["sweep=synthetic_tpe", "hydra.sweeper.n_trials=x"], "hydra.sweeper.n_trials"),
        (["sweep=synthetic_tpe", "hydra.sweeper.n_trials=null"], "hydra.sweeper.n_trials"),
        (["sweep=synthetic_tpe", "hydra.sweeper.max_failure_rate=2"], "hydra.sweeper.max_failure_rate"),
        (["sweep=synthetic_tpe", "hydra.sweeper.direction=up"], "hydra.sweeper.direction"),
    ],
)
def test_what_cannot_be_searched_is_refused_by_its_key(search, overrides, key):
    with pytest.raises(ConfigError) as refused:
        search(*overrides)
    assert refused.value.key == key
    assert not Path("multirun").exists()


def test_a_search_needs_something_to_vary(search):
    with pytest.raises(UserError, match="nothing to vary"):
        search("sweep=search")


def test_settings_tell_experiments_apart_and_nothing_else(search):
    base = search("sweep=synthetic_tpe").settings
    for same in ("workers=2", "threads=1", "device=cpu", "hydra.sweeper.n_trials=99", "study_name=other"):
        assert search("sweep=synthetic_tpe", same).settings == base, same
    for other in ("trainer.max_epochs=3", "dataset.length=40", "pruner=none", "seed=1", "optimizer.lr=0.1,0.2"):
        assert search("sweep=synthetic_tpe", other).settings != base, other


def test_samplers_draw_anew_for_every_trial_and_the_same_again_for_the_same(search):
    found = search("sweep=synthetic_tpe", "hydra/sweeper/sampler=random")

    def draw(count):
        study = optuna.create_study(sampler=found.sampler_for(count))
        return study.ask(found.space).params["optimizer.lr"]

    drawn = [draw(count) for count in range(20)]
    assert len(set(drawn)) == 20
    assert draw(7) == drawn[7]


@given(st.lists(st.tuples(st.integers(0, 2**31), st.integers(0, 10**6)), min_size=2, max_size=50, unique=True))
def test_seeds_do_not_collide(pairs):
    seeds = {hash_seed(*pair) for pair in pairs}
    assert len(seeds) == len(pairs)
    assert all(0 <= seed < 2**32 for seed in seeds)


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsgaii", "nsgaiii", "qmc", "gp"])
def test_every_sampler_draws_and_is_seeded(search, sampler):
    space = ["optimizer.lr=tag(log,interval(0.001,0.1))", "model.hidden_size=range(8,33,8)"]

    def draws(seed):
        found = search("sweep=search", f"hydra/sweeper/sampler={sampler}", f"seed={seed}", *space)
        study = optuna.create_study(sampler=found.sampler_for(0))
        for _ in range(3):
            trial = study.ask(found.space)
            study.tell(trial, trial.params["optimizer.lr"])
        return [trial.params for trial in study.trials]

    assert draws(3) == draws(3) != draws(4)


@pytest.mark.parametrize(
    ("overrides", "key", "words"),
    [
        (["hydra.sweeper.sampler.n_startup_trials=x"], "hydra.sweeper.sampler", "n_startup_trials=x"),
        (["hydra/sweeper/sampler=qmc", "hydra.sweeper.sampler.qmc_type=x"], "hydra.sweeper.sampler", "sobol"),
        (["pruner.n_startup_trials=-1"], "pruner", "cannot be negative"),
        (["pruner=hyperband", "pruner.min_resource=0"], "pruner", "min_resource=0"),  # Optuna sees it at first use
        (["pruner=successive_halving", "pruner.reduction_factor=1"], "pruner", "reduction_factor >= 2"),
        (["trainer.max_epochs=1,0"], "trainer.max_epochs", "a whole number >= 1"),
    ],
)
def test_options_that_optuna_or_a_job_refuses_fail_before_anything_starts(search, overrides, key, words):
    with pytest.raises(ConfigError, match=words) as refused:
        rehearse(search("sweep=search", "model.hidden_size=2,3", *overrides))
    assert refused.value.key == key
    assert not Path("multirun").exists()


def test_a_missing_package_of_a_sampler_is_named_with_its_remedy(search, monkeypatch):
    monkeypatch.setitem(sys.modules, "cmaes", None)  # as if it were not installed
    found = search("sweep=search", "hydra/sweeper/sampler=cmaes", "optimizer.lr=interval(0.1,0.2)",
                   "trainer.gradient_clip_norm=interval(1,5)")  # fmt: skip
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.sampler=.*pip install cmaes"):
        rehearse(found)


def test_values_may_depend_on_a_trials_other_values(search, tmp_path, monkeypatch):
    (tmp_path / "own_space.py").write_text(
        "def deeper(config, trial):\n"
        "    trial.suggest_int('model.num_layers', 1, 2 if trial.params['model.hidden_size'] < 9 else 1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = search("sweep=search", "model.hidden_size=8,16", "hydra.sweeper.custom_search_space=own_space.deeper")
    rehearse(found)
    with alive_lock(tmp_path) as lock:
        trial = claim(found.open(), found, Worker(machine(), os.getpid(), str(lock), str(lock)))
    assert trial.params.keys() == {"model.hidden_size", "model.num_layers"}
    with pytest.raises(ConfigError) as refused:
        search("sweep=search", "model.hidden_size=8,16", "hydra.sweeper.custom_search_space=own_space.wider")
    assert refused.value.key == "hydra.sweeper.custom_search_space"


def test_a_config_without_our_root_keys_is_searched_as_it_is(tmp_path):
    config = OmegaConf.create({"x": 0, "mode": "fast", "hydra": {"sweep": {"dir": str(tmp_path / "here")}}})
    sampler = OmegaConf.create({"_target_": "optuna.samplers.RandomSampler", "seed": 0})
    keys = {"sampler": sampler, "study_name": "mine", "n_trials": 3}
    found = build_search(config, ["x=1,2"], direction="maximize", **keys)
    assert (found.metrics, found.directions) == ({"value": "max"}, ["maximize"])
    assert (found.n_jobs, found.directory, found.settings["mode"]) == (1, tmp_path / "here", "fast")
    two = build_search(config, ["x=1,2"], direction=["minimize", "maximize"], **keys)
    assert two.metrics == {"value 0": "min", "value 1": "max"}
