"""The encode command: what it writes, and what it says of mistakes."""

import sys
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lstm_ae.config import CONF
from lstm_ae.config.build import build_data, build_model
from lstm_ae.encode import encode, main
from lstm_ae.errors import UserError
from lstm_ae.training import checkpoint
from tests.commands import call


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of a run on a table, as training leaves it, but without the training; the table is beside it."""
    path = tmp_path_factory.mktemp("encode")
    pd.DataFrame({"time": np.arange(60), "load": np.sin(np.arange(60))}).to_csv(path / "log.csv", index=False)
    with initialize_config_dir(CONF):
        config = compose("config", ["dataset=table", f"dataset.path={path}/log.csv", "dataset.time=time",
                                    "dataset.window=6", "model.hidden_size=3", "threads=1"])  # fmt: skip
    data = build_data(config, torch.device("cpu"))
    (path / "run/.hydra").mkdir(parents=True)
    (path / "run/.hydra/config.yaml").write_text(OmegaConf.to_yaml(config))
    described = {"spec": asdict(data.spec), "scaler": None if data.scaler is None else asdict(data.scaler)}
    model = build_model(config, data.spec, None)
    history = [{"epoch": 1, "val/loss": 0.5}]
    checkpoint.save(path / "run/checkpoints/best.pt", {"model": model.state_dict(), "history": history, **described})
    return path / "run"


def configured(**keys):
    with initialize_config_dir(CONF):
        return compose("encode", [f"{key}={value}" for key, value in keys.items()])


def test_a_table_becomes_two(run, tmp_path):
    table = run.parent / "log.csv"
    encode(configured(run=run, input=table, output=tmp_path / "deep/contexts.parquet", reconstruct=True))
    contexts = pd.read_parquet(tmp_path / "deep/contexts.parquet")
    rebuilt = pd.read_parquet(tmp_path / "deep/contexts_reconstructions.parquet")
    assert list(contexts) == ["series", "begin", "end", "context_0", "context_1", "context_2"] and len(contexts) == 10
    assert list(rebuilt) == ["series", "time", "load"] and list(rebuilt.time) == list(range(60))
    assert len(list((tmp_path / "deep").iterdir())) == 2


def test_the_own_test_part_goes_into_the_run(run):
    path = encode(configured(run=run))
    assert path == run / "contexts/test.csv"
    assert pd.read_csv(path).begin.min() > 40


def test_a_run_whose_folders_lead_elsewhere_is_not_written_into(run, tmp_path):
    link = run / "contexts-of-others"
    link.symlink_to(tmp_path)
    try:
        with pytest.raises(UserError, match="is a symbolic link"):
            encode(configured(run=run))
        assert encode(configured(run=run, output=tmp_path / "contexts.csv")).is_file()
    finally:
        link.unlink()


def test_mistakes(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "latin.csv").write_bytes("time,load\n1,2\n2,caf\xe9\n".encode("latin-1"))
    pd.DataFrame({"time": [1, 2], "heat": [1, 2]}).to_csv(tmp_path / "other.csv", index=False)
    np.save(tmp_path / "wide.npy", np.zeros((3, 6, 2)))
    table = run.parent / "log.csv"
    for given, message in [
        ("input=nope.csv", "there is no such file"),
        ("input=empty.csv", "the file is empty"),
        ("input=latin.csv", "not UTF-8"),
        ("input=other.csv", "has no column 'load'"),
        ("input=wide.npy", "expected (batch, 6, 1)"),
        (f"input={table} output=x.txt", "output=x.txt: must end in .csv, .parquet, .npz"),
        (f"input={table} stride=7", "stride=7: must be at most 6"),
        ("input=wide.npy stride=2", "stride=2: is for tables"),
        (f"input={table} reconstruct=maybe", "reconstruct=maybe: must be true or false"),
        (f"input=[{table},wide.npy]", "one at a time"),
    ]:
        code, words = call(main, [f"run={run}", "output=out/c.csv", *given.split()], monkeypatch)
        assert code == 1 and message in words, (given, words)
        assert not (tmp_path / "out").exists()


def test_each_part_is_written_before_the_next_one_is_made(run, tmp_path, monkeypatch):
    seen = []

    def parts(*_):
        for number in range(3):
            seen.append(f"made {number}")
            yield pd.DataFrame({"sequence": [number]}), None

    @contextmanager
    def writing(_):
        yield lambda part: seen.append(f"written {part.sequence[0]}")

    monkeypatch.setattr("lstm_ae.encode.parts_of", parts)
    monkeypatch.setattr("lstm_ae.data.table_writing.writing", writing)
    encode(configured(run=run, output=tmp_path / "contexts.csv"))
    assert seen == [f"{done} {number}" for number in range(3) for done in ("made", "written")]


def test_parquet_without_its_extra_leaves_nothing_behind(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"deep/c\.parquet: Parquet needs pyarrow: pip install .*; or write c\.csv"):
        encode(configured(run=run, output=tmp_path / "deep/c.parquet"))
    assert not (tmp_path / "deep").exists()


def test_a_mistake_far_into_a_file_names_its_place_and_leaves_no_file(run, tmp_path):
    values = np.zeros((1002, 6, 1))
    values[1001, 2, 0] = np.nan
    np.save(tmp_path / "late.npy", values)
    with pytest.raises(UserError, match=r"late\.npy, sequences counted from number 1000: input .*: sequence 1, step 2"):
        encode(configured(run=run, input=tmp_path / "late.npy", output=tmp_path / "out/c.csv"))
    assert not list((tmp_path / "out").iterdir())
