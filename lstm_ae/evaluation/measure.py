"""Measure a trained model: every metric of the test part and every baseline, once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.evaluation.baselines import accuracy_baselines, reconstruction_baselines
from lstm_ae.forecasting.baselines import naive_forecasts
from lstm_ae.forecasting.scores import score
from lstm_ae.models.autoencoder import Autoencoder, Output
from lstm_ae.models.inference import predict
from lstm_ae.training.objective import Objective


@dataclass(frozen=True)
class Evaluation:
    """What a model does on the test part, and what the baselines do there."""

    test: dict[str, float]  # the model's metrics, `test/METRIC`
    baselines: dict[str, float]  # those of the baselines, `test/METRIC/BASELINE`
    output: Output  # what the model makes of the test part, on the CPU
    part: Sequences  # the test part, on the CPU
    naive: dict[str, Tensor]  # the naive forecasts of it, (n, horizon), scaled, on the CPU; empty without a forecast


def evaluate(model: Autoencoder, objective: Objective, data: SequenceData) -> Evaluation:
    """Measure the test part with the model as it is, and every baseline that fits what the model does.

    Args:
        model: on the device of `data`.
        objective: measures what training minimised, and its parts.
        data: the baselines are fitted on its training part (the penalties of the ridge regressions are chosen on its
            validation part) and measured, as the model is, on its test part.
    """
    output = predict(model, data.test)
    part = data.test.to(torch.device("cpu"))
    test = {name: value.item() for name, value in objective(output, part).items()}
    baselines = reconstruction_baselines(data.train, part, model.encoder.context_size)
    naive: dict[str, Tensor] = {}
    if output.logits is not None and part.labels is not None:
        baselines |= accuracy_baselines(data.train, part)
    if output.forecast is not None:
        naive = naive_forecasts(data)
        scores, naive_scores = score(part.unseen(output.forecast), naive, data)
        test = test | scores | test  # the objective's value, where both measure the same error
        baselines |= naive_scores
    return Evaluation(
        {f"test/{name}": value for name, value in test.items()},
        {f"test/{name}": value for name, value in baselines.items()},
        output,
        part,
        naive,
    )
