"""The table of settings: what it lets through, what it refuses and by which name."""

import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from lstm_ae.config.rules import RULES, check
from lstm_ae.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf"
# Every setting of a run is in one of these; the others choose among them, or speak to Hydra.
SETTINGS = ("dataset", "model", "objective", "optimizer", "scheduler", "trainer", "pruner")


def leaves(node, prefix=""):
    """The (key, value) pairs below a parsed YAML mapping, `defaults` and Hydra's own left out."""
    for name, value in node.items():
        if isinstance(value, dict):
            if name != "hydra":
                yield from leaves(value, f"{prefix}{name}.")
        elif name != "defaults":
            yield f"{prefix}{name}", value


def values_in(path):
    """The (key, value) pairs in a YAML file that are neither interpolated nor to be filled in."""
    pairs = leaves(yaml.safe_load(path.read_text()) or {})
    return [(key, value) for key, value in pairs if value != "???" and not str(value).startswith("${")]


def last(key):
    return key.rsplit(".", 1)[-1]


FILES = {path.relative_to(CONF).as_posix(): path for path in sorted(CONF.rglob("*.yaml"))}


@pytest.mark.parametrize("file", FILES)
def test_every_value_in_the_config_tree_is_accepted(file):
    for key, value in values_in(FILES[file]):
        rule = RULES.get(last(key))
        assert rule is None or rule.accepts(value), f"{key}={value} in {file}: must be {rule.words}"


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith(SETTINGS)])
def test_every_setting_in_the_config_tree_has_a_rule(file):
    unruled = {key for key, _ in values_in(FILES[file]) if last(key) not in RULES}
    assert unruled <= {"_target_", "_partial_", "head"}


def test_every_rule_is_for_a_key_that_exists():
    keys = {last(key) for path in FILES.values() for key, _ in leaves(yaml.safe_load(path.read_text()) or {})}
    assert set(RULES) - keys == set()


def config(key, value):
    found = OmegaConf.create()
    OmegaConf.update(found, key, value)
    return found


NO_COUNT = (0, -1, 1.5, "abc", True, None, [1], math.nan)
NO_FRACTION = (-0.1, 1.1, "half", True, None, math.nan, math.inf, [0.5])
BAD = {
    "seed": (-1, 0.5, "abc", None, True, 2**64),
    "monitor": ("", None, 3, [], ["val/loss"], ["val/loss", 1]),
    "mode": ("minimum", "", None, True, [], ["min"], ["min", "least"]),
    "cross_validation": (1, 0, -3, 2.5, "five"),
    "study_name": ("", "a/b", "..", "two words", 3),
    "workers": NO_COUNT,
    "revalidate": (0, -1, 0.5, "all"),
    "pruner.n_startup_trials": (-1, 0.5, None, "first"),
    "pruner.n_warmup_steps": (-1, 0.5, None, "first"),
    "pruner.interval_steps": NO_COUNT,
    "pruner.min_resource": NO_COUNT,
    "pruner.reduction_factor": (1, 0, 2.5, None),
    "pruner.min_delta": (-1, None, "none"),
    "device": ("gpu", "cuda:7", None, 0),
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
    "dataset.order": ("row", "columns", None),
    "dataset.augment.shift": (-1, math.nan, "small", None),
    "dataset.augment.rotation": (-1, 181, None),
    "model.hidden_size": NO_COUNT,
    "model.encoder.hidden_size": NO_COUNT,
    "model.num_layers": NO_COUNT,
    "model.dropout": (*NO_FRACTION, 1),
    "model.encoder.bidirectional": ("yes", 1, 0, None),
    "model.encoder.pooling": ("max", None, True, 1),
    "model.initialization.forget_bias": ("open", None, math.inf, math.nan),
    "model.initialization.gate_bias": (-1, "open", None, math.inf),
    "model.decoder.output_activation": ("tanh", "", None),
    "model.decoder.reverse": ("true", 1, None),
    "model.decoder.teacher_forcing": NO_FRACTION,
    "model.head.source": ("encoder", None),
    "model.head.hidden_layers": (64, None, [0], [64, -1], [1.5], "64", [None]),
    "objective.reconstruction_weight": (*NO_FRACTION, 1.5),
    "optimizer.lr": (0, -1, "fast", None, math.nan, math.inf, True),
    "optimizer.weight_decay": (-0.1, None, math.nan),
    "optimizer.momentum": (*NO_FRACTION, 1),
    "optimizer.alpha": (*NO_FRACTION, 1),
    "optimizer.betas": (0.9, None, [0.9, 1], [-0.1, 0.9], ["a", "b"], [0.9], []),
    "optimizer.nesterov": ("yes", 1, None),
    "scheduler.warmup": (*NO_FRACTION, 1),
    "scheduler.final": NO_FRACTION,
    "scheduler.factor": (*NO_FRACTION, 0, 1),
    "scheduler.plateau_patience": (-1, 0.5, None),
    "trainer.max_epochs": NO_COUNT,
    "trainer.gradient_clip_norm": (0, -1, "none", math.inf, math.nan, True),
    "trainer.patience": (0, -1, 1.5, "never"),
    "trainer.mixed_precision": ("auto", 1, None),
    "trainer.max_batches": (0, -1, 0.5),
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in BAD.items() for value in values])
def test_a_bad_value_is_refused_by_its_full_key(key, value):
    with pytest.raises(ConfigError) as refusal:
        check(config(key, value))
    assert refusal.value.key == key
    assert str(refusal.value).startswith(f"{key}={'null' if value is None else value}: must be ")
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("key", ["seed", "model.encoder.hidden_size", "optimizer.lr"])
def test_a_group_of_keys_in_place_of_a_value_is_refused(key):
    with pytest.raises(ConfigError) as refusal:
        check(config(key, {"a": 1}))
    assert refusal.value.key == key


GOOD = {
    "seed": (0, 2**31),
    "device": ("auto", "cpu", "cuda"),
    "threads": (None, 1),
    "dataset.num_train": (None, 1),
    "dataset.num_folds": (None, 2),
    "dataset.dip_scale": (0, 1, 2.5),
    "dataset.dip_center": ([0, 0], [20, 30]),
    "model.dropout": (0, 0.0, 0.999),
    "model.head.hidden_layers": ([], [1], [128, 64]),
    "model.initialization.forget_bias": (0, -1, 2.5),
    "objective.reconstruction_weight": (0, 1, 0.3),
    "optimizer.lr": (1e-12, 1, 100.0),
    "optimizer.weight_decay": (0, 0.1),
    "trainer.gradient_clip_norm": (None, 1e-9, 5),
    "trainer.patience": (None, 1),
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in GOOD.items() for value in values])
def test_values_at_the_bounds_are_accepted(key, value):
    check(config(key, value))


@given(st.sampled_from(sorted(RULES)), st.none() | st.booleans() | st.integers() | st.floats() | st.text())
def test_any_value_is_accepted_or_refused_in_words(name, value):
    try:
        check(OmegaConf.create({"group": {name: value}}))
    except ConfigError as refusal:
        assert refusal.key == f"group.{name}"
        assert RULES[name].words in str(refusal)


def test_the_first_bad_value_is_named_however_deep():
    with pytest.raises(ConfigError, match=r"^a\.b\.c\.hidden_size=0: must be a whole number >= 1$"):
        check(OmegaConf.create({"a": {"b": {"hidden_size": 1, "c": {"hidden_size": 0}}}}))


def test_an_interpolation_is_checked_where_it_points():
    tree = {"model": {"hidden_size": 8, "encoder": {"hidden_size": "${model.hidden_size}"}}}
    check(OmegaConf.create(tree))
    tree["model"]["hidden_size"] = 0
    with pytest.raises(ConfigError) as refusal:
        check(OmegaConf.create(tree))
    assert refusal.value.key == "model.hidden_size"


def test_a_value_to_be_filled_in_is_asked_for():
    with pytest.raises(ConfigError, match=r"^trainer\.max_epochs=\?\?\?: needs a value"):
        check(OmegaConf.create({"trainer": {"max_epochs": "???"}}))


def test_names_without_a_rule_are_none_of_its_business():
    check(OmegaConf.create({"_target_": "somewhere", "unknown": {"key": -1}}))
