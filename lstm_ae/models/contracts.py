"""What each kind of model part takes and gives: the contracts that a part of your own has to keep.

A part is an `nn.Module` (an initialization is a function) marked with `lstm_ae.spec.part`. Its options come from its
YAML; the arguments that only the data knows are filled in when the autoencoder is built.
"""

from inspect import signature
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from lstm_ae.errors import UserError


class Encoding(NamedTuple):
    """What an encoder returns."""

    context: Tensor  # (batch, context_size)
    states: Tensor  # (batch, steps, state_size): its top layer's output at every step; steps is the input's length,
    #                 or fewer where the encoder shortens the sequence; zeros past a sequence's end


class Decoding(NamedTuple):
    """What a decoder returns."""

    reconstruction: Tensor  # (batch, length, features)
    last_state: Tensor  # (batch, hidden_size): its top layer's output after the last step of a sequence that it wrote


class HeadSizes(NamedTuple):
    """What a head may need to know of the data and of the autoencoder that it belongs to."""

    features: int  # values in a step of what the encoder reads
    num_classes: int  # 0 without labels
    context_size: int
    decoder_size: int  # of the decoder's last state
    causal: bool = True  # whether an encoder's state has seen nothing after its step
    length: int = 0  # steps of the input
    forecast_steps: int = 0  # steps to forecast; 0: there is nothing to forecast
    horizon: int = 0  # how many of them come after the input
    forecast_features: int = 0  # the first so many features are forecast
    varying: bool = False  # whether sequences have lengths of their own


class Encoder(Protocol):
    """Reads sequences. Built with `input_size` (features of a step) and its own options."""

    context_size: int  # numbers in a context
    causal: bool  # whether the state of a step has seen nothing after that step

    def __call__(self, inputs: Tensor, lengths: Tensor | None = None) -> Encoding:
        """(batch, length, features) -> `Encoding`.

        Args:
            inputs: the sequences, padded at their end where they have lengths of their own.
            lengths: (batch,), int64, given where the data's sequences have lengths of their own. What is past a
                sequence's end must not change its encoding. An encoder without this parameter is refused there, and so
                are decoders and heads.
        """
        ...


class Decoder(Protocol):
    """Rebuilds sequences. Built with `context_size`, `output_size` (features), `length` and its own options."""

    hidden_size: int  # numbers in its last state

    def __call__(self, context: Tensor, inputs: Tensor, lengths: Tensor | None = None) -> Decoding:
        """Contexts (batch, context_size), and the truth, which may be read in training mode only -> `Decoding`.

        With `lengths`, as many steps are written as `inputs` has; those past a sequence's end mean nothing.
        """
        ...


class Head(Protocol):
    """Does a task beside the reconstruction. Built with `sizes` (a `HeadSizes`) and its own options."""

    task: str  # "class" or "forecast"; an attribute of the class itself

    def __call__(
        self, inputs: Tensor, encoding: Encoding, decoding: Decoding, lengths: Tensor | None = None
    ) -> dict[str, Tensor]:
        """What the encoder read, and what encoder and decoder made of it -> the answer to the task.

        Returns:
            {"logits": (batch, num_classes)} or {"forecast": (batch, forecast_steps, forecast_features)}.
        """
        ...


class Initialization(Protocol):
    """Sets the starting weights of a whole autoencoder in place, after all of its parts are built.

    One that is fitted to data has two further parameters. `inputs` are those of the training part (n, length,
    features), or None where the weights come from a checkpoint and nothing but the modules that it adds is wanted;
    `lengths` (n,) are the steps of each sequence, or None where all have as many.
    """

    def __call__(self, model: nn.Module) -> None:
        """Change the parameters of `model`."""
        ...


def require(part: object, key: str, **attributes: type) -> None:
    """Check that a part has the attributes of its contract, each of its type.

    Raises:
        UserError: names the part and the attribute.
    """
    for name, kind in attributes.items():
        found = getattr(part, name, None)
        if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
            raise UserError(
                f"{key}: {type(part).__name__}.{name} must be {'an' if kind is int else 'a'} {kind.__name__}, "
                f"and is {found!r}; see lstm_ae/models/contracts.py for what a part of this kind has"
            )


def require_lengths(part: object, key: str) -> None:
    """Check that a part can read sequences of unequal length.

    Raises:
        UserError: its `forward` takes no lengths.
    """
    if "lengths" not in signature(getattr(part, "forward", type(part))).parameters:
        raise UserError(
            f"{key}: {type(part).__name__} reads sequences of one length only (its forward takes no lengths), and the "
            "sequences of this data set have lengths of their own"
        )


def check_shape(found: Tensor | None, expected: tuple[int, ...], what: str) -> None:
    """Check the shape of what a part returned.

    Raises:
        UserError: it is another one.
    """
    if not isinstance(found, torch.Tensor) or tuple(found.shape) != expected:
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise UserError(f"{what} has shape {shape}, and must have {expected}; see lstm_ae/models/contracts.py")
