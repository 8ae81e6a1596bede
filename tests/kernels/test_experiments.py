"""The named experiments train alike with either backend, and go on bit for bit with the native one."""

import copy
from itertools import islice
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from lstm_ae.config import CONF, build
from lstm_ae.kernels import choose_backend, clip_and_step, use_backend
from tests.commands import TINY_DIGITS, run, train

EXPERIMENTS = sorted(path.stem for path in Path(CONF, "experiment").glob("*.yaml"))
STEPS = 3


def losses(config, data, model, backend):
    """The losses of a few training steps, from a model's weights and on the same batches."""
    torch.manual_seed(0)
    model = copy.deepcopy(model)
    use_backend(model, backend)
    objective, optimizer = build.build_objective(config), build.build_training(config, model)["optimizer"]
    found = []
    for batch in islice(data.train.chunks(min(data.batch_size, 32)), STEPS):
        optimizer.zero_grad()
        loss = objective(model(batch.inputs), batch, training=True)["loss"]
        loss.backward()
        clip_and_step(optimizer, config.trainer.gradient_clip_norm, backend)
        found.append(loss.item())
    return found


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_training_agrees_with_that_of_torch(name, real_data, real_stocks, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("value\n" + "".join(f"{(step % 7) * (step % 11)}\n" for step in range(400)))
    few = {
        "sp500": ["dataset.symbols=4"], "mnist": ["dataset.num_train=128"], "anomaly": [f"dataset.path={table}"],
    }.get(name.split("_")[0], [])  # fmt: skip
    with initialize_config_dir(CONF):
        config = compose("config", [f"experiment={name}", "threads=1", *few])
        if "linear_autoencoder" in config.model.initialization._target_:  # refining it takes half a minute
            config.model.initialization.iterations = 1
    if choose_backend("auto", "cpu") != "native":
        pytest.skip("no C compiler here")
    data = build.build_data(config, torch.device("cpu"))
    dropout = config.model.dropout > 0 and config.model.num_layers > 1  # between layers: other random numbers
    assert not dropout, "an experiment with dropout between layers needs another comparison"
    torch.manual_seed(0)
    model = build.build_model(config, data.spec, data.train)
    native, torchs = (losses(config, data, model, backend) for backend in ("native", "torch"))
    assert native == pytest.approx(torchs, rel=1e-4)


def test_a_native_training_goes_on_with_torch_and_says_so(tmp_path):
    part = train(*TINY_DIGITS, "backend=native", "trainer.max_epochs=1", cwd=tmp_path)
    other = run("train", f"resume={part}", "trainer.max_epochs=2", "backend=torch", cwd=tmp_path)
    assert other.returncode == 0 and "will differ in their last decimals" in other.stdout
