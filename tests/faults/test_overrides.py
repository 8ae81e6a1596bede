"""Overrides drawn from the config tree: whatever their values, a command ends in a few lines or begins to train."""

import os
import sys

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

import lstm_ae.console  # noqa: F401  (it registers the resolver that conf/config.yaml uses)
from lstm_ae import train
from lstm_ae.config import CONF
from lstm_ae.errors import UserError
from lstm_ae.runs.settings import flatten
from tests.commands import TINY_SYNTHETIC

BEGINS = "it would begin to train now"
CHECKS = list(HealthCheck)
GROUPS = ("dataset", "model", "model/encoder", "model/decoder", "model/head", "model/initialization", "optimizer",
          "scheduler", "trainer", "objective", "pruner", "experiment")  # fmt: skip


def keys_of_the_config() -> list[str]:
    """Every key of a composed config, its groups included."""
    with initialize_config_dir(CONF):
        tree = OmegaConf.to_container(compose("config"))
    leaves = [key for key in flatten(tree) if not key.startswith("hydra")]
    return sorted({".".join(key.split(".")[:n]) for key in leaves for n in range(1, key.count(".") + 2)})


VALUES = st.one_of(
    st.integers(-3, 3), st.integers(), st.floats(), st.booleans(), st.just("null"),
    st.text("abc[]{}$:,'\"\\=/. ", max_size=8),
    st.sampled_from(["", "1e400", "nan", "[1,2]", "[]", "{}", "{a: 1}", "${seed}", "${model}", "${oc.env:HOME}", "???",
                     "lstm_ae.models.encoders.LSTMEncoder", "1,2", "range(1,3)", "0x10", "1_000", "1e3", "-0", "''"]),
)  # fmt: skip


KEYS = keys_of_the_config()


@st.composite
def overrides(draw):
    """An override of any key, in any of the forms that Hydra knows."""
    key = draw(st.sampled_from([*KEYS, *GROUPS]))
    form = draw(st.sampled_from(["{key}={value}", "++{key}={value}", "+{key}.x={value}", "~{key}", "{key}.y={value}"]))
    return form.format(key=key, value=draw(VALUES))


@pytest.fixture
def no_training(monkeypatch, tmp_path):
    """The command up to the point where the training would begin."""

    def begins(*_):
        raise UserError(BEGINS)

    monkeypatch.setattr("lstm_ae.config.build.build_trainer", begins)
    monkeypatch.setattr("lstm_ae.memory.available", lambda: 10**9)  # what fits into it is made
    monkeypatch.chdir(tmp_path)


def check(given_overrides) -> None:
    """Run the command; it must end in a message."""
    sys.argv = ["train", *(setting for setting in TINY_SYNTHETIC if "hidden" not in setting), *given_overrides]
    with pytest.raises(SystemExit) as ended:
        train.main()
    said = str(ended.value.code)
    assert said == f"error: {BEGINS}" or (said.startswith("error: ") and len(said.splitlines()) <= 40), said


@settings(max_examples=20, deadline=None, suppress_health_check=CHECKS, phases=[Phase.generate])
@given(st.lists(overrides(), min_size=1, max_size=2))
def test_no_override_leads_to_a_traceback(no_training, given_overrides):
    check(given_overrides)


@pytest.mark.parametrize(
    "given_overrides",
    [["model.decoder=0", "+model.decoder.hidden_size.x=0"], ["dataset.dip_scale=18446744073709551616"]],
)
def test_overrides_that_did_lead_to_one(no_training, given_overrides):
    check(given_overrides)


@pytest.mark.soak
@settings(max_examples=int(os.environ.get("LSTM_AE_SOAK_CASES", "3000")), deadline=None, suppress_health_check=CHECKS)
@given(st.lists(overrides(), min_size=1, max_size=2))
def test_no_override_of_three_thousand_leads_to_a_traceback(no_training, given_overrides):
    check(given_overrides)
