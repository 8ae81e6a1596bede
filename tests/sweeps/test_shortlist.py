"""Rounds of a shortlist: who goes on, whoever finishes first, and what a search is told beforehand and costs."""

import time

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from lstm_ae.errors import ConfigError
from lstm_ae.sweeps.claiming import claim, is_unfinished, to_go_on
from lstm_ae.sweeps.cost import check_rounds, cost_of, plan, planned, preview, session, union
from lstm_ae.sweeps.liveness import alive_lock
from lstm_ae.sweeps.shortlist import POPULATION, Shortlist, is_paused
from lstm_ae.sweeps.storage import check_settings
from tests.sweeps.test_claiming import worker

GRID = [
    "sweep=shortlist",
    "model.hidden_size=2,3,4,5,6,7",
    "trainer.max_epochs=5",
    "pruner.rounds=[1,2]",
    "pruner.keep=[3,1]",
]


class Simulation:
    """A study in memory whose trials are trained, an epoch at a time, by workers that chance decides upon."""

    def __init__(self, shortlist, curves, chance):
        self.shortlist = shortlist
        self.curves = curves  # one for each setting: its values, the last of them at its full length; None: it fails
        self.chance = chance
        self.epochs = 0
        self.study = optuna.create_study(pruner=shortlist, sampler=optuna.samplers.RandomSampler(seed=0))
        self.study.set_user_attr("settings", {POPULATION: len(curves)})
        self.working = []

    def settle(self):
        for reached in self.shortlist.standing(self.study):
            for trial in filter(is_paused, reached.left):
                self.study.tell(trial.number, state=TrialState.PRUNED)

    def free_trials(self):
        """Trials that a worker could take now: those that go on, then a new one."""
        self.settle()
        ready = [t.number for r in self.shortlist.standing(self.study) for t in r.goes_on
                 if is_paused(t) and t.last_step == r.epochs]  # fmt: skip
        return ready + ([len(self.study.trials)] if len(self.study.trials) < len(self.curves) else [])

    def step(self, workers):
        free = self.free_trials()
        if free and len(self.working) < workers and self.chance.choice([True, False, not self.working]):
            number = self.chance.choice(free)
            trial = self.study.ask() if number == len(self.study.trials) else optuna.Trial(self.study, number)
            trial.set_user_attr("paused", False)
            self.working.append(trial)
        elif self.working:
            self.train(self.chance.choice(self.working))

    def train(self, trial):
        curve = self.curves[trial.number]
        done = len(self.study.trials[trial.number].intermediate_values)
        if curve[done] is None:
            self.working.remove(trial)
            self.study.tell(trial, state=TrialState.FAIL)
            return
        trial.report(curve[done], step=done + 1)
        self.epochs += 1
        if done + 1 == len(curve):
            self.working.remove(trial)
            self.study.tell(trial, min(curve))
        elif trial.should_prune():
            self.working.remove(trial)
            trial.set_user_attr("paused", True)

    def run(self, workers):
        for _ in range(1000):
            if not self.working and not self.free_trials():
                break
            self.step(workers)
        self.settle()
        return self.study.trials


def batch(shortlist, curves):
    """Which settings train to the end of each round if each round waits for the one before."""
    going, reached = list(range(len(curves))), []
    for end, places in zip(shortlist.rounds, shortlist.places(len(curves)), strict=True):
        reached.append(set(going))
        going = sorted(going, key=lambda number: (min(curves[number][:end]), number))[:places]
    return [*reached, set(going)]


curves_of = st.integers(1, 9).flatmap(
    lambda count: st.lists(st.lists(st.floats(0, 1, width=16), min_size=6, max_size=6), min_size=count, max_size=count)
)
shortlists = st.sampled_from([([1], [1]), ([2], [3]), ([1, 2], [6, 1]), ([1, 3], [0.5, 0.2]), ([1, 2, 4], [5, 3, 2])])


@settings(max_examples=60, deadline=None)
@given(curves_of, shortlists, st.integers(1, 4), st.randoms(use_true_random=False))
def test_whoever_finishes_first_the_same_settings_go_on_and_the_epochs_are_those_told(curves, rule, workers, chance):
    shortlist = Shortlist(*rule)
    simulation = Simulation(shortlist, curves, chance)
    trials = simulation.run(workers)
    expected = batch(shortlist, curves)
    ends = [*shortlist.rounds, 6]
    for number, trial in enumerate(trials):
        last = max(end for end, going in zip(ends, expected, strict=True) if number in going)
        assert trial.last_step == last
        assert trial.state == (TrialState.COMPLETE if last == 6 else TrialState.PRUNED)
    assert simulation.epochs == shortlist.epochs(len(curves), 6)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.floats(0, 1, width=16), min_size=6, max_size=6), st.integers(0, 9)), min_size=1,
             max_size=8),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_a_place_whose_trial_fails_goes_to_the_next_best(made, workers, chance):
    curves = [[value if epoch != fails else None for epoch, value in enumerate(curve)] for curve, fails in made]
    trials = Simulation(Shortlist([1, 2], [3, 1]), curves, chance).run(workers)
    assert all(trial.state.is_finished() for trial in trials)
    able = sum(None not in curve for curve in curves)
    completed = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert len(completed) == 1 or not able or len(completed) < able <= sum(None in curve for curve in curves)
    for trial in completed:
        assert None not in curves[trial.number]


def test_a_setting_that_cannot_be_overtaken_goes_on_while_others_train(search, tmp_path):
    found = search(*GRID, "study_name=shared")
    study = found.open()
    check_settings(study, found.settings, found.storage)
    with alive_lock(tmp_path) as lock:

        def take():
            return claim(study, found, worker(lock))

        def pause(trial, value, step=1):
            trial.report(value, step)
            assert trial.should_prune()
            trial.set_user_attr("paused", True)

        for value in (0.3, 0.1, 0.2, 0.5):
            pause(take(), value)
        assert [trial.number for trial in to_go_on(study, found)] == [1], "two more may push the others out"
        again, fifth, sixth = take(), take(), take()
        assert (again.number, fifth.number, sixth.number) == (1, 4, 5)
        assert not is_paused(study.trials[1])
        pause(fifth, 0.6)
        assert [trial.number for trial in to_go_on(study, found)] == [2]
        assert take().number == 2
        assert take() is None
        assert is_unfinished(study, found)
        assert [trial.state for trial in study.trials] == [TrialState.RUNNING] * 6
        sixth.report(0.7, 1)
        assert sixth.should_prune()
        sixth.set_user_attr("paused", True)
        assert [trial.number for trial in to_go_on(study, found)] == [0]


def test_a_setting_whose_worker_died_keeps_its_directory_and_its_place(search, tmp_path):
    found = search(*GRID, "study_name=shared")
    study = found.open()
    check_settings(study, found.settings, found.storage)
    with alive_lock(tmp_path / "dead") as dead:
        for value, trial in enumerate([claim(study, found, worker(dead)) for _ in range(6)]):
            trial.report(value, 1)
            trial.set_user_attr("paused", True)
        lost = claim(study, found, worker(dead))
    with alive_lock(tmp_path) as lock:
        first, second, again = (claim(study, found, worker(lock)) for _ in range(3))
        assert (first.number, second.number) == (1, 2), "sure even if the lost one is not as good"
        assert study.trials[lost.number].user_attrs["orphan"]
        assert again.params == lost.params
        assert again.user_attrs["directory"] == lost.user_attrs["directory"]
        assert claim(study, found, worker(lock)) is None
        again.report(0, 1)
        assert not again.should_prune(), "it goes on with what it has"


def test_the_cost_is_told_beforehand_and_afterwards(search, tmp_path):
    found = search(*GRID, "study_name=shared")
    assert planned(found) == 6 + 3 + 3
    assert plan(found) == (
        "6 settings: all 6 train to epoch 1, the best 3 to epoch 2, the best 1 to the end: 12 epochs, 0.4 of the 30 of "
        "every setting to its end"
    )
    assert "model.hidden_size=7" in preview(found)
    assert not found.directory.exists(), "telling starts nothing"
    assert planned(search(*GRID, "cross_validation=3")) == 6 + 3 + 13
    assert planned(search("sweep=grid", *GRID[1:3])) == 30
    study = found.open()
    with session(study, "mine"):
        for number, epochs in enumerate((5, 1)):
            (found.directory / str(number)).mkdir()
            rows = "".join(f"{epoch + 1},0.5\n" for epoch in range(epochs))
            (found.directory / str(number) / "metrics.csv").write_text("epoch,seconds\n" + rows)
            study.ask(found.space).set_user_attr("directory", str(number))
            study.tell(number, 1.0)
    cost = cost_of(found, study)
    assert (cost.epochs, cost.epochs_of_all) == (6, 30)
    assert (cost.training_seconds, cost.training_seconds_of_all) == (3.0, 15.0)
    assert cost.wall_seconds >= 0


def test_rounds_that_end_in_a_warm_up_are_told(search):
    assert "until epoch 3, and before its peak the largest" in plan(search(*GRID, "scheduler.warmup=0.6"))
    assert "\n" not in plan(search(*GRID, "scheduler.warmup=0.4"))


def test_a_process_that_is_killed_has_been_at_work_until_it_last_said_so(search, monkeypatch):
    monkeypatch.setattr("lstm_ae.sweeps.cost.SESSION", 0.0)
    study = search(*GRID, "study_name=killed").open()
    with session(study, "mine") as still_here:
        time.sleep(0.01)
        still_here()
        begun, ended, _ = study.user_attrs["session mine"]
        assert ended > begun


def test_sessions_side_by_side_are_counted_once():
    assert union([(0, 4), (1, 2), (3, 6), (10, 11)]) == 7
    assert union([]) == 0


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["pruner.rounds=[2,2]"], "pruner.rounds"),
        (["pruner.rounds=[0,2]"], "pruner.rounds"),
        (["pruner.rounds=[1]"], "pruner.keep"),
        (["pruner.keep=[1,2]"], "pruner.keep"),
        (["pruner.keep=[2.5,1]"], "pruner.keep"),
        (["pruner.keep=[0,0]"], "pruner.keep"),
        (["pruner.rounds=[1,5]"], "pruner.rounds"),
        (["hydra.sweeper.zip=[model.hidden_size,optimizer.lr]"], "hydra.sweeper.zip"),
        (["optimizer.lr=1,2", "hydra.sweeper.zip=[model.hidden_size,optimizer.lr]"], "hydra.sweeper.zip"),
        (["hydra.sweeper.zip=[5]"], "hydra.sweeper.zip"),
        (["hydra.sweeper.zip=[model.hidden_size]", "hydra/sweeper/sampler=random", "hydra.sweeper.n_trials=3"],
         "hydra.sweeper.zip"),
    ],
)  # fmt: skip
def test_rounds_and_keys_that_fit_nothing_are_refused_by_their_key(search, overrides, key):
    with pytest.raises(ConfigError) as refused:
        check_rounds(search(*GRID, *overrides))
    assert refused.value.key == key


def test_zipped_keys_vary_together(search):
    found = search(*GRID, "seed=1,2", "optimizer.lr=6,5,4,3,2,1", "hydra.sweeper.zip=[optimizer.lr,model.hidden_size]")
    assert [tuple(point.values()) for point in found.points[:4]] == [(2, 1, 6), (2, 2, 6), (3, 1, 5), (3, 2, 5)]
    assert len(found.points) == 12
    assert found.settings != search(*GRID, "seed=1,2", "optimizer.lr=6,5,4,3,2,1").settings


def test_a_study_with_rounds_keeps_its_population(search):
    assert search(*GRID).settings != search(*GRID, "hydra.sweeper.n_trials=4").settings
