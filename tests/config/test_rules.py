"""What a config may say: every value of the config tree is accepted, bad ones are refused by their full key."""

import copy
import json
import math
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from pydantic import Field

from lstm_ae.config import CONF
from lstm_ae.config.parts import find_part, options_of, parts_in
from lstm_ae.config.rules import GROUPS, ROOT, validate_config
from lstm_ae.config.values import validate, words
from lstm_ae.errors import ConfigError


def composed(*overrides):
    with initialize_config_dir(CONF):
        return compose("config", list(overrides))


NEEDS = {  # what an option cannot do without
    "model/decoder=pyramidal": ["model/encoder=pyramidal"],
    **{option: ["dataset.path=log.csv"] for option in ("dataset=arrays", "dataset=table", "experiment=anomaly")},
}  # fmt: skip
OPTIONS = [
    f"{path.parent.relative_to(CONF).as_posix()}={path.stem}"
    for group in (*GROUPS, "experiment")
    for path in sorted(Path(CONF, group).rglob("*.yaml"))
]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_the_config_tree_is_accepted(option):
    validate_config(composed(option, *NEEDS.get(option, ())))


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_a_part_is_annotated(option):
    config = composed(option, *NEEDS.get(option, ()))
    for group in GROUPS:
        for node, key in parts_in(config[group], group):
            options = options_of(find_part(node._target_, key))
            if not node._target_.startswith("torch."):
                bare = [name for name in node if not name.startswith("_") and options[name].annotation is None]
                assert bare == []


NO_COUNT = (0, -1, 1.5, "abc", True, None, [1], math.nan)
NO_FRACTION = (-0.1, 1.1, "half", True, None, math.nan, math.inf, [0.5])
CLASSIFIER = ("model=classifier", "dataset=digits_rows")
BAD = {
    "seed": (-1, 0.5, "abc", None, True, 2**64),
    "split_seed": (-1, 0.5, "abc", None, True, 2**64),
    "monitor": ("", None, 3, [], ["val/loss"], ["val/loss", 1]),
    "mode": ("minimum", "", None, True, [], ["min"], ["min", "least"]),
    "cross_validation": (1, 0, -3, 2.5, "five"),
    "study_name": ("", "a/b", "..", "two words", 3),
    "workers": NO_COUNT,
    "revalidate": (0, -1, 0.5, "all"),
    "device": ("gpu", "cuda:7", None, 0),
    "backend": ("jax", None, 1),
    "threads": (0, -2, "all", 1.0),
    "dataset.batch_size": NO_COUNT,
    "dataset.num_train": (0, -1, 0.5, "all", True),
    "dataset.val_fraction": (*NO_FRACTION, 0, 1),
    "dataset.test_fraction": (*NO_FRACTION, 0, 1),
    "dataset.num_folds": (1, 0, -3, 2.5, "five"),
    "dataset.fold": (-1, 0.5, None, "first"),
    "dataset.num_sequences": (9, 0, -1, None, 10.0),
    "dataset.length": NO_COUNT,
    "dataset.dip_length": (-1, 2.5, None),
    "dataset.dip_scale": (-0.1, math.inf, "small", None),
    "dataset.dip_center": (25, None, [-1, 5], [1.5, 2], "20,30"),
    "dataset.order dataset=digits_rows": ("row", "columns", None),
    "dataset.augment.shift dataset=digits_rows": (-1, math.nan, "small", None),
    "dataset.augment.rotation dataset=digits_rows": (-1, 181, None),
    "model.hidden_size": NO_COUNT,
    "model.encoder.hidden_size": NO_COUNT,
    "model.num_layers": NO_COUNT,
    "model.dropout": (*NO_FRACTION, 1),
    "model.encoder.bidirectional": ("yes", 1, 0, None),
    "model.encoder.pooling": ("max", None, True, 1),
    "model.encoder.strides model/encoder=pyramidal model/decoder=pyramidal": (5, [0], ["a"], None),
    "model.initialization.forget_bias": ("open", None, math.inf, math.nan),
    "model.initialization.gate_bias model/initialization=linear_memory": (-1, "open", None, math.inf),
    "model.initialization.longest model/initialization=chrono": (2, 10.5),
    "model.decoder.output_activation": ("tanh", "", None),
    "model.decoder.reverse": ("true", 1, None),
    "model.decoder.teacher_forcing model/decoder=autoregressive": NO_FRACTION,
    "model.head.source model=classifier": ("encoder", None),
    "model.head.hidden_layers model=classifier": (64, None, [0], [64, -1], [1.5], "64", [None]),
    "objective.reconstruction_weight": (*NO_FRACTION, 1.5),
    "objective.time_effect_weight objective=joint": NO_FRACTION,
    "optimizer.lr": (0, -1, "fast", None, math.nan, math.inf, True),
    "optimizer.weight_decay": (-0.1, None, math.nan),
    "optimizer.betas": (0.9, None, [0.9, 1], [-0.1, 0.9], ["a", "b"], [0.9], []),
    "optimizer.momentum optimizer=sgd": (*NO_FRACTION, 1),
    "optimizer.nesterov optimizer=sgd": ("yes", 1, None),
    "optimizer.alpha optimizer=rmsprop": (*NO_FRACTION, 1),
    "scheduler.warmup": (*NO_FRACTION, 1),
    "scheduler.final scheduler=cosine": NO_FRACTION,
    "scheduler.factor scheduler=plateau": (*NO_FRACTION, 0, 1),
    "scheduler.plateau_patience scheduler=plateau": (-1, 0.5, None),
    "trainer.max_epochs": NO_COUNT,
    "trainer.gradient_clip_norm": (0, -1, "none", math.inf, math.nan, True),
    "trainer.patience": (0, -1, 1.5, "never"),
    "trainer.mixed_precision": ("auto", 1, None),
    "trainer.max_batches": (0, -1, 0.5),
}


@pytest.mark.parametrize("setting", BAD)
def test_a_bad_value_is_refused_by_its_full_key(setting):
    key, *overrides = setting.split()
    accepted = composed(*overrides)
    validate_config(accepted)
    for value in BAD[setting]:
        config = copy.deepcopy(accepted)
        OmegaConf.update(config, key, value)
        with pytest.raises(ConfigError) as refusal:
            validate_config(config)
        assert refusal.value.key == key, value
        assert str(refusal.value).startswith(f"{key}={'null' if value is None else value}: must be "), value
        assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("key", ["seed", "model.encoder.hidden_size", "optimizer.lr"])
def test_a_group_of_keys_in_place_of_a_value_is_refused(key):
    config = composed()
    OmegaConf.update(config, key, {"a": 1}, force_add=True)
    with pytest.raises(ConfigError) as refusal:
        validate_config(config)
    assert refusal.value.key == key


GOOD = {
    "seed": (0, 2**32 - 1),
    "device": ("auto", "cpu", "cuda"),
    "threads": (None, 1),
    "dataset.num_train": (None, 1),
    "dataset.num_folds": (None, 2),
    "dataset.dip_scale": (0, 1, 2.5),
    "dataset.dip_center": ([0, 0], [20, 30]),
    "model.dropout": (0, 0.0, 0.999),
    "model.head.hidden_layers model=classifier": ([], [1], [128, 64]),
    "model.initialization.forget_bias": (0, -1, 2.5),
    "objective.reconstruction_weight": (0, 1, 0.3),
    "optimizer.lr": (1e-12, 1, 100.0),
    "optimizer.weight_decay": (0, 0.1),
    "trainer.gradient_clip_norm": (None, 1e-9, 5),
    "trainer.patience": (None, 1),
}


@pytest.mark.parametrize("setting", GOOD)
def test_values_at_the_bounds_are_accepted(setting):
    key, *overrides = setting.split()
    config = composed(*overrides)
    for value in GOOD[setting]:
        OmegaConf.update(config, key, value)
        validate_config(config)


@given(st.sampled_from(sorted(ROOT)), st.none() | st.booleans() | st.integers() | st.floats() | st.text())
def test_any_value_is_accepted_or_refused_in_words(name, value):
    try:
        validate(name, value, ROOT[name])
    except ConfigError as refusal:
        assert refusal.key == name
        assert words(ROOT[name]) in str(refusal)
    else:
        json.dumps(value)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Annotated[int, Field(ge=1)], "a whole number >= 1"),
        (Annotated[float, Field(ge=0, lt=1)] | None, "a number >= 0 and < 1, or null"),
        (Literal["a", "b"] | None, "one of a, b, or null"),
        (tuple[float, float], "a list of 2, each a number"),
        (list[Annotated[int, Field(ge=1)]], "a list, each a whole number >= 1"),
        (bool, "true or false"),
        (dict[str, float], "a group of keys"),
    ],
)
def test_annotations_are_said_in_words(annotation, expected):
    assert words(annotation) == expected


def test_a_reference_is_refused_where_it_points():
    with pytest.raises(ConfigError) as refusal:
        validate_config(composed("model.hidden_size=0"))
    assert refusal.value.key == "model.hidden_size"


def test_a_reference_to_a_value_of_another_kind_is_refused():
    with pytest.raises(ConfigError, match=r"^trainer.max_epochs=val/loss: must be a whole number >= 1"):
        validate_config(composed("trainer.max_epochs=${monitor}"))


def test_a_value_to_be_filled_in_is_asked_for():
    with pytest.raises(ConfigError, match=r"^trainer\.max_epochs=\?\?\?: needs a value"):
        validate_config(composed("trainer.max_epochs=???"))


def test_an_option_that_is_missing_is_asked_for():
    with pytest.raises(ConfigError, match=r"^dataset\.batch_size=\(absent\): synthetic needs it"):
        validate_config(composed("~dataset.batch_size"))


def test_an_unknown_option_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigError, match=r"^trainer\.patiance=3: Trainer has no such option; did you mean patience\?"):
        validate_config(composed("+trainer.patiance=3"))
