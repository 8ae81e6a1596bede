"""What a notebook imports, also as `lstm_ae.load_run` and `lstm_ae.load_runs`."""

from lstm_ae.runs.frame import load_runs
from lstm_ae.runs.reopen import Run, load_run

__all__ = ["Run", "load_run", "load_runs"]
