"""Folds as runs of their own, without training them."""

import pytest
from omegaconf import OmegaConf

from lstm_ae.errors import ConfigError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.sweeps.cross_validation import pending_folds, summarize_folds

CONFIG = OmegaConf.create(
    {"cross_validation": 3, "resume": None, "seed": "${dataset.fold}", "dataset": {"num_folds": None, "fold": 0}}
)


def complete(run, best, **test):
    run.update_summary(status="completed", monitor="val/loss", parameters=7, device="cpu", best=best, best_epoch=2,
                       test=test, baselines={"test/loss/mean": 1.0}, seconds=1.5)  # fmt: skip


def test_each_fold_gets_its_config_and_only_the_pending_ones_come(tmp_path):
    directory = RunDirectory(tmp_path)
    for fold, own, run in pending_folds(CONFIG, directory):
        assert run.path == tmp_path / "folds" / str(fold)
        assert (own.dataset.num_folds, own.dataset.fold, own.cross_validation, own.resume) == (3, fold, None, None)
        assert OmegaConf.load(run.config) == own
        if fold == 0:
            complete(run, 0.5)
        if fold == 1:
            run.checkpoints.mkdir()
            (run.checkpoints / "last.pt").touch()
            written = run.config.stat().st_mtime_ns
            break  # interrupted
    assert CONFIG.dataset.num_folds is None
    pending = {fold: own for fold, own, _ in pending_folds(CONFIG, directory)}
    assert {fold: own.resume for fold, own in pending.items()} == {1: ".", 2: None}
    assert run.config.stat().st_mtime_ns == written


def test_the_summary_holds_means_deviations_and_each_fold(tmp_path):
    directory = RunDirectory(tmp_path)
    for fold, _, run in pending_folds(CONFIG, directory):
        complete(run, fold + 1.0, **{"test/loss": 10.0 * fold})
    assert summarize_folds(CONFIG, directory) == 2.0
    summary = directory.read_summary()
    assert (summary["best"], summary["seconds"], summary["status"]) == (2.0, 4.5, "completed")
    assert summary["best_std"] == pytest.approx((2 / 3) ** 0.5)
    assert summary["test"] == {"test/loss": 10.0}
    assert [fold["best"] for fold in summary["folds"]] == [1.0, 2.0, 3.0]


def test_of_two_monitors_each_is_averaged(tmp_path):
    directory = RunDirectory(tmp_path)
    for fold, _, run in pending_folds(CONFIG, directory):
        complete(run, [float(fold), 2.0 * fold])
    assert summarize_folds(CONFIG, directory) == [1.0, 2.0]
    assert directory.read_summary()["best_std"] == pytest.approx([(2 / 3) ** 0.5, 2 * (2 / 3) ** 0.5])


@pytest.mark.parametrize(
    ("dataset", "key"),
    [({}, "cross_validation"), ({"fold": 0}, "cross_validation"), ({"num_folds": 4, "fold": 1}, "dataset.num_folds")],
)
def test_data_that_cannot_be_split_into_folds_is_refused_by_the_key_to_change(tmp_path, dataset, key):
    config = OmegaConf.create({"cross_validation": 3, "resume": None, "dataset": dataset})
    with pytest.raises(ConfigError) as refused:
        next(pending_folds(config, RunDirectory(tmp_path)))
    assert refused.value.key == key
    assert not (tmp_path / "folds").exists()
