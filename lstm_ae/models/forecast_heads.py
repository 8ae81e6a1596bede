"""Heads that forecast: the steps after the input, or the input shifted by one step."""

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from lstm_ae.errors import ConfigError
from lstm_ae.models.contracts import Decoding, Encoding, HeadSizes
from lstm_ae.models.decoders import Activation, LSTMDecoder
from lstm_ae.spec import Fraction, part


class ForecastHead(nn.Module):
    """What both heads share: a forecast of the level, or of the change from the last known value.

    The forecast is (batch, forecast_steps, forecast_features). With `dataset.forecast_target=ahead` its steps are the
    `horizon` steps after the input, all of them unseen. With `shifted` they are the input's own steps from the second
    on, and then one unseen step.

    Args:
        sizes: of the data and the autoencoder.
        residual: forecast the change. The last known value is that of the step before where steps are shifted, else
            the last of the input.

    Raises:
        ConfigError: sequences with lengths of their own.
    """

    task = "forecast"

    def __init__(self, sizes: HeadSizes, residual: bool) -> None:
        super().__init__()
        if sizes.varying:
            raise ConfigError(
                "model.head", type(self).__name__, "forecasts from inputs of one length, and the sequences of this "
                "data set have lengths of their own; cut windows of one length: dataset.window"
            )  # fmt: skip
        self.sizes = sizes
        self.shifted = sizes.forecast_steps > sizes.horizon
        self.residual = residual
        self.fixed_length = False  # whether it can forecast only inputs as long as those of the training

    def start_from_persistence(self, layer: nn.Linear) -> None:
        """Zero the last layer's weights if it forecasts changes: training then starts from "the same as now"."""
        if self.residual:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def level(self, forecast: Tensor, inputs: Tensor) -> Tensor:
        """The forecast of the level: the last known values are added to a forecast of changes."""
        if not self.residual:
            return forecast
        known = inputs[..., : self.sizes.forecast_features]
        return forecast + (known if self.shifted else known[:, -1:])


@part
class ForecastDecoder(ForecastHead):
    """A second decoder LSTM on the context (report A).

    The context comes from the whole input, so only the last `horizon` steps are forecasts of something unseen: on the
    steps of the input, `shifted` asks for values that the encoder has read.

    Args:
        sizes, residual: see `ForecastHead`.
        decoder: builds the decoder, given context_size, output_size and length.
    """

    def __init__(self, sizes: HeadSizes, residual: bool, decoder: Callable[..., LSTMDecoder]) -> None:
        super().__init__(sizes, residual)
        self.decoder = decoder(sizes.context_size, sizes.forecast_features, sizes.forecast_steps)
        if self.decoder.reads_truth:
            raise ConfigError(
                "model.head.decoder", type(self.decoder).__name__, "reads the truth while it trains, and the steps to "
                "come are not there to be read; add model.head.decoder.teacher_forcing=0"
            )  # fmt: skip
        sigmoid = any(isinstance(layer, nn.Sigmoid) for layer in self.decoder.output)
        check_activation(residual, sigmoid, "model.head.decoder.output_activation")
        for layer in self.decoder.output:
            if isinstance(layer, nn.Linear):
                self.start_from_persistence(layer)
        self.fixed_length = self.shifted  # it writes as many steps as the input has

    def forward(self, inputs: Tensor, encoding: Encoding, decoding: Decoding) -> dict[str, Tensor]:
        """{"forecast": (batch, forecast_steps, forecast_features)}."""
        known = inputs[..., : self.sizes.forecast_features]
        return {"forecast": self.level(self.decoder(encoding.context, known).reconstruction, inputs)}


@part
class ForecastLinear(ForecastHead):
    """A linear layer on encoder states (repository P).

    With `shifted` it reads the state of every step and forecasts the next step without having read it: it is causal.
    Still, where sequences are scaled by the range of the whole input (`dataset.scaling=window`), a step inside the
    input knows from its scale how far the later ones will go, so only the last step is truly unseen. With `ahead` it
    reads the context and forecasts all steps at once.

    Args:
        sizes, residual: see `ForecastHead`.
        output_activation: "identity", or "sigmoid" (repository P; for levels scaled to [0, 1]).
        skip: so many steps of the input, up to the current one, go to a linear layer beside the state: the
            autoregressive part of LSTNet (Lai, Chang, Yang and Liu 2018). 0: none.
        dropout: on the state.
    """

    def __init__(
        self,
        sizes: HeadSizes,
        residual: bool,
        output_activation: Activation,
        skip: Annotated[int, Field(ge=0)],
        dropout: Fraction,
    ) -> None:
        super().__init__(sizes, residual)
        if self.shifted and not sizes.causal:
            raise ConfigError(
                "model.head", "forecast_linear", "cannot forecast shifted steps from this encoder, whose states have "
                "seen what comes after them; use model/head=forecast_decoder, dataset.forecast_target=ahead or, for an "
                "LSTM, model.encoder.bidirectional=false"
            )  # fmt: skip
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
        forecast = self.output(self.dropout(encoding.states if self.shifted else encoding.context))
        if self.skip is not None:
            forecast = forecast + self.skip(self._recent(inputs))
        forecast = forecast.view(inputs.shape[0], -1, self.sizes.forecast_features)
        return {"forecast": self.level(forecast.sigmoid() if self.sigmoid else forecast, inputs)}

    def _recent(self, inputs: Tensor) -> Tensor:
        """The last `skip` steps as differences from the last known target, and that target.

        From step to step all features tend to move together. As differences, what sets them apart is no longer small
        beside that, and the layer learns much faster.

        Returns:
            (batch, skip * features + 1), or, shifted, (batch, length, skip * features + 1).
        """
        if self.shifted:
            # There is nothing before the first step, so it is repeated.
            padded = F.pad(inputs.transpose(1, 2), (self.skip_length - 1, 0), mode="replicate")
            recent = padded.unfold(2, self.skip_length, 1).permute(0, 2, 3, 1).flatten(2)
            level = inputs[..., :1]
        else:
            recent, level = inputs[:, -self.skip_length :].flatten(1), inputs[:, -1, :1]
        return torch.cat([recent - level, level], dim=-1)


def check_activation(residual: bool, sigmoid: bool, key: str) -> None:
    """Check that the output activation suits what is forecast.

    Raises:
        ConfigError: a sigmoid, which is never negative, for changes.
    """
    if residual and sigmoid:
        raise ConfigError(key, "sigmoid", "cannot forecast a change downwards; add model.head.residual=false")
