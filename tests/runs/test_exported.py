"""An exported file computes what the run does, in original units, at other batch sizes and lengths; or is refused."""

import json
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lstm_ae.config import CONF
from lstm_ae.config.build import build_model
from lstm_ae.data.sequence_data import Sequences
from lstm_ae.errors import UserError
from lstm_ae.export import main
from lstm_ae.kernels import backend_of
from lstm_ae.models.encoders import LSTMEncoder
from lstm_ae.runs import exported
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.runs.exported import export_run
from lstm_ae.runs.reopen import Run
from lstm_ae.spec import DataSpec, Scaler
from lstm_ae.training import checkpoint
from tests.commands import call
from tests.models.parts import sequences

SCALER = Scaler(torch.tensor([10.0, -1.0]), torch.tensor([30.0, 5.0]))
RANDOM = np.random.default_rng(0)


def make_run(path, spec, *overrides, scaler=SCALER):
    """A run of an untrained model, as `load_run` opens it."""
    with initialize_config_dir(CONF):
        config = compose("config", ["model.hidden_size=3", "dataset=digits_rows", *overrides])
    model = build_model(config, spec, None).eval()
    return Run(RunDirectory(path), config, model, spec, scaler, [{"epoch": 4, "val/loss": 0.5}])


def spec(**changes):
    return DataSpec(**{"name": "made", "length": 5, "features": 2, "feature_names": ("a", "b")} | changes)


def test_onnx_reads_unequal_lengths_and_missing_values_and_classifies(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    unequal = spec(varying=True, masked=True, class_names=("x", "y"))
    run = make_run(tmp_path, unequal, "model=classifier", "model.encoder.bidirectional=true", "model.num_layers=2",
                   "model.decoder.reverse=true")  # fmt: skip
    found = export_run(run, "onnx", tmp_path / "model.onnx")
    assert len({(one.batch, one.steps) for one in found}) == 4 and max(one.difference for one in found) < 1e-5
    assert backend_of(run.model) == "torch"

    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    sequences = [RANDOM.uniform(0, 20, size=(length, 2)).astype(np.float32) for length in (3, 9, 1)]
    holes = [one.copy() for one in sequences]
    sequences[1][4, 0] = (sequences[1][3, 0] + sequences[1][5, 0]) / 2  # on the line between its neighbours
    holes[1][4, 0] = np.nan
    values = np.full((3, 9, 2), 7, np.float32)  # what stands past an end does not matter
    for row, one in zip(values, sequences, strict=True):
        row[: len(one)] = one
    exists = np.ones(values.shape, bool)
    exists[1, 4, 0] = False
    context, reconstruction, probabilities = session.run(
        None, {"values": values, "lengths": np.array([3, 9, 1]), "exists": exists}
    )
    np.testing.assert_allclose(context, run.encode(holes), atol=1e-5)
    np.testing.assert_allclose(probabilities, run.classify(holes, probabilities=True), atol=1e-5)
    for ours, theirs in zip(reconstruction, run.reconstruct(holes), strict=True):
        np.testing.assert_allclose(ours[: len(theirs)], theirs, atol=1e-4)
        assert (ours[len(theirs) :] == 0).all()

    known = session.get_modelmeta().custom_metadata_map
    assert known["dataset"] == "made" and known["epoch"] == "4" and json.loads(known["class_names"]) == ["x", "y"]
    assert "hidden_size: 3" in known["config"] and known["run"] == tmp_path.name


@pytest.mark.parametrize("standardized", [False, True])
def test_a_sequence_scaled_by_its_own_values(tmp_path, standardized):
    own = spec(own_range=(0, 0), own_standardized=standardized)
    run = make_run(tmp_path, own, "model/decoder=initial_state", scaler=None)
    kind = "torch" if standardized else "onnx"
    path = tmp_path / f"model{'.pt2' if standardized else '.onnx'}"
    export_run(run, kind, path)
    values = RANDOM.normal(500, 3, size=(4, 5, 2)).astype(np.float32)
    values[0] = 2.5
    if standardized:
        found = torch.export.load(path).module()(values=torch.from_numpy(values))["reconstruction"].numpy()
    else:
        session = pytest.importorskip("onnxruntime").InferenceSession(str(path))
        found = session.run(["reconstruction"], {"values": values})[0]
    np.testing.assert_allclose(found, run.reconstruct(values), rtol=1e-5)


def test_a_decoder_that_goes_step_by_step_is_exported_for_its_one_length(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    run = make_run(tmp_path, spec(length=3), "model/decoder=autoregressive")
    found = export_run(run, "onnx", tmp_path / "model.onnx")
    assert {one.steps for one in found} == {3}
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    with pytest.raises(Exception, match="invalid dimensions"):
        session.run(None, {"values": np.zeros((2, 4, 2), np.float32)})


REFUSED = {
    "step by step at unequal lengths": (
        {"varying": True}, ["model/decoder=autoregressive"], SCALER, "step by step, and these steps are written out"
    ),
    "scaled as only the data set knows": ({}, [], None, "in a way that only it knows"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "overrides", "scaler", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_exported_rightly_is_refused(tmp_path, changes, overrides, scaler, reason):
    with pytest.raises(UserError, match=reason):
        export_run(make_run(tmp_path, spec(**changes), *overrides, scaler=scaler), "torch", tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_right_is_not_kept(tmp_path, monkeypatch):
    def write_wrong(program, path, run, outputs):
        path.write_text("")
        return lambda inputs: [np.full((inputs["values"].shape[0], 3), 0.1), inputs["values"].numpy()]

    monkeypatch.setattr(exported, "capture", lambda *_: None)
    monkeypatch.setattr(exported, "write_torch", write_wrong)
    with pytest.raises(UserError, match=r"differs from PyTorch's by .* at batch 1, 5 steps"):
        export_run(make_run(tmp_path, spec()), "torch", tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


def test_the_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install 'lstm-ae\[export\]'"):
        export_run(make_run(tmp_path, spec()), "onnx", tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_torch_cannot_follow_is_refused(tmp_path, monkeypatch):
    run = make_run(tmp_path, spec())
    forward = LSTMEncoder.forward
    monkeypatch.setattr(
        LSTMEncoder,
        "forward",
        lambda self, inputs, lengths=None: forward(self, inputs, lengths) if inputs.sum() > 0 else None,
    )
    with pytest.raises(UserError, match="cannot be exported"):
        export_run(run, "torch", tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


def test_mistakes_on_the_command_line(tmp_path, monkeypatch):
    run = make_run(tmp_path, spec())
    run.directory.config.parent.mkdir()
    run.directory.config.write_text(OmegaConf.to_yaml(run.config))
    weights, described = run.model.state_dict(), {"spec": asdict(run.spec), "scaler": asdict(SCALER)}
    checkpoint.save(run.directory.checkpoints / "best.pt", {"model": weights, "history": run.history, **described})
    for arguments, message in [
        ([f"run={tmp_path}", "format=tflite"], "format=tflite: must be one of onnx, torch"),
        ([f"run={tmp_path}", "format=torch", "output=x.onnx"], "must end in .pt2"),
        ([f"run={tmp_path / 'no'}"], "not a run directory"),
    ]:
        code, words = call(main, arguments, monkeypatch)
        assert code == 1 and message in words
    assert {path.name for path in tmp_path.iterdir()} == {".hydra", "checkpoints"}


def test_what_rounding_takes_over_many_steps_is_no_reason_to_refuse(tmp_path):
    """States that never fade add up the rounding of each step: PyTorch itself is off by more than the tolerance."""
    pytest.importorskip("onnxruntime")
    run = make_run(tmp_path, spec(length=400, features=1), "experiment=own", scaler=Scaler(0.0, 1.0))
    with torch.no_grad():
        fitted = build_model(run.config, run.spec, Sequences(sequences(100, 400, 1)))
    run.model.load_state_dict(fitted.state_dict())
    found = export_run(run, "onnx", tmp_path / "model.onnx")
    assert max(one.difference for one in found) > exported.TOLERANCE
    assert max(one.rounding for one in found) > exported.TOLERANCE
