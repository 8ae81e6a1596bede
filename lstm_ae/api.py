"""What a notebook imports, also as `lstm_ae.load_run`, `lstm_ae.load_runs` and `lstm_ae.LSTMAutoencoder`."""

from lstm_ae.runs.estimator import LSTMAutoencoder
from lstm_ae.runs.frame import load_runs
from lstm_ae.runs.reopen import Run, load_run

__all__ = ["LSTMAutoencoder", "Run", "load_run", "load_runs"]
