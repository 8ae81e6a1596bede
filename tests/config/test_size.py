"""Memory is asked for only if it is there; settings that do nothing are told."""

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import lstm_ae.console  # noqa: F401  (it registers the resolver that conf/config.yaml uses)
from lstm_ae import memory
from lstm_ae.config import CONF
from lstm_ae.config.ignored import refuse_ignored, without_effect
from lstm_ae.config.saving import settle
from lstm_ae.config.size import check_size
from lstm_ae.errors import ConfigError


def composed(*overrides):
    with initialize_config_dir(CONF):
        return compose("config", list(overrides))


def test_what_is_available_is_a_plausible_number_of_bytes():
    assert 10**7 < memory.available() < 10**14


def test_the_estimate_is_near_what_training_takes(monkeypatch):
    """The weights alone, four copies of them: what the parameters of the built model say."""
    config = composed("model.hidden_size=100", "model.num_layers=2")
    needed = []
    monkeypatch.setattr("lstm_ae.config.size.require", lambda count, *_: needed.append(count))
    check_size(config, length=50, features=1, batch=0)
    assert needed[0] == pytest.approx(4 * 4 * (4 * 100 * 101 + 4 * 100 * 200))
    check_size(config, length=50, features=1, batch=64)
    assert max(needed) > 4 * 64 * 50 * 100 * 2 * 6


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["model.hidden_size=10000000"], "model.hidden_size"),
        (["model.encoder.hidden_size=10000000"], "model.encoder.hidden_size"),
        (["model.num_layers=5000"], "model.num_layers"),
        (["model=classifier_separate", "model.head.encoder.hidden_size=10000000"], "model.head.encoder.hidden_size"),
        (["model/encoder=pyramidal", "model.encoder.strides=[100,100]"], "model.encoder.strides"),
    ],
)
def test_too_large(overrides, key):
    with pytest.raises(ConfigError) as refusal:
        check_size(composed(*overrides), length=50, features=1, batch=0)
    assert refusal.value.key == key


def test_long_sequences_in_large_batches_count():
    config = composed("model.hidden_size=1000")
    check_size(config, length=50, features=1, batch=64)
    with pytest.raises(ConfigError, match=r"model\.hidden_size=1000: is too large"):
        check_size(config, length=1_000_000, features=1, batch=100_000)


def test_a_fold_of_no_folds_is_refused():
    with pytest.raises(ConfigError, match=r"dataset\.fold=1: does nothing"):
        refuse_ignored(composed("dataset.fold=1"))
    refuse_ignored(composed("dataset.fold=1", "dataset.num_folds=3"))
    refuse_ignored(composed("dataset.num_folds=3"))


@pytest.mark.parametrize(
    ("overrides", "sentences"),
    [
        ([], 0),
        (["model.dropout=0.2"], 1),
        (["model.dropout=0.2", "model.num_layers=2"], 0),
        (["model.dropout=0.2", "model=classifier"], 0),
        (["model/encoder=pyramidal", "model/decoder=pyramidal", "model.dropout=0.2"], 1),
    ],
)
def test_dropout_where_nothing_drops_out_is_told(overrides, sentences):
    assert len(list(without_effect(composed(*overrides)))) == sentences


def test_a_saved_config_leaves_nothing_to_its_readers_environment(monkeypatch):
    monkeypatch.setenv("LSTM_AE_LR", "0.5")
    values = {
        "lr": "${oc.decode:${oc.env:LSTM_AE_LR}}",
        "list": ["${oc.env:LSTM_AE_LR}", 3],
        "seed": "${lr}",
        "no": None,
    }
    config = OmegaConf.create({"optimizer": values, "lr": 1, "missing": "???"})
    assert settle(config)
    monkeypatch.delenv("LSTM_AE_LR")
    assert OmegaConf.to_container(config) == {
        "optimizer": {"lr": 0.5, "list": ["0.5", 3], "seed": "${lr}", "no": None},  # ${lr} means the same to any reader
        "lr": 1, "missing": "???",
    }  # fmt: skip
    assert not settle(config)
