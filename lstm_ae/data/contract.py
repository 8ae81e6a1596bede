"""What a data set has to return, validated once, when it is built: a mistake is named before anything is trained."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.errors import UserError
from lstm_ae.spec import DataSpec, Scaler


def validate_data(data: object) -> None:
    """Check everything that training, evaluation and figures rely on.

    Args:
        data: what a data set returned.

    Raises:
        UserError: a sentence for each mistake.
    """
    if not isinstance(data, SequenceData):
        raise UserError(f"the data set returned {_kind(data)}; it must return a SequenceData "
                        "(lstm_ae.data.sequence_data)")  # fmt: skip
    if not isinstance(data.spec, DataSpec):
        raise UserError(f"the data set's spec is {_kind(data.spec)}; it must be a DataSpec (lstm_ae.spec)")
    found = [*_data_mistakes(data), *_spec_mistakes(data.spec)]
    for name in ("train", "val", "test"):
        part = getattr(data, name)
        mistakes = _part_mistakes(part, data) if isinstance(part, Sequences) else [f"is {_kind(part)}, not Sequences"]
        found += [f"the {name} part {mistake}" for mistake in mistakes]
    if found:
        raise UserError(f"the data set {data.spec.name!r} is not as it must be:\n" + "\n".join(f"- {m}" for m in found))


def _data_mistakes(data: SequenceData) -> Iterator[str]:
    if not _is_count(data.batch_size):
        yield f"batch_size is {data.batch_size!r}; it must be a whole number >= 1"
    if data.scaler is not None and not isinstance(data.scaler, Scaler):
        yield f"scaler is {_kind(data.scaler)}; it must be a Scaler (Scaler(0.0, 1.0) where nothing is scaled), or None"
    if data.augment is not None and not callable(data.augment):
        yield f"augment is {_kind(data.augment)}; it must be a function of inputs and a generator, or None"


def _spec_mistakes(spec: DataSpec) -> Iterator[str]:
    for name in ("length", "features"):
        if not _is_count(getattr(spec, name)):
            yield f"spec.{name} is {getattr(spec, name)!r}; it must be a whole number >= 1"
            return
    if spec.feature_names and len(spec.feature_names) != spec.features:
        yield f"spec.feature_names has {len(spec.feature_names)} names for {spec.features} features"
    if spec.image_shape is not None and np.prod(spec.image_shape) != spec.length * spec.features:
        yield (f"spec.image_shape is {tuple(spec.image_shape)}, and a sequence has {spec.length} x {spec.features} "
               "values")  # fmt: skip
    if spec.forecast_steps and spec.varying:
        yield "spec.forecast_steps is set for sequences of unequal length; forecasts need inputs of one length"
    if spec.image_shape is not None and spec.varying:
        yield "spec.image_shape is set for sequences of unequal length; an image has one shape"
    if spec.forecast_steps and not 1 <= spec.horizon <= spec.forecast_steps:
        yield f"spec.horizon is {spec.horizon}; it must lie from 1 to {spec.forecast_steps} (spec.forecast_steps)"
    if spec.forecast_steps and not 1 <= spec.forecast_features <= spec.features:
        yield f"spec.forecast_features is {spec.forecast_features}; it must lie from 1 to {spec.features}"


def _part_mistakes(part: Sequences, data: SequenceData) -> Iterator[str]:
    spec = data.spec
    length = "n" if spec.varying else spec.length
    inputs = list(_tensor_mistakes("inputs", part.inputs, torch.float32, ("n", length, spec.features)))
    if inputs:
        yield from inputs
        return  # nothing else can be compared with them
    count = len(part)
    if count == 0:
        yield "is empty"
        return
    yield from _not_finite("inputs", part.inputs)
    lengths = list(_length_mistakes(part, spec))
    yield from lengths or _mask_mistakes(part, spec)
    yield from _label_mistakes(part, spec)
    yield from _target_mistakes(part, spec)
    if data.scaler is None and part.scaler is None:
        yield "cannot be scaled back: give the data set a scaler, or each part a low and a high"
    for name in ("low", "high"):
        if getattr(part, name) is not None:
            yield from _tensor_mistakes(name, getattr(part, name), torch.float32, (count, 1, spec.features))
    for name, size in (("series", len(data.panel.series)), ("time", data.panel.times.shape[-1])) if data.panel else ():
        yield from _position_mistakes(name, getattr(part, name), count, size, f"the panel has {size}")


def _length_mistakes(part: Sequences, spec: DataSpec) -> Iterator[str]:
    if not spec.varying:
        if part.lengths is not None:
            yield "has lengths, and spec.varying is False; set it where sequences have lengths of their own"
        return
    mistakes = list(_tensor_mistakes("lengths", part.lengths, torch.int64, (len(part),)))
    yield from mistakes
    if mistakes or part.lengths is None:
        return
    steps = part.inputs.shape[1]
    if not 1 <= part.lengths.min() <= part.lengths.max() <= steps:
        yield (f"has lengths from {part.lengths.min()} to {part.lengths.max()}; they must lie from 1 to {steps}, the "
               "steps of its inputs")  # fmt: skip
        return
    padding = torch.arange(steps, device=part.lengths.device) >= part.lengths[:, None]
    if part.inputs[padding].any():
        yield "has inputs past the end of a sequence that are not 0"


def _mask_mistakes(part: Sequences, spec: DataSpec) -> Iterator[str]:
    if not spec.masked:
        if part.mask is not None:
            yield "has a mask, and spec.masked is False; set it where values are missing"
        return
    mistakes = list(_tensor_mistakes("a mask", part.mask, torch.bool, tuple(part.inputs.shape)))
    yield from mistakes
    if mistakes or part.mask is None:
        return
    empty = ~part.mask.flatten(1).any(1)
    if empty.any():
        yield f"has {empty.sum()} sequences without a single value; leave them out"
    past = replace(part, mask=None).exists()
    if past is not None and (part.mask & ~past).any():
        yield "has a mask that is True past the end of a sequence"


def _label_mistakes(part: Sequences, spec: DataSpec) -> Iterator[str]:
    if spec.num_classes:
        reason = f"spec.class_names has {spec.num_classes}"
        yield from _position_mistakes("labels", part.labels, len(part), spec.num_classes, reason)
    elif part.labels is not None:
        yield "has labels, and spec.class_names is empty; give it a name for each class"


def _target_mistakes(part: Sequences, spec: DataSpec) -> Iterator[str]:
    if spec.forecast_steps == 0:
        if part.targets is not None:
            yield "has targets, and spec.forecast_steps is 0; set it to the steps of the targets"
        return
    shape = (len(part), spec.forecast_steps, spec.forecast_features)
    mistakes = list(_tensor_mistakes("targets", part.targets, torch.float32, shape))
    yield from mistakes or _not_finite("targets", part.targets)
    if part.horizon != spec.horizon:
        yield f"has horizon {part.horizon}, and spec.horizon is {spec.horizon}"


def _position_mistakes(name: str, tensor: Tensor | None, count: int, size: int, reason: str) -> Iterator[str]:
    mistakes = list(_tensor_mistakes(name, tensor, torch.int64, (count,)))
    yield from mistakes
    if not mistakes and tensor is not None and not 0 <= tensor.min() <= tensor.max() < size:
        yield (f"has {name} from {tensor.min()} to {tensor.max()}; they must lie from 0 to {size - 1}, because "
               f"{reason}")  # fmt: skip


def _tensor_mistakes(name: str, tensor: object, dtype: torch.dtype, shape: tuple[int | str, ...]) -> Iterator[str]:
    wanted = f"a tensor of {dtype} and shape ({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
    if not isinstance(tensor, Tensor):
        yield f"has {name} that are {_kind(tensor)}; they must be {wanted}"
    elif (
        tensor.dtype != dtype
        or tensor.ndim != len(shape)
        or any(size not in ("n", actual) for size, actual in zip(shape, tensor.shape, strict=True))
    ):
        yield f"has {name} of {tensor.dtype} and shape {tuple(tensor.shape)}; they must be {wanted}"


def _not_finite(name: str, tensor: Tensor | None) -> Iterator[str]:
    assert tensor is not None
    bad = ~tensor.isfinite()
    if bad.any():
        sequences = bad.flatten(1).any(1)
        place = bad.nonzero()[0].tolist()
        yield (f"has {name} that are not finite (NaN or infinite) in {sequences.sum()} of {len(tensor)} sequences, the "
               f"first at [{', '.join(map(str, place))}]; fill or leave out missing values")  # fmt: skip


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__module__}.{type(value).__qualname__}"
