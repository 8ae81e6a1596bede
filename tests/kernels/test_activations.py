"""The compiled sigmoid and tanh, and the fit behind them."""

from pathlib import Path

import numpy as np
import torch

from lstm_ae.kernels import fit_activations


def activations(library, x):
    sigmoids, tangents = torch.empty_like(x), torch.empty_like(x)
    library.functions.lstm_activations(x.numel(), x.data_ptr(), sigmoids.data_ptr(), tangents.data_ptr())
    return sigmoids, tangents


def test_relative_error_below_a_millionth(compiled):
    magnitudes = torch.cat([torch.logspace(-37, 0, 100_001), torch.linspace(0, 90, 400_001)])
    x = torch.cat([magnitudes, -magnitudes, torch.tensor([1e3, -1e3, 1e30, -1e30, 3.4e38, -3.4e38])])
    sigmoids, tangents = activations(compiled, x)
    exact = x.double()
    error = (tangents.double() / exact.tanh() - 1).abs()
    assert error[exact != 0].max() < 5e-7
    error = (sigmoids.double() / exact.sigmoid() - 1).abs()
    assert error[x >= -87].max() < 5e-7
    assert (sigmoids[x < -87] < 2e-38).all()


def test_special_numbers(compiled):
    x = torch.tensor([0.0, -0.0, torch.inf, -torch.inf, torch.nan])
    sigmoids, tangents = activations(compiled, x)
    assert torch.equal(tangents[:4], torch.tensor([0.0, 0.0, 1.0, -1.0]))
    assert torch.equal(sigmoids[:3], torch.tensor([0.5, 0.5, 1.0]))
    assert sigmoids[3] < 2e-38


def test_the_source_holds_what_the_script_fits():
    source = (Path(__file__).parents[2] / "lstm_ae/kernels/lstm.c").read_text()
    for coefficient in fit_activations.remez(fit_activations.DEGREE).astype(np.float32):
        assert f"{coefficient:.9g}" in source
