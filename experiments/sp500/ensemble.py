"""The mean of several runs' forecasts, beside the linear models on the validation and on the test days.

python experiments/sp500/ensemble.py RUN_DIR RUN_DIR ...
"""

import sys
from dataclasses import replace

import torch

import lstm_ae
from lstm_ae.config.build import build_data
from lstm_ae.forecasting.baselines import naive_forecasts
from lstm_ae.forecasting.scores import score
from lstm_ae.models.inference import predict

LINEAR = ("ridge", "ridge_time_effects", "ridge_har")


def main(*directories: str) -> None:
    """Print skill and Diebold-Mariano tests of each run and of the mean of their forecasts; all share their data."""
    torch.set_num_threads(1)
    runs = [lstm_ae.load_run(directory) for directory in directories]
    data = build_data(runs[0].config, torch.device("cpu"))
    settings = [dict(run.config.dataset) | {"seed": None} for run in runs]
    if any(other != settings[0] for other in settings):
        sys.exit("these runs were trained on different data")
    for name, part in (("validation", data.val), ("test", data.test)):
        measured = replace(data, test=part)
        naive = naive_forecasts(measured)
        forecasts = [part.unseen(predict(run.model, part).forecast) for run in runs]
        mean = torch.stack(forecasts).mean(0)
        for label, forecast in zip([*directories, f"mean of {len(runs)}"], [*forecasts, mean], strict=True):
            found, baselines = score(forecast, naive, measured)
            print(f"{name}: {label}: skill {found['forecast_skill']:.2%}, MASE {found['forecast_mase']:.3f}")
            for baseline in LINEAR:
                statistic, p = (found[f"forecast_{kind}_{baseline}"] for kind in ("dm", "p"))
                skill = baselines[f"forecast_skill/{baseline}"]
                print(f"    {baseline}: skill {skill:.2%}, {statistic:+.2f}, p = {p:.2g}")


if __name__ == "__main__":
    main(*sys.argv[1:])
