"""A small training run on real digits, every part of it replaceable."""

from functools import partial

import torch

from lstm_ae.data.augment import Augment
from lstm_ae.data.digits import digits
from lstm_ae.metrics import monitored
from lstm_ae.training.objective import Objective
from lstm_ae.training.schedules import Schedule
from lstm_ae.training.trainer import Trainer
from tests.models.parts import make_autoencoder

adam = partial(torch.optim.Adam, lr=0.01)
sgd = partial(torch.optim.SGD, lr=0.1)


def make_data(shift=0, rotation=0, **options):
    """45 images to train, in batches of 16 with a shorter last one; 36 to validate."""
    defaults = {"order": "rows", "batch_size": 16, "val_fraction": 0.02, "test_fraction": 0.02, "num_train": 45}
    return digits(**defaults | options, seed=0, augment=partial(Augment, shift, rotation))


def make_model(head="context", **options):
    return make_autoencoder(head=head, length=8, features=8, num_classes=10, **options)


def make_trainer(max_epochs=3, **options):
    defaults = {"gradient_clip_norm": 1.0, "patience": None, "mixed_precision": False, "max_batches": None}
    return Trainer(max_epochs, **defaults | options)


def fit(
    directory,
    model=None,
    *,
    data=None,
    trainer=None,
    optimizer=adam,
    schedule=None,
    objective=None,
    monitor="val/loss",
    mode="min",
    **options,
):
    """`Trainer.fit` with small defaults; the test part is missing, so that whoever looks at it is found out."""
    model = model or make_model()
    defaults = {
        "seed": 0,
        "description": {},
        "resume": False,
        "on_epoch": lambda history: None,
    }
    return (trainer or make_trainer()).fit(
        model,
        objective or Objective(0.5),
        data or make_data(),
        optimizer(model.parameters()),
        schedule or Schedule(),
        monitors=monitored(monitor, mode),
        directory=directory,
        **defaults | options,
    )


def measured(history):
    """The history without the time it took."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def weights(model):
    """All of a model's parameters in one vector."""
    return torch.nn.utils.parameters_to_vector(model.parameters()).detach()
