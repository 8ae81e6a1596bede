"""The native LSTM layer, and the choice between it and `nn.LSTM`."""

from lstm_ae.kernels.adam import clip_and_step
from lstm_ae.kernels.backend import BACKENDS, backend_of, choose_backend, describe, use_backend
from lstm_ae.kernels.lstm import LSTM

__all__ = ["BACKENDS", "LSTM", "backend_of", "choose_backend", "clip_and_step", "describe", "use_backend"]
