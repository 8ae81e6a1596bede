"""What every room may speak of: what a model has to know of the data, and the scaling of values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import Field
from torch import Tensor

Part = TypeVar("Part", bound=Callable[..., Any])
MARK = "_lstm_ae_part"

# What options of parts commonly may be.
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class DataSpec:
    """What a model has to know of the data, and what a figure needs to label it."""

    name: str
    length: int  # steps in a sequence; where they differ, in the longest of the training part
    features: int  # values in a step
    class_names: tuple[str, ...] = ()  # empty: no classes
    image_shape: tuple[int, int] | None = None  # (height, width), where a sequence is an image read in order
    reading_order: tuple[int, ...] = ()  # of an image's values, where they are not read by the row: positions in it
    feature_names: tuple[str, ...] = ()  # where they have names; the target comes first
    forecast_steps: int = 0  # in a target; 0: nothing to forecast
    horizon: int = 0  # the last so many of them lie after the input; the others inside it
    forecast_features: int = 0  # the first so many features are forecast
    known: tuple[int, ...] = ()  # features that hold at each step what is known of the next one, beforehand
    unit: str = ""  # of the forecast target, for example "kWh"; empty: it has none
    shown: tuple[str, ...] = ()  # names of series that figures show first, where the data has them
    leaky: tuple[str, ...] = ()  # settings under which the training part knows of the others
    # Where each sequence is scaled by the min-max of its own input: for each feature, the position of the one whose
    # range scales it. Empty: sequences are scaled otherwise.
    own_range: tuple[int, ...] = ()
    own_standardized: bool = False  # where each is scaled by its own: to mean 0 and deviation 1, not to its range
    varying: bool = False  # whether sequences have lengths of their own
    masked: bool = False  # whether values are missing, and the model reads which ones beside the values

    @property
    def input_features(self) -> int:
        """Values in a step that a model reads: the features and, where values are missing, a channel for each."""
        return self.features * (2 if self.masked else 1)

    def as_images(self, sequences: Any) -> Any:
        """Sequences that spell out images (n, length, features), an array or a tensor -> (n, height, width)."""
        assert self.image_shape is not None, "these sequences are no images"
        flat = sequences.reshape(len(sequences), -1)
        place = sorted(range(len(self.reading_order)), key=self.reading_order.__getitem__)
        return (flat[:, place] if place else flat).reshape(-1, *self.image_shape)

    @property
    def steps_in_words(self) -> str:
        """The steps of a sequence: "8", or "up to 29" where lengths differ."""
        return f"{'up to ' if self.varying else ''}{self.length}"

    @property
    def num_classes(self) -> int:
        """How many classes there are; 0 without labels."""
        return len(self.class_names)


@dataclass(frozen=True)
class Scaler:
    """Scales original units to [0, 1]: `scaled = (x - low) / (high - low)`.

    `low` and `high` are numbers, or tensors that go with the values to scale.
    """

    low: float | Tensor
    high: float | Tensor

    def transform(self, values: Tensor) -> Tensor:
        """Original units to scaled values."""
        return (values - self.low) / (self.high - self.low)

    def inverse(self, scaled: Tensor) -> Tensor:
        """Scaled values back to original units."""
        return scaled * (self.high - self.low) + self.low

    def first(self, count: int) -> "Scaler":
        """The scaling of the first `count` features."""
        return Scaler(*(bound[..., :count] if isinstance(bound, Tensor) else bound for bound in (self.low, self.high)))


def part(thing: Part) -> Part:
    """Mark a class or a function as a part that a config may name in `_target_`. Use it as a decorator.

    Nothing without the mark is ever made from a config: a run directory is data, and helpers that live beside a part
    are not for it to call. The mark is not inherited: a subclass needs its own.
    """
    setattr(thing, MARK, thing.__qualname__)
    return thing


def is_part(thing: object) -> bool:
    """Whether `thing` itself bears the mark."""
    return getattr(thing, MARK, None) == getattr(thing, "__qualname__", "")
