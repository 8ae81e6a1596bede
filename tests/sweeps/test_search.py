"""What a command line makes of the searches in conf/sweep: spaces, settings, and what is refused."""

from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_ae.config import CONF
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.sweeps.search import hash_seed, parse_overrides

SEARCHES = sorted(path.stem for path in Path(CONF, "sweep").glob("*.yaml"))
AD_HOC = {"search", "grid"}


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_composes_and_says_how_to_start_it(search, name):
    given = ["model.hidden_size=2,3"] if name in AD_HOC else []
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


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=5, unique=True), st.integers(-50, 50))
def test_of_two_overrides_of_a_key_the_later_counts(choices, value):
    swept = f"a.b={','.join(map(str, choices))}" if len(choices) > 1 else f"a.b=choice({choices[0]})"
    space, fixed, _ = parse_overrides([swept, f"a.b={value}"])
    assert (space, fixed) == ({}, {"a.b": str(value)})
    space, fixed, _ = parse_overrides([f"a.b={value}", swept])
    assert list(space["a.b"].choices) == choices
    assert fixed == {}


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes", "nsgaii", "qmc", "gp"])
def test_every_sampler_of_hydra_can_be_chosen(search, sampler):
    assert search("sweep=synthetic_tpe", f"hydra/sweeper/sampler={sampler}").sampler.seed == 0
