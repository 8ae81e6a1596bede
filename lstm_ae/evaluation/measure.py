"""The end of every run: the test part, once, and the figures."""

from pathlib import Path

from omegaconf import DictConfig

from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.figures.run import draw
from lstm_ae.forecasting.baselines import naive_forecasts
from lstm_ae.forecasting.scores import score
from lstm_ae.models.autoencoder import Autoencoder
from lstm_ae.models.inference import predict
from lstm_ae.spec import DataSpec
from lstm_ae.training.objective import Objective


def report(
    folder: Path,
    config: DictConfig,
    model: Autoencoder,
    objective: Objective,
    data: SequenceData,
    history: list[dict[str, float]],
    best_epoch: int,
) -> tuple[dict[str, float], dict[str, float], list[Path]]:
    """Measure the test part with the model as it is, and draw the figures into `folder`.

    Args:
        folder: of the figures.
        config: of the run; its settings go into the titles.
        model: with the weights of `best_epoch`.
        objective: measures.
        data: the model's, on its device.
        history: a row of metrics per epoch.
        best_epoch: where the weights come from.

    Returns:
        the test metrics (`test/...`), those of naive forecasts of the same windows, and the figures' files.
    """
    output = predict(model, data.test.inputs)
    test = data.test.to(output.context.device)
    metrics = {f"test/{name}": value.item() for name, value in objective(output, test).items()}
    naive, rivals = {}, {}
    if output.forecast is not None:
        naive = naive_forecasts(data)
        scored, rivals = score(output.forecast[:, -test.horizon :, 0], naive, data)
        metrics |= {f"test/{name}": value for name, value in scored.items() if f"test/{name}" not in metrics}
    scaler = test.scaler or data.scaler
    heading = title(config, data.spec)
    figures = draw(folder, heading, data.spec, scaler, history, best_epoch, test, output, data.panel, naive)
    return metrics, {f"test/{name}": value for name, value in rivals.items()}, figures


def title(config: DictConfig, spec: DataSpec) -> str:
    """A run's data set and its main settings in one line; a second one names what is leaky."""
    settings = {
        "hidden": config.model.hidden_size,
        "layers": config.model.num_layers,
        "lr": config.optimizer.lr,
        "clip": config.trainer.gradient_clip_norm,
        "batch": config.dataset.batch_size,
        "seed": config.seed,
    }
    line = ", ".join(f"{name} {'none' if value is None else format(value, '.4g')}" for name, value in settings.items())
    return f"{spec.name}: {line}" + (f"\nleaky: {', '.join(spec.leaky)}" if spec.leaky else "")
