"""Forecasting heads: shapes, what a step may know, and where training starts."""

from functools import partial

import pytest
import torch

from lstm_ae.errors import ConfigError
from lstm_ae.models.autoencoder import Autoencoder
from lstm_ae.models.forecast_heads import ForecastDecoder, ForecastLinear
from tests.models.parts import OPEN_GATE, make_decoder, make_encoder

LENGTH, FEATURES = 6, 3


def make(head, steps=1, horizon=1, forecast_features=1, **encoder):
    return Autoencoder(
        LENGTH,
        FEATURES,
        0,
        encoder=partial(make_encoder, **encoder),
        decoder=partial(make_decoder, "repeat_context"),
        head=head,
        initialization=OPEN_GATE,
        forecast_steps=steps,
        horizon=horizon,
        forecast_features=forecast_features,
    )


def decoder_head(residual=True, decoder="repeat_context", **options):
    return partial(ForecastDecoder, residual=residual, decoder=partial(make_decoder, decoder, **options))


def linear_head(residual=True, output_activation="identity", skip=0):
    return partial(ForecastLinear, residual=residual, output_activation=output_activation, skip=skip, dropout=0.0)


HEADS = {
    "decoder": decoder_head,
    "initial_state": partial(decoder_head, decoder="initial_state"),
    "autoregressive": partial(decoder_head, decoder="autoregressive", teacher_forcing=0.0),
    "linear": linear_head,
    "skip": partial(linear_head, skip=4),
}


def weights_drawn(model):
    """The head as it might be after training: no weight is zero."""
    for parameter in model.head.parameters():
        torch.nn.init.normal_(parameter)
    return model.eval()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(("steps", "horizon"), [(1, 1), (4, 4), (LENGTH, 1), (LENGTH, LENGTH)])
@pytest.mark.parametrize("forecast_features", [1, FEATURES])
def test_shapes_and_the_start(head, residual, steps, horizon, forecast_features):
    model, inputs = make(HEADS[head](residual), steps, horizon, forecast_features), torch.rand(5, LENGTH, FEATURES)
    forecast = model(inputs).forecast
    assert forecast.shape == (5, steps, forecast_features)
    known = inputs[..., :forecast_features]
    last_known = known if steps > horizon else known[:, -1:].expand(-1, steps, -1)
    assert torch.equal(forecast, last_known) == residual  # training of changes starts from persistence
    model.train()(inputs).forecast.square().mean().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.head.parameters())


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("skip", [0, 1, 3, LENGTH])
def test_forecast_linear_is_causal_at_every_step(residual, skip):
    model = weights_drawn(make(linear_head(residual, skip=skip), LENGTH, 1))
    inputs = torch.rand(2, LENGTH, FEATURES)
    for step in range(LENGTH - 1):
        changed = inputs.clone()
        changed[:, step + 1 :] = torch.rand(2, LENGTH - step - 1, FEATURES)
        one, other = model(inputs).forecast, model(changed).forecast
        torch.testing.assert_close(one[:, : step + 1], other[:, : step + 1])
        assert not torch.allclose(one[:, step + 1], other[:, step + 1])


def test_the_decoder_s_early_steps_have_seen_the_whole_input():
    """Why `forecast_seen` is no forecast: a change of the last day moves the first step."""
    model, inputs = weights_drawn(make(decoder_head(), LENGTH, 1)), torch.rand(2, LENGTH, FEATURES)
    changed = inputs.clone()
    changed[:, -1] += 1
    assert not torch.allclose(model(inputs).forecast[:, 0], model(changed).forecast[:, 0])


@pytest.mark.parametrize("steps", [1, LENGTH])
def test_skip_reads_the_last_days_and_no_more(steps):
    model = weights_drawn(make(linear_head(skip=2), steps, 1))
    torch.nn.init.zeros_(model.head.output.weight)  # the state is left out
    inputs = torch.rand(2, LENGTH, FEATURES)
    old, recent = inputs.clone(), inputs.clone()
    old[:, : LENGTH - 2] += 1
    recent[:, LENGTH - 2, 1] += 1
    assert torch.equal(model(inputs).forecast[:, -1], model(old).forecast[:, -1])
    assert not torch.allclose(model(inputs).forecast[:, -1], model(recent).forecast[:, -1])


def test_a_bidirectional_encoder_forecasts_the_days_after_the_input_only():
    with pytest.raises(ConfigError, match="bidirectional"):
        make(linear_head(), LENGTH, 1, bidirectional=True)
    assert make(linear_head(), 2, 2, bidirectional=True)(torch.rand(2, LENGTH, FEATURES)).forecast.shape == (2, 2, 1)


@pytest.mark.parametrize("encoder", [{"bidirectional": True}, {"pooling": "mean"}])
def test_steps_ahead_are_forecast_from_the_context(encoder):
    # The last state of a backward pass has read one step only, and mean pooling makes a context that is no state.
    model = weights_drawn(make(linear_head(residual=False), 2, 2, **encoder))
    inputs = torch.rand(4, LENGTH, FEATURES)
    expected = model.head.output(model(inputs).context).view(4, 2, 1)
    torch.testing.assert_close(model(inputs).forecast, expected)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (linear_head(output_activation="sigmoid"), "output_activation=sigmoid"),
        (decoder_head(output_activation="sigmoid"), "output_activation=sigmoid"),
        (linear_head(skip=LENGTH + 1), "skip=7: must be at most 6"),
        (decoder_head(decoder="autoregressive", teacher_forcing=0.5), "add model.head.decoder.teacher_forcing=0"),
    ],
)
def test_what_does_not_fit_is_named(head, words):
    with pytest.raises(ConfigError, match=words):
        make(head)


def test_sigmoid_levels_stay_in_the_unit_interval():
    model = weights_drawn(make(linear_head(residual=False, output_activation="sigmoid"), LENGTH, 1))
    forecast = model(10 * torch.randn(20, LENGTH, FEATURES)).forecast
    assert forecast.min() >= 0 and forecast.max() <= 1 and forecast.std() > 0.1
