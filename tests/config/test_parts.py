"""What a config may name: marked parts and nothing else, wherever they come from."""

import importlib
import inspect
import pkgutil
import sys

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import lstm_ae
from lstm_ae.config import ALLOW, CONF
from lstm_ae.config.build import build_model
from lstm_ae.config.parts import build_part, find_part
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.spec import DataSpec, is_part
from tests.commands import TINY_DIGITS, run, train

GRU = """
from torch import nn

from lstm_ae.models.contracts import Encoding
from lstm_ae.spec import Count, part


@part
class GRUEncoder(nn.Module):
    def __init__(self, input_size: int, hidden_size: Count) -> None:
        super().__init__()
        self.gru = nn.GRU(input_size, hidden_size, batch_first=True)
        self.context_size = hidden_size
        self.causal = True

    def forward(self, inputs):
        states, hidden = self.gru(inputs)
        return Encoding(hidden[-1], states)


def helper(input_size, hidden_size):
    raise AssertionError("no part, so it never runs")
"""
GRU_OPTIONS = ("~model.encoder", "+model.encoder={_target_: my_models.GRUEncoder, _partial_: true, hidden_size: 4}")


def every_object_of_the_package():
    """(dotted name, object) for everything that the modules of the package define or import, methods included."""
    for module in pkgutil.walk_packages(lstm_ae.__path__, "lstm_ae."):
        found = importlib.import_module(module.name)
        for name, thing in vars(found).items():
            yield f"{module.name}.{name}", thing
            if inspect.isclass(thing):
                yield from ((f"{module.name}.{name}.{method}", getattr(thing, method)) for method in vars(thing))


def test_nothing_of_the_package_but_marked_parts_can_be_named():
    named = []
    for target, thing in every_object_of_the_package():
        try:
            find_part(target, "model.encoder")
        except ConfigError:
            continue
        assert is_part(thing) and thing.__module__ == target.rpartition(".")[0], target
        named.append(target)
    assert "lstm_ae.models.encoders.LSTMEncoder" in named and len(named) > 15


@pytest.mark.parametrize(
    "target",
    [
        "os.system", "subprocess.call", "builtins.print", "lstm_ae.data.files.PublicFile.read",
        "lstm_ae.compare.compare", "lstm_ae.runs.directory.RunDirectory.update_summary", "torch.optim.adam.os.system",
        "torch.load", "optuna.samplers.warnings.warn", "", "lstm_ae", "x..y", 5,
        "lstm_ae.no_such_module.Part", "hydra.utils.call", "lstm_ae.models.encoders.LSTMEncoder.__init__",
    ],
)  # fmt: skip
def test_what_is_no_part_is_refused_unseen(target):
    with pytest.raises(ConfigError, match=r"^dataset\._target_="):
        build_part(OmegaConf.create({"_target_": target}), "dataset")


@pytest.mark.parametrize("place", ["dataset.augment", "dataset.augment.shift"])
def test_a_part_hidden_in_an_option_is_refused_too(place):
    with initialize_config_dir(CONF):
        config = compose("config", ["dataset=digits_rows"])
    OmegaConf.update(config, place, {"_target_": "os.getcwd"}, force_add=True)
    with pytest.raises(ConfigError):
        build_part(config.dataset, "dataset")


@pytest.fixture
def own_code(tmp_path, monkeypatch):
    """A folder with a user's own module in it, not yet allowed."""
    monkeypatch.delenv(ALLOW, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_models.py").write_text(GRU)
    yield tmp_path
    sys.modules.pop("my_models", None)


def test_a_user_s_encoder_trains_and_reopens_where_it_is_allowed(own_code):
    arguments = (*TINY_DIGITS, *GRU_OPTIONS, "trainer.max_epochs=1")
    refused = run("train", *arguments, cwd=own_code)
    assert refused.returncode == 1 and "allow=my_models" in refused.stderr and "Traceback" not in refused.stderr
    directory = train(*arguments, "allow=my_models", cwd=own_code)
    assert "allow" not in (directory / ".hydra" / "overrides.yaml").read_text()
    refused = run("evaluate", f"run={directory}", cwd=own_code)
    assert refused.returncode == 1 and "LSTM_AE_ALLOW=my_models" in refused.stderr
    assert run("evaluate", f"run={directory}", cwd=own_code, LSTM_AE_ALLOW="my_models").returncode == 0


def test_what_is_not_marked_in_a_user_s_module_is_refused(own_code, monkeypatch):
    monkeypatch.setenv(ALLOW, "other_models, my_models")
    for name in ("helper", "nn.GRU", "Encoding", "Nothing"):
        with pytest.raises(ConfigError, match="my_models"):
            build_part(OmegaConf.create({"_target_": f"my_models.{name}"}), "model.encoder")


LABELLED = DataSpec("made", length=6, features=2, class_names=("a", "b", "c"))
SERIES = DataSpec("made", length=6, features=2, forecast_steps=2, horizon=2, forecast_features=1)
SHIFTED = DataSpec("made", length=6, features=2, forecast_steps=6, horizon=1, forecast_features=1)
WITH_HEADS = [
    (LABELLED, "model=classifier"),
    (LABELLED, "model=classifier model.head.source=decoder"),
    (LABELLED, "model=classifier model/head=separate_classifier"),
    (SERIES, "model=forecaster"),
    (SERIES, "model=forecaster model/head=forecast_linear"),
    (SHIFTED, "model=forecaster model/head=forecast_linear"),
]


@pytest.mark.parametrize("initialization", ["orthogonal", "chrono", "pytorch", "linear_memory"])
@pytest.mark.parametrize(("spec", "head"), WITH_HEADS)
def test_a_gru_encoder_works_with_every_head_and_initialization_or_is_refused(
    spec, head, initialization, own_code, monkeypatch
):
    monkeypatch.setenv(ALLOW, "my_models")
    with initialize_config_dir(CONF):
        config = compose(
            "config", [*head.split(), f"model/initialization={initialization}", "model.hidden_size=4", *GRU_OPTIONS]
        )
    if initialization == "linear_memory":
        with pytest.raises(ConfigError, match="needs an encoder and a decoder with one LSTM layer each"):
            build_model(config, spec, None)
    else:
        build_model(config, spec, None)(torch.rand(3, 6, 2))


BROKEN = {
    "context_size": ("self.context_size = hidden_size", "", "GRUEncoder.context_size must be an int"),
    "causal": ("self.causal = True", "self.causal = 1", "GRUEncoder.causal must be a bool"),
    "shape": ("hidden[-1]", "hidden", r"model.encoder: the context has shape \(1, 2, 4\), and must have \(2, 4\)"),
    "return": ("Encoding(hidden[-1], states)", "states", "the model cannot be built"),
    "argument": ("input_size: int, ", "", "the model cannot be built"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_part_that_breaks_its_contract_is_refused_in_words(what, own_code, monkeypatch):
    monkeypatch.setenv(ALLOW, "my_models")
    right, wrong, words = BROKEN[what]
    (own_code / "my_models.py").write_text(GRU.replace(right, wrong))
    with initialize_config_dir(CONF):
        config = compose("config", ["model=classifier", *GRU_OPTIONS])
    with pytest.raises(UserError, match=words):
        build_model(config, LABELLED, None)
