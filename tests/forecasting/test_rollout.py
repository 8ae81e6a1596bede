"""Roll-outs: what each step reads, and that one step is what the data set's windows ask for."""

import numpy as np
import pytest
import torch

from lstm_ae.forecasting.plan import used_until
from lstm_ae.forecasting.rollout import make_forecaster, roll_out
from lstm_ae.models.inference import predict
from tests.data.panels import made_data
from tests.models.test_forecast_heads import decoder_head, linear_head, weights_drawn

KNOWN = torch.arange(1.0, 7).double().view(1, 6, 1)


def reading(log, ahead=1):
    """A forecaster that notes what it reads and answers with its sum."""

    def forecast(inputs):
        log.append(inputs[0, :, 0].tolist())
        return inputs.sum(1, keepdim=True).expand(-1, ahead, -1)

    return forecast


def test_a_sliding_window_reads_the_last_steps_of_the_growing_signal():
    log = []
    assert roll_out(reading(log), KNOWN, 3, window=2).tolist() == [[11, 17, 28]]
    assert log == [[5, 6], [6, 11], [11, 17]]


def test_a_growing_prefix_reads_all_of_it():
    log = []
    assert roll_out(reading(log), KNOWN, 3, window=None).tolist() == [[21, 42, 84]]
    assert [len(read) for read in log] == [6, 7, 8] and log[2] == [1, 2, 3, 4, 5, 6, 21, 42]


def test_several_steps_at_once_are_all_appended_and_the_surplus_is_cut():
    log, told = [], []
    assert roll_out(reading(log, ahead=2), KNOWN, 3, 2, told.append).tolist() == [[11, 11, 22]]
    assert log == [[5, 6], [11, 11]] and told == [2, 2]


def test_the_target_alone_can_be_forecast_for_a_horizon():
    two = torch.cat([KNOWN, 10 * KNOWN], dim=2)
    assert roll_out(lambda inputs: inputs[:, -3:, :1] + 1, two, 3, 6).tolist() == [[5, 6, 7]]


@pytest.mark.parametrize("head", ["decoder", "linear"])
@pytest.mark.parametrize("scaling", ["window", "series", "none"])
@pytest.mark.parametrize(
    "options", [{}, {"horizon": 3}, {"forecast_target": "shifted"}, {"features": ["level", "flow"]}]
)
def test_one_step_is_the_forecast_of_the_window(head, scaling, options):
    from functools import partial

    from lstm_ae.models.autoencoder import Autoencoder
    from tests.models.parts import OPEN_GATE, make_decoder, make_encoder

    data = made_data(scaling=scaling, **options)
    spec = data.spec
    model = Autoencoder(
        spec.length, spec.features, 0, make_encoder, partial(make_decoder, "repeat_context"),
        decoder_head() if head == "decoder" else linear_head(skip=2), OPEN_GATE, spec.forecast_steps, spec.horizon,
        spec.forecast_features,
    )  # fmt: skip
    weights_drawn(model)
    test = data.test
    times = test.time[:, None] + torch.arange(spec.length)
    known = torch.from_numpy(data.panel.values)[test.series[:, None], times]
    rolled = roll_out(make_forecaster(model, data, test.series), known, spec.horizon, spec.length)
    forecast = predict(model, test).forecast[:, -spec.horizon :, :1]
    expected = (test.scaler.first(1)).inverse(forecast)[..., 0]
    assert rolled.shape == test.truth().shape
    torch.testing.assert_close(rolled, expected.double(), rtol=1e-4, atol=1e-3)


def test_times_that_were_used():
    assert (used_until(made_data()) == 48).all()
    data = made_data(split="by_series")
    ends = used_until(data)
    assert set(np.flatnonzero(ends == 0)) == set(data.test.series.tolist()) and set(ends) == {0, 60}
    assert (used_until(made_data(split="random_windows")) == 60).all()
