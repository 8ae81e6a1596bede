"""Heads that forecast: the days after the input, or the input moved on by one day."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lstm_ae.errors import ConfigError
from lstm_ae.models.decoders import AutoregressiveDecoder, Decoding
from lstm_ae.models.encoders import Encoding
from lstm_ae.models.heads import Sizes


class ForecastHead(nn.Module):
    """What both heads share: a forecast of the level, or of the change from the last known value.

    The forecast is (batch, forecast_steps, forecast_features). With `dataset.forecast_target=last_day` its steps are
    the `horizon` days after the input, all of them unseen. With `shifted` they are the input's own days from the second
    on and then one unseen day.

    Args:
        sizes: of the data and the autoencoder.
        residual: forecast the change. The last known value is that of the step before where steps are shifted, else
            the last of the input.
    """

    task = "forecast"

    def __init__(self, sizes: Sizes, residual: bool) -> None:
        super().__init__()
        self.sizes = sizes
        self.shifted = sizes.forecast_steps > sizes.horizon
        self.residual = residual
        self.fixed_length = False  # whether only inputs of the training's length can be forecast

    def start_from_persistence(self, layer: nn.Linear) -> None:
        """Zero the last layer's weights if it makes changes: training starts from "tomorrow as today"."""
        if self.residual:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def level(self, forecast: Tensor, inputs: Tensor) -> Tensor:
        """The forecast with the last known values added, if it is one of changes."""
        if not self.residual:
            return forecast
        known = inputs[..., : self.sizes.forecast_features]
        return forecast + (known if self.shifted else known[:, -1:])


class ForecastDecoder(ForecastHead):
    """A second decoder LSTM on the context (report A).

    The context comes from the whole input, so only the last `horizon` steps are forecasts of something unseen: on the
    days of the input, `shifted` asks for values that the encoder has read.

    Args:
        sizes, residual: see `ForecastHead`.
        decoder: makes the decoder, given context_size, output_size and length.
    """

    def __init__(self, sizes: Sizes, residual: bool, decoder: Callable[..., nn.Module]) -> None:
        super().__init__(sizes, residual)
        self.decoder = decoder(sizes.context_size, sizes.forecast_features, sizes.forecast_steps)
        if isinstance(self.decoder, AutoregressiveDecoder) and self.decoder.teacher_forcing > 0:
            raise ConfigError(
                "model.head.decoder.teacher_forcing",
                self.decoder.teacher_forcing,
                "must be 0 in a forecast: the days to come are not there to be taught",
            )
        layer, activation = self.decoder.output
        check_activation(residual, isinstance(activation, nn.Sigmoid), "model.head.decoder.output_activation")
        self.start_from_persistence(layer)
        self.fixed_length = self.shifted  # it writes as many steps as the input has

    def forward(self, inputs: Tensor, encoding: Encoding, decoding: Decoding) -> dict[str, Tensor]:
        """{"forecast": (batch, forecast_steps, forecast_features)}."""
        known = inputs[..., : self.sizes.forecast_features]
        return {"forecast": self.level(self.decoder(encoding.context, known).reconstruction, inputs)}


class ForecastLinear(ForecastHead):
    """A linear layer on encoder states (repository P).

    With `shifted` it reads the state of every step and forecasts the next day, without having read that day: it is
    causal. Still, where sequences are scaled by the range of the whole input (`dataset.scaling=window`), a step inside
    the input knows from its scale how far the later ones will go; only the last step is truly unseen. With `last_day`
    it reads the last state and forecasts all days at once.

    Args:
        sizes, residual: see `ForecastHead`.
        output_activation: "identity" or "sigmoid" (repository P; for levels scaled to [0, 1]).
        skip: so many days of the input, up to the step's own, go to a linear layer beside the state: the autoregressive
            part of LSTNet (Lai, Chang, Yang and Liu 2018). 0: none.
        dropout: on the state.
    """

    def __init__(self, sizes: Sizes, residual: bool, output_activation: str, skip: int, dropout: float) -> None:
        super().__init__(sizes, residual)
        if self.shifted and not sizes.causal:
            raise ConfigError(
                "model.encoder.bidirectional",
                True,
                "its states have seen the days that forecast_linear would forecast; use model/head=forecast_decoder or "
                "dataset.forecast_target=last_day",
            )
        if skip > sizes.length:
            raise ConfigError("model.head.skip", skip, f"must be at most {sizes.length}, the length of the input")
        check_activation(residual, output_activation == "sigmoid", "model.head.output_activation")
        self.sigmoid = output_activation == "sigmoid"
        steps = 1 if self.shifted else sizes.forecast_steps
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(sizes.context_size, steps * sizes.forecast_features)
        self.skip_length = skip
        self.skip = nn.Linear(skip * sizes.features + 1, steps * sizes.forecast_features) if skip else None
        for layer in (self.output, self.skip):
            if layer is not None:
                self.start_from_persistence(layer)

    def forward(self, inputs: Tensor, encoding: Encoding, decoding: Decoding) -> dict[str, Tensor]:
        """{"forecast": (batch, forecast_steps, forecast_features)}."""
        states = encoding.states if self.shifted else encoding.states[:, -1]
        forecast = self.output(self.dropout(states))
        if self.skip is not None:
            forecast = forecast + self.skip(self._recent(inputs))
        forecast = forecast.view(len(inputs), -1, self.sizes.forecast_features)
        return {"forecast": self.level(forecast.sigmoid() if self.sigmoid else forecast, inputs)}

    def _recent(self, inputs: Tensor) -> Tensor:
        """The last `skip` days as differences from the last known target, and that target.

        Day to day everything moves together; as differences, what is told apart from that is no longer small beside
        it, and the layer learns much faster.

        Returns:
            (batch, skip * features + 1), or, shifted, (batch, length, skip * features + 1).
        """
        if self.shifted:
            # Before the first day there is nothing: it is repeated.
            padded = F.pad(inputs.transpose(1, 2), (self.skip_length - 1, 0), mode="replicate")
            recent = padded.unfold(2, self.skip_length, 1).permute(0, 2, 3, 1).flatten(2)
            level = inputs[..., :1]
        else:
            recent, level = inputs[:, -self.skip_length :].flatten(1), inputs[:, -1, :1]
        return torch.cat([recent - level, level], dim=-1)


def check_activation(residual: bool, sigmoid: bool, key: str) -> None:
    """Whether the activation can make what is forecast.

    Raises:
        ConfigError: a sigmoid, for changes.
    """
    if residual and sigmoid:
        raise ConfigError(key, "sigmoid", "cannot make a change downwards; add model.head.residual=false")
