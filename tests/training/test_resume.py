"""Stopping costs nothing: a resumed run ends where one that never stopped would have, to the last bit."""

from functools import partial

import pytest
import torch

from lstm_ae.errors import UserError
from lstm_ae.training import checkpoint
from lstm_ae.training.checkpoint import load_weights
from lstm_ae.training.objective import Objective
from lstm_ae.training.schedules import OneCycle, Plateau, Schedule
from lstm_ae.training.trainer import restore
from tests.training.parts import adam, fit, make_data, make_model, make_trainer, measured, sgd, weights


class Killed(BaseException):
    """What a test raises to end a run."""


def killed_in_epoch(number):
    """The run ends when epoch `number` is through, before any of it is kept."""

    def on_epoch(history):
        if len(history) == number:
            raise Killed

    return on_epoch


class FailingObjective(Objective):
    """Ends the run at a given call, in the middle of an epoch."""

    def __init__(self, calls):
        super().__init__(0.5)
        self.calls = calls

    def __call__(self, output, batch, training=False):
        self.calls -= 1
        if self.calls == 0:
            raise Killed
        return super().__call__(output, batch, training)


SETTINGS = {
    "adam and dropout": {"model": {"num_layers": 2, "dropout": 0.5}},
    "adamw and augmentation": {
        "optimizer": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1),
        "data": {"shift": 1, "rotation": 10},
    },
    "rmsprop and half teacher forcing": {
        "optimizer": partial(torch.optim.RMSprop, lr=0.01, alpha=0.99, momentum=0.5),
        "model": {"decoder": "autoregressive", "teacher_forcing": 0.5},
    },
    "rprop, which has no weight decay": {"optimizer": partial(torch.optim.Rprop, lr=0.01)},
    "sgd on a plateau": {
        "optimizer": partial(torch.optim.SGD, lr=2.0, momentum=0.9, nesterov=True),
        "schedule": partial(Plateau, 0.1, 0.5, 0),
    },
    "one cycle, separate encoders": {
        "schedule": partial(OneCycle, 0.3),
        "model": {"head": "separate", "bidirectional": True, "dropout": 0.2},
    },
    "accuracy": {"monitor": "val/accuracy", "mode": "max", "trainer": {"patience": 3, "max_batches": 2}},
}


def start(directory, seed, settings, max_epochs=5, **options):
    """A run of `settings`, its weights drawn from `seed`."""
    parts = dict(settings)
    torch.manual_seed(seed)
    model = make_model(**parts.pop("model", {}))
    history = fit(
        directory,
        model,
        data=make_data(**parts.pop("data", {})),
        schedule=parts.pop("schedule", Schedule)(),
        trainer=make_trainer(max_epochs, **parts.pop("trainer", {})),
        **parts,
        **options,
    )
    return measured(history), weights(model)


def same_state(one, two):
    """Whether two checkpoints hold the same, to the last bit, but for the time it took."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same_state(one[k], two[k]) for k in one if k != "seconds")
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same_state, one, two))
    return one == two


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("end", ["between epochs", "in an epoch"])
def test_a_resumed_run_ends_as_if_it_had_never_stopped(tmp_path, settings, end):
    whole_history, whole_weights = start(tmp_path / "whole", 0, settings)
    if "schedule" in settings:
        assert len({row["lr"] for row in whole_history}) > 1
    stop = {"on_epoch": killed_in_epoch(3)} if end == "between epochs" else {"objective": FailingObjective(10)}
    with pytest.raises(Killed):
        start(tmp_path / "parts", 0, settings, **stop)
    kept = measured(checkpoint.load(tmp_path / "parts" / "last.pt")["history"])
    assert kept == whole_history[: len(kept)]
    assert 0 < len(kept) < len(whole_history)
    told = []
    history, resumed = start(
        tmp_path / "parts", 99, settings, resume=True, on_epoch=lambda rows: told.append(len(rows))
    )
    assert history == whole_history
    assert torch.equal(resumed, whole_weights)
    assert told == list(range(len(kept), len(whole_history) + 1))
    for name in ("best.pt", "last.pt"):
        states = [checkpoint.load(tmp_path / run / name) for run in ("whole", "parts")]
        assert same_state(*states)


def test_a_run_may_be_stopped_again_and_again(tmp_path):
    settings = SETTINGS["adam and dropout"]
    whole_history, whole_weights = start(tmp_path / "whole", 0, settings)
    for epoch in range(2, 6):
        with pytest.raises(Killed):
            start(tmp_path / "parts", epoch - 2, settings, resume=epoch > 2, on_epoch=killed_in_epoch(epoch))
    history, resumed = start(tmp_path / "parts", 99, settings, resume=True)
    assert history == whole_history
    assert torch.equal(resumed, whole_weights)


def test_a_finished_run_can_be_made_longer(tmp_path):
    whole_history, whole_weights = start(tmp_path / "whole", 0, {}, max_epochs=5)
    start(tmp_path / "parts", 0, {}, max_epochs=2)
    history, resumed = start(tmp_path / "parts", 99, {}, max_epochs=5, resume=True)
    assert history == whole_history
    assert torch.equal(resumed, whole_weights)


def test_a_finished_run_is_not_trained_further(tmp_path):
    history, trained = start(tmp_path, 0, {})
    before = (tmp_path / "last.pt").stat().st_mtime_ns
    again, resumed = start(tmp_path, 99, {}, resume=True)
    assert again == history
    assert torch.equal(resumed, trained)
    assert (tmp_path / "last.pt").stat().st_mtime_ns == before


def test_a_run_that_stopped_early_goes_on_with_more_patience(tmp_path):
    still = {"optimizer": partial(sgd, lr=0.0)}
    assert len(start(tmp_path, 0, still | {"trainer": {"patience": 1}})[0]) == 2
    assert len(start(tmp_path, 0, still | {"trainer": {"patience": 1}}, resume=True)[0]) == 2
    assert len(start(tmp_path, 0, still | {"trainer": {"patience": 2}}, resume=True)[0]) == 3


def test_another_learning_rate_takes_effect_on_resuming(tmp_path):
    start(tmp_path, 0, {"optimizer": partial(adam, lr=0.01)}, max_epochs=2)
    options = {"optimizer": partial(adam, lr=0.001, weight_decay=0.3)}
    history, _ = start(tmp_path, 0, options, max_epochs=4, resume=True)
    assert [row["lr"] for row in history] == [0.01, 0.01, 0.001, 0.001]
    assert checkpoint.load(tmp_path / "last.pt")["optimizer"]["param_groups"][0]["weight_decay"] == 0.3


def test_resuming_without_a_checkpoint_says_so(tmp_path):
    with pytest.raises(UserError, match=r"last\.pt: no such checkpoint"):
        start(tmp_path, 0, {}, resume=True)


@pytest.mark.parametrize("other", [{"num_layers": 2}, {"head": "separate"}, {"head": None}, {"bidirectional": True}])
def test_weights_of_another_model_are_refused(tmp_path, other):
    start(tmp_path, 0, {}, max_epochs=1)
    path = tmp_path / "last.pt"
    with pytest.raises(UserError, match="does not fit") as refusal:
        load_weights(path, checkpoint.load(path), make_model(**other))
    assert str(path) in str(refusal.value)
    assert len(str(refusal.value).splitlines()) <= 3


@pytest.mark.parametrize(
    "other",
    [
        {"optimizer": partial(torch.optim.SGD, lr=0.1, momentum=0.9)},
        {"optimizer": partial(torch.optim.RMSprop, lr=0.01)},
        {"schedule": partial(Plateau, 0.0, 0.5, 1)},
    ],
    ids=["sgd", "rmsprop", "plateau"],
)
def test_another_optimizer_or_schedule_on_resuming_is_refused(tmp_path, other):
    start(tmp_path, 0, {}, max_epochs=1)
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(UserError, match="was trained with Adam and Schedule; it cannot go on with"):
        start(tmp_path, 0, other, max_epochs=3, resume=True)
    assert (tmp_path / "last.pt").read_bytes() == before


def test_restoring_puts_all_random_numbers_back(tmp_path):
    generator = torch.Generator().manual_seed(0)
    start(tmp_path, 0, SETTINGS["adam and dropout"])
    expected = torch.rand(5)
    model = make_model(num_layers=2, dropout=0.5)
    restore(tmp_path / "last.pt", model, adam(model.parameters()), Schedule(), generator)
    assert torch.equal(torch.rand(5), expected)
    assert torch.equal(generator.get_state(), checkpoint.load(tmp_path / "last.pt")["batch_generator"])
