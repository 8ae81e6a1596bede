"""The estimator does what scikit-learn asks of one, with the trainer and the config of `python -m lstm_ae.train`."""

import pickle

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from lstm_ae import LSTMAutoencoder, load_run
from lstm_ae.config import CONF
from lstm_ae.errors import UserError
from lstm_ae.runs.directory import RunDirectory
from lstm_ae.train import train

TINY = {"hidden_size": 2, "max_epochs": 1, "threads": 1}
RANDOM = np.random.default_rng(0)
EQUAL = RANDOM.normal(5, 3, size=(30, 6, 2)).astype(np.float32)
UNEQUAL = [RANDOM.normal(5, 3, size=(3 + i % 5, 2)).astype(np.float32) for i in range(20)]


# Of scikit-learn's checks none has to be left out: it gives its own data, which has two dimensions, and these are
# sequences of one feature. It skips one itself, of arrays of other libraries, unless SCIPY_ARRAY_API is set.
@parametrize_with_checks([LSTMAutoencoder(**TINY)])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_it_trains_as_the_command_does(tmp_path):
    np.save(tmp_path / "all.npy", EQUAL)
    np.save(tmp_path / "test.npy", EQUAL[:3] + 1)
    overrides = ["model.hidden_size=2", "trainer.max_epochs=2", "scheduler=one_cycle", "threads=1"]
    with initialize_config_dir(CONF):
        config = compose("config", ["dataset=arrays", f"dataset.path={tmp_path}/all.npy",
                                    f"dataset.test_path={tmp_path}/test.npy", *overrides])  # fmt: skip
    (tmp_path / "run").mkdir()
    train(config, RunDirectory(tmp_path / "run"))
    estimator = LSTMAutoencoder(hidden_size=2, max_epochs=2, threads=1, overrides=["scheduler=one_cycle"]).fit(EQUAL)
    rows = RunDirectory(tmp_path / "run").read_metrics()[: len(estimator.history_)]
    assert [{**row, "seconds": 0} for row in estimator.history_] == [{**row, "seconds": 0} for row in rows]


def test_nothing_is_left_behind_and_torchs_random_numbers_go_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = torch.get_rng_state()
    LSTMAutoencoder(**TINY).fit(EQUAL)
    assert torch.equal(torch.get_rng_state(), state)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_asked_for_is_a_run(tmp_path):
    estimator = LSTMAutoencoder(**TINY, directory=tmp_path / "run").fit(EQUAL)
    run = load_run(tmp_path / "run")
    np.testing.assert_allclose(run.encode(EQUAL), estimator.transform(EQUAL), rtol=1e-4, atol=1e-6)
    assert run.directory.read_summary()["status"] == "completed"
    with pytest.raises(UserError, match="holds a run already"):
        estimator.fit(EQUAL)


@pytest.mark.parametrize("decoder", ["repeat_context", "initial_state"])
def test_contexts_become_the_reconstructions_again(decoder):
    estimator = LSTMAutoencoder(**TINY, overrides=[f"model/decoder={decoder}"]).fit(EQUAL)
    contexts = estimator.transform(EQUAL)
    rebuilt = estimator.inverse_transform(contexts)
    np.testing.assert_allclose(rebuilt, estimator.run_.reconstruct(EQUAL), rtol=1e-5)
    scaler = estimator.run_.scaler
    errors = ((rebuilt - EQUAL) / np.asarray(scaler.high - scaler.low)) ** 2
    np.testing.assert_allclose(estimator.score_samples(EQUAL), -errors.mean(axis=(1, 2)), rtol=1e-4)
    assert estimator.score(EQUAL) == pytest.approx(-errors.mean(), rel=1e-4)


def test_sequences_of_unequal_length():
    estimator = LSTMAutoencoder(**TINY).fit(UNEQUAL)
    contexts = estimator.transform(UNEQUAL)
    rebuilt = estimator.inverse_transform(contexts, lengths=[len(one) for one in UNEQUAL])
    assert contexts.shape == (20, 2)
    for ours, theirs in zip(rebuilt, estimator.run_.reconstruct(UNEQUAL), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert estimator.inverse_transform(contexts).shape == (20, 7, 2)
    values = np.array([one.size for one in UNEQUAL])
    assert estimator.score(UNEQUAL) == pytest.approx((estimator.score_samples(UNEQUAL) * values).sum() / values.sum())


def test_missing_values_are_left_out_of_the_score():
    holes = EQUAL.copy()
    holes[:, 2, 0] = np.nan
    estimator = LSTMAutoencoder(**TINY, missing="mask").fit(holes)
    assert np.isfinite(estimator.score_samples(holes)).all()
    assert estimator.run_.spec.masked


def test_it_stands_in_a_pipeline_and_in_a_cross_validation():
    labels = np.arange(len(EQUAL)) % 2
    assert cross_val_score(LSTMAutoencoder(**TINY), EQUAL, cv=2).shape == (2,)
    pipeline = make_pipeline(LSTMAutoencoder(**TINY), LogisticRegression())
    assert cross_val_score(pipeline, EQUAL, labels, cv=2).shape == (2,)
    assert pipeline.set_params(lstmautoencoder__hidden_size=3).fit(EQUAL, labels)[0].transform(EQUAL).shape == (30, 3)


def test_a_fitted_one_survives_pickling():
    estimator = LSTMAutoencoder(**TINY).fit(UNEQUAL)
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.transform(UNEQUAL), estimator.transform(UNEQUAL))


@pytest.mark.parametrize(
    ("change", "values", "message"),
    [
        ({"hidden_size": 0}, EQUAL, "model.hidden_size"),
        ({"scaling": "most"}, EQUAL, "dataset.scaling"),
        ({"overrides": ["model=classifier"]}, EQUAL, "needs data with classes"),
        ({"overrides": ["trainer.max_epoch=3"]}, EQUAL, "max_epoch"),
        ({}, np.where(EQUAL > 0, np.nan, EQUAL), "NaN"),
        ({"missing": "mask"}, EQUAL * np.nan, "no value at all"),
        ({}, [np.zeros((3, 2)), np.zeros((4, 1))], "all of one width"),
        ({}, [np.full((3, 2), np.nan), np.zeros((3, 2))], "no value at all"),
        ({}, np.zeros((2, 2, 2, 2)), "shape"),
        ({}, EQUAL[:1], "1 sample"),
    ],
)
def test_what_cannot_be_used_is_told(change, values, message):
    with pytest.raises(Exception, match=message):
        LSTMAutoencoder(**TINY | change).fit(values)


def test_contexts_and_lengths_that_do_not_fit_are_told():
    estimator = LSTMAutoencoder(**TINY).fit(EQUAL)
    with pytest.raises(ValueError, match=r"expected \(n, 2\)"):
        estimator.inverse_transform(np.zeros((3, 5)))
    with pytest.raises(ValueError, match="leave out lengths"):
        estimator.inverse_transform(np.zeros((3, 2)), lengths=[1, 2, 3])
