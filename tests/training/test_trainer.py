"""The training loop: what it measures, when it stops and what it keeps."""

import math
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch

from lstm_ae.errors import ConfigError, UserError
from lstm_ae.models import inference
from lstm_ae.models.inference import predict
from lstm_ae.training import checkpoint, trainer
from lstm_ae.training.checkpoint import load_weights
from lstm_ae.training.objective import Objective
from lstm_ae.training.schedules import OneCycle, Schedule
from lstm_ae.training.trainer import best_row, evaluate
from tests.training.parts import adam, fit, make_data, make_model, make_trainer, measured, sgd, weights


@dataclass
class Steps(Schedule):
    """A given factor for each epoch."""

    factors: tuple[float, ...] = (1.0,)

    def shape(self, progress):
        return self.factors[int(progress * len(self.factors))]


# Measuring


@pytest.mark.parametrize("size", [1, 7, 36])
def test_metrics_do_not_depend_on_the_batch_size(monkeypatch, size):
    model, data = make_model(), make_data()
    whole = evaluate(model, Objective(0.3), data.val, "val")
    monkeypatch.setattr(trainer, "EVALUATION_BATCH", size)
    assert evaluate(model, Objective(0.3), data.val, "val") == pytest.approx(whole, rel=1e-6)


def test_metrics_are_means_over_elements():
    model, data = make_model().eval(), make_data()
    output = model(data.val.inputs)
    metrics = evaluate(model, Objective(0.3), data.val, "test")
    square = (output.reconstruction - data.val.inputs).square().mean().item()
    entropy = -output.logits.log_softmax(1)[torch.arange(36), data.val.labels].mean().item()
    assert metrics == pytest.approx(
        {
            "test/loss": 0.3 * square + 0.7 * entropy,
            "test/reconstruction": square,
            "test/cross_entropy": entropy,
            "test/accuracy": (output.logits.argmax(1) == data.val.labels).double().mean().item(),
        },
        rel=1e-5,
    )


def test_training_metrics_are_means_over_elements_in_spite_of_the_short_last_batch(tmp_path):
    model, data = make_model(), make_data()
    history = fit(tmp_path, model, data=data, optimizer=partial(sgd, lr=0.0), trainer=make_trainer(1))
    expected = evaluate(model, Objective(0.5), data.train, "train")
    assert {name: history[0][name] for name in expected} == pytest.approx(expected, rel=1e-5)


def ragged_data(masked=False):
    """The images cut to 1 to 8 rows, and with `masked` a fifth of their values missing."""
    data, generator = make_data(), torch.Generator().manual_seed(0)

    def cut(part):
        lengths = torch.randint(1, 9, (len(part),), generator=generator)
        exists = (torch.arange(8) < lengths[:, None])[..., None].expand_as(part.inputs)
        mask = exists & (torch.rand(part.inputs.shape, generator=generator) < 0.8)
        mask[:, 0, 0] = True
        return replace(part, inputs=part.inputs * exists, lengths=lengths, mask=mask if masked else None)

    parts = {name: cut(getattr(data, name)) for name in ("train", "val", "test")}
    return replace(data, **parts, spec=replace(data.spec, varying=True, masked=masked))


@pytest.mark.parametrize("masked", [False, True])
def test_metrics_of_unequal_sequences_are_means_over_what_exists_whatever_the_batches(monkeypatch, tmp_path, masked):
    data, model = ragged_data(masked), make_model(varying=True, masked=masked)
    output = predict(model, data.val)
    whole = {f"val/{name}": value.item() for name, value in Objective(0.3)(output, data.val).items()}
    exists = data.val.exists()
    square = (output.reconstruction - data.val.inputs)[exists].square().mean().item()
    assert whole["val/reconstruction"] == pytest.approx(square, rel=1e-5)
    for size in (1, 7, 36):
        monkeypatch.setattr(trainer, "EVALUATION_BATCH", size)
        assert evaluate(model, Objective(0.3), data.val, "val") == pytest.approx(whole, rel=1e-5)
    history = fit(tmp_path, model, data=data, optimizer=partial(sgd, lr=0.0), trainer=make_trainer(1))
    expected = evaluate(model, Objective(0.5), data.train, "train")
    assert {name: history[0][name] for name in expected} == pytest.approx(expected, rel=1e-5)


def test_unequal_sequences_with_holes_are_learnt(tmp_path):
    data = ragged_data(masked=True)
    history = fit(tmp_path, make_model(varying=True, masked=True), data=data, trainer=make_trainer(8))
    assert all(math.isfinite(value) for row in history for value in row.values())
    assert history[-1]["train/loss"] < 0.9 * history[0]["train/loss"]


def test_predicting_in_chunks_is_predicting(monkeypatch):
    model, part = make_model(head="decoder", num_layers=2, dropout=0.5), make_data().val
    whole = predict(model, part)
    monkeypatch.setattr(inference, "EVALUATION_BATCH", 7)
    chunked = predict(model, part)
    for field in ("context", "reconstruction", "logits"):
        torch.testing.assert_close(getattr(chunked, field), getattr(whole, field))
    assert model.training
    assert predict(make_model(head=None), part).logits is None


def test_the_best_row_is_the_first_of_equals():
    history = [{"epoch": epoch, "x": x} for epoch, x in enumerate([2.0, 1.0, 3.0, 1.0, 3.0], start=1)]
    assert best_row(history, "x", "min")["epoch"] == 2
    assert best_row(history, "x", "max")["epoch"] == 3


# Training


def test_it_learns(tmp_path):
    history = fit(tmp_path, trainer=make_trainer(15), optimizer=partial(adam, lr=0.02))
    assert [row["epoch"] for row in history] == list(range(1, 16))
    assert history[-1]["train/loss"] < 0.9 * history[0]["train/loss"]
    assert history[-1]["val/accuracy"] > 0.2
    assert list(history[0]) == [
        "epoch", "seconds", "lr",
        "train/loss", "train/reconstruction", "train/cross_entropy", "train/accuracy",
        "val/loss", "val/reconstruction", "val/cross_entropy", "val/accuracy",
    ]  # fmt: skip


def test_the_test_part_is_never_looked_at(tmp_path):
    fit(tmp_path, data=replace(make_data(), test=None))


def test_the_seeds_decide(tmp_path):
    def run(name, seed=0, start=0):
        torch.manual_seed(start)
        return measured(fit(tmp_path / name, data=make_data(shift=1), seed=seed))

    assert run("one") == run("same")
    assert run("one") != run("other order", seed=1)
    assert run("one") != run("other weights", start=1)


def test_every_epoch_is_told_before_it_is_kept(tmp_path):
    told = []

    def on_epoch(history):
        kept = tmp_path / "last.pt"
        told.append((len(history), len(checkpoint.load(kept)["history"]) if kept.exists() else 0))

    fit(tmp_path, on_epoch=on_epoch)
    assert told == [(1, 0), (2, 1), (3, 2)]


def test_the_learning_rate_follows_the_schedule_within_an_epoch(tmp_path):
    data, used = make_data(), []

    class Recorder(torch.optim.SGD):
        def step(self, closure=None):
            used.append(self.param_groups[0]["lr"])
            super().step(closure)

    schedule = OneCycle(warmup=0.3)
    history = fit(tmp_path, data=data, optimizer=partial(Recorder, lr=0.1), schedule=schedule)
    steps = 3 * math.ceil(45 / 16)
    assert used == pytest.approx([0.1 * schedule.factor((step + 0.5) / steps) for step in range(steps)])
    assert [row["lr"] for row in history] == used[2::3]


@pytest.mark.parametrize(("gradient_clip_norm", "largest"), [(0.01, 0.01), (1e-4, 1e-4), (None, math.inf)])
def test_clipping_bounds_the_norm_of_the_whole_gradient(tmp_path, gradient_clip_norm, largest):
    model = make_model()
    before = weights(model)
    options = make_trainer(1, gradient_clip_norm=gradient_clip_norm, max_batches=1)
    fit(tmp_path, model, trainer=options, optimizer=partial(sgd, lr=1.0))
    norm = (weights(model) - before).norm().item()  # one step of plain descent at rate 1 is the gradient
    assert norm == pytest.approx(largest, rel=1e-3) if gradient_clip_norm else norm > 0.02


def test_a_gradient_within_the_bound_is_left_as_it_is(tmp_path):
    found = []
    for name, norm in (("wide", 1e6), ("none", None)):
        torch.manual_seed(0)
        model = make_model()
        fit(tmp_path / name, model, trainer=make_trainer(1, gradient_clip_norm=norm))
        found.append(weights(model))
    torch.testing.assert_close(*found)


def test_max_batches_makes_an_epoch_short(tmp_path):
    steps = []

    class Counter(torch.optim.SGD):
        def step(self, closure=None):
            steps.append(1)
            super().step(closure)

    fit(tmp_path, trainer=make_trainer(2, max_batches=2), optimizer=partial(Counter, lr=0.1))
    assert len(steps) == 4


def test_augmentation_changes_training_and_not_validation(tmp_path):
    data = make_data()
    moved = replace(data, augment=make_data(shift=2).augment)
    still = {"trainer": make_trainer(1), "optimizer": partial(sgd, lr=0.0)}
    torch.manual_seed(0)
    plain = fit(tmp_path / "plain", data=data, **still)[0]
    torch.manual_seed(0)
    augmented = fit(tmp_path / "moved", data=moved, **still)[0]
    assert plain["train/reconstruction"] != pytest.approx(augmented["train/reconstruction"], rel=1e-3)
    assert plain["val/reconstruction"] == augmented["val/reconstruction"]


def test_augmentation_changes_the_inputs_of_a_batch_and_nothing_else(tmp_path):
    data, seen = make_data(shift=2), []

    class Watching(Objective):
        def __call__(self, output, batch, training=False):
            if training:
                seen.append(batch)
            return super().__call__(output, batch, training)

    count = len(data.train)
    whole = replace(data.train, targets=torch.rand(count, 1, 1), low=torch.rand(count, 1, 8),
                    high=torch.rand(count, 1, 8), series=torch.arange(count), time=torch.arange(count))  # fmt: skip
    fit(tmp_path, data=replace(data, train=whole), trainer=make_trainer(1), objective=Watching(0.5))
    for batch in seen:
        same = whole[batch.series]
        assert not torch.equal(batch.inputs, same.inputs)
        for name in ("labels", "targets", "low", "high", "time"):
            assert torch.equal(getattr(batch, name), getattr(same, name))


# Stopping early, and the best


@pytest.mark.parametrize("patience", [1, 3])
def test_patience_counts_the_epochs_without_a_better_one(tmp_path, patience):
    options = make_trainer(20, patience=patience)
    history = fit(tmp_path, trainer=options, optimizer=partial(sgd, lr=0.0))  # never better than at first
    assert len(history) == 1 + patience


def test_an_improvement_starts_the_patience_anew(tmp_path):
    schedule = Steps(factors=(1, 0, 1, 0, 0, 1, 1, 1, 1, 1))  # learns, rests one, learns, rests two
    history = fit(tmp_path, trainer=make_trainer(10, patience=2), optimizer=partial(sgd, lr=0.5), schedule=schedule)
    assert history[2]["val/loss"] < history[0]["val/loss"]
    assert len(history) == 5


def test_no_patience_means_all_epochs(tmp_path):
    assert len(fit(tmp_path, trainer=make_trainer(6), optimizer=partial(sgd, lr=0.0))) == 6


@pytest.mark.parametrize(("monitor", "mode"), [("val/loss", "min"), ("val/reconstruction", "min")])
def test_best_is_the_checkpoint_of_the_best_epoch(tmp_path, monitor, mode):
    schedule = Steps(factors=(1, 1, 1, 300, 300))
    data = make_data()
    options = {"data": data, "trainer": make_trainer(5), "schedule": schedule, "monitor": monitor, "mode": mode}
    history = fit(tmp_path, make_model(), **options)
    best = best_row(history, monitor, mode)
    assert 1 < best["epoch"] < 5  # else this would show nothing
    state = checkpoint.load(tmp_path / "best.pt")
    assert state["history"] == history[: best["epoch"]]
    model = make_model()
    load_weights(tmp_path / "best.pt", state, model)
    again = evaluate(model, Objective(0.5), data.val, "val")
    assert again == {name: value for name, value in best.items() if name.startswith("val/")}


def test_the_highest_accuracy_is_the_best(tmp_path):
    options = {"trainer": make_trainer(8), "optimizer": partial(adam, lr=0.05)}
    history = fit(tmp_path, **options, monitor="val/accuracy", mode="max")
    values = [row["val/accuracy"] for row in history]
    assert max(values) > values[0]
    assert checkpoint.load(tmp_path / "best.pt")["history"][-1]["epoch"] == 1 + values.index(max(values))


def test_a_checkpoint_describes_the_data(tmp_path):
    fit(tmp_path, description={"spec": {"length": 8, "class_names": ("0", "1")}}, trainer=make_trainer(1))
    for name in ("best.pt", "last.pt"):
        assert checkpoint.load(tmp_path / name)["spec"] == {"length": 8, "class_names": ("0", "1")}


# What cannot go on


@pytest.mark.parametrize("head", [None, "context"])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_good_checkpoint(tmp_path, head, clip):
    told = []
    with pytest.raises(UserError, match=r"the loss became (nan|inf) in epoch 3") as failure:
        fit(
            tmp_path,
            make_model(head=head),
            objective=Objective(0.5 if head else 1.0),
            optimizer=sgd,
            schedule=Steps(factors=(1, 1, 1e38, 1, 1)),
            trainer=make_trainer(5, gradient_clip_norm=clip),
            on_epoch=lambda history: told.append(history[-1]["epoch"]),
        )
    assert str(tmp_path) in str(failure.value)
    assert "optimizer.lr" in str(failure.value)
    assert told == [1, 2]
    for name in ("best.pt", "last.pt"):
        state = checkpoint.load(tmp_path / name)
        assert len(state["history"]) <= 2
        assert all(values.isfinite().all() for values in state["model"].values())


def test_a_loss_that_is_no_number_from_the_start_keeps_nothing(tmp_path):
    data = make_data()
    data.train.inputs[3, 2, 1] = torch.nan
    with pytest.raises(UserError, match="the loss became nan in epoch 1"):
        fit(tmp_path, data=data)
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_no_number_in_validation_ends_the_run_too(tmp_path):
    data = make_data()
    data.val.inputs[0, 0, 0] = torch.nan
    with pytest.raises(UserError, match="the loss became nan in epoch 1"):
        fit(tmp_path, data=data)


@pytest.mark.parametrize("monitor", ["val/acuracy", "loss", "val/forecast", "test/loss", "epoch", ""])
def test_an_unknown_monitor_is_refused_with_what_there_is(tmp_path, monitor):
    with pytest.raises(ConfigError) as refusal:
        fit(tmp_path, monitor=monitor)
    assert str(refusal.value).startswith(f"monitor={monitor}")
    assert "val/accuracy" in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_accuracy_needs_a_classifier(tmp_path):
    with pytest.raises(ConfigError, match=r"monitor=val/accuracy.*val/reconstruction"):
        fit(tmp_path, make_model(head=None), objective=Objective(1.0), monitor="val/accuracy", mode="max")


@pytest.mark.parametrize(("monitor", "mode"), [("val/accuracy", "min"), ("val/loss", "max"), ("train/loss", "max")])
def test_the_wrong_mode_is_refused(tmp_path, monitor, mode):
    with pytest.raises(ConfigError, match=f"^mode={mode}: .*{monitor}"):
        fit(tmp_path, monitor=monitor, mode=mode)


def test_mixed_precision_needs_cuda(tmp_path):
    with pytest.raises(ConfigError, match=r"trainer\.mixed_precision"):
        fit(tmp_path, trainer=make_trainer(mixed_precision=True))
