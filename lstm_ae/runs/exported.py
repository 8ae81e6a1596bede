"""A run's model as one file that needs neither this package nor its data: original units in, original units out."""

import copy
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from lstm_ae.data.panel_scaling import RESOLUTION
from lstm_ae.errors import UserError
from lstm_ae.files import replacing
from lstm_ae.kernels import use_backend
from lstm_ae.models.autoencoder import Autoencoder
from lstm_ae.models.decoders import AutoregressiveDecoder, InitialStateDecoder, RepeatContextDecoder
from lstm_ae.models.encoders import LSTMEncoder
from lstm_ae.models.heads import Classifier, SeparateClassifier
from lstm_ae.models.lengths import past_end
from lstm_ae.runs.reopen import Run

Format = Literal["onnx", "torch"]
BACKENDS: dict[Format, str] = {"onnx": "onnx", "torch": "scan"}
Compute = Callable[[dict[str, Tensor]], list[np.ndarray]]  # named inputs -> outputs in their order
OpenAxes = dict[str, dict[int, str]]  # of each input, the axes of any size, by name
TOLERANCE = 1e-5  # of a file's outputs, beside the exact ones: relative to the largest of them where that is above 1
ROUNDINGS = 30  # or so many times what PyTorch itself loses in single precision, over many steps, if that is more:
#                 onnxruntime's sigmoid and tanh are coarser, and memories that never fade add up 6 to 16 times as much
MARK = b"data_fingerprint"  # stands in the metadata of every file written here
TRACED = 3  # sequences in the batch that an export is traced with; torch takes sizes 0 and 1 for constants


class Comparison(NamedTuple):
    """How a written file compares, on a batch, with PyTorch in double precision."""

    batch: int
    steps: int
    difference: float  # the largest, relative to the largest value of that output where it is above 1
    rounding: float  # that of PyTorch in single precision


class InOriginalUnits(nn.Module):
    """A run's model with its scaling inside.

    Returns a dictionary: `context` (batch, context_size), `reconstruction` in original units, and, where the model has
    such a head, `probabilities` of the classes (batch, num_classes) or `forecast` in original units.

    Args:
        run: the run.
        any_length: read sequences of any length, although the run's have one.

    Raises:
        UserError: the run's data set scales each sequence in a way that only it knows.
    """

    low: Tensor  # of the run's scaling, where all sequences have one
    high: Tensor

    def __init__(self, run: Run, any_length: bool) -> None:
        super().__init__()
        self.model = run.model
        self.any_length = any_length
        self.columns = list(run.spec.own_range)
        self.standardized = run.spec.own_standardized
        if run.scaler is not None:
            self.register_buffer("low", torch.as_tensor(run.scaler.low, dtype=torch.float32))
            self.register_buffer("high", torch.as_tensor(run.scaler.high, dtype=torch.float32))
        elif not self.columns:
            raise UserError(
                f"{run.directory.path}: its data set, {run.spec.name}, scales each sequence in a way that only it "
                "knows, so no exported model could. Train with one scaling for all sequences, or each by its own "
                "range: for a panel dataset.scaling=train, none or window"
            )

    def forward(self, values: Tensor, lengths: Tensor | None = None, exists: Tensor | None = None) -> dict[str, Tensor]:
        """Read sequences in original units.

        Args:
            values: (batch, steps, features), float32.
            lengths: (batch,), int64, where the run's sequences have lengths of their own; what is past a sequence's
                end is not read, and comes back as zeros.
            exists: like the values, bool, where the run reads which values are missing; in place of a missing value
                `values` hold what lies on the straight line between the values before and after it.
        """
        given, outside = lengths, None
        if lengths is not None:
            outside = past_end(lengths, values.shape[1])[..., None]
            exists = ~outside.expand(values.shape) if exists is None else exists & ~outside
        elif self.any_length:
            given = torch.full((values.shape[0],), values.shape[1], dtype=torch.int64, device=values.device)
        low, high = self._range(values, exists)
        scaled = (values - low) / (high - low)
        if outside is not None:
            scaled = scaled.masked_fill(outside, 0)
        output = self.model(scaled, given, exists if self.model.masked else None)
        reconstruction = output.reconstruction * (high - low) + low
        if outside is not None:
            reconstruction = reconstruction.masked_fill(outside, 0)
        made = {"context": output.context, "reconstruction": reconstruction}
        if output.logits is not None:
            made["probabilities"] = output.logits.softmax(1)
        if output.forecast is not None:
            count = output.forecast.shape[2]
            if self.columns or low.ndim:
                low, high = low[..., :count], high[..., :count]
            made["forecast"] = output.forecast * (high - low) + low
        return made

    def _range(self, values: Tensor, exists: Tensor | None) -> tuple[Tensor, Tensor]:
        """What is scaled to 0 and to 1: as the run has it, or by each sequence's own values, in double precision."""
        if not self.columns:
            return self.low, self.high
        there = torch.ones_like(values, dtype=torch.bool) if exists is None else exists
        known, nothing = values.double(), ~there.any(1, keepdim=True)
        if self.standardized:
            count = there.sum(1, keepdim=True).clamp(min=1)
            low = known.masked_fill(~there, 0).sum(1, keepdim=True) / count
            deviation = ((known - low).square().masked_fill(~there, 0).sum(1, keepdim=True) / count).sqrt()
            high = apart(low, low + deviation)
        else:
            low = known.masked_fill(~there, torch.inf).amin(1, keepdim=True)
            high = known.masked_fill(~there, -torch.inf).amax(1, keepdim=True)
            high = apart(low, high)
        low, high = low.masked_fill(nothing, 0), high.masked_fill(nothing, 1)
        return low[..., self.columns].float(), high[..., self.columns].float()


def apart(low: Tensor, high: Tensor) -> Tensor:
    """As `panel_scaling.apart`."""
    least = RESOLUTION * low.abs()
    return torch.where(high - low <= least, low + least.clamp(min=1), high)


def one_length_because(model: Autoencoder) -> str | None:
    """Why a model can be exported for one length only; None if it reads sequences of any length."""
    head = model.head
    encoders = [model.encoder, *([head.encoder] if isinstance(head, SeparateClassifier) else [])]
    if isinstance(model.decoder, AutoregressiveDecoder):
        return "its decoder reads its own last output step by step, and these steps are written out one by one"
    for name, part, kinds in (
        *(("encoder", encoder, (LSTMEncoder,)) for encoder in encoders),
        ("decoder", model.decoder, (RepeatContextDecoder, InitialStateDecoder)),
        ("head", head, (Classifier, SeparateClassifier, type(None))),
    ):
        if type(part) not in kinds:
            return f"its {name}, {type(part).__name__}, is made for one length"
    return None


def export_run(run: Run, kind: Format, path: Path) -> list[Comparison]:
    """Write the model of a run to `path` and compare the file with PyTorch at other batch sizes and lengths.

    Args:
        run: on the CPU.
        kind: "onnx" (its LSTM layers become ONNX's LSTM operators), or "torch" (for `torch.export.load`).
        path: of the file; it appears only once it has been found right.

    Returns:
        the comparisons.

    Raises:
        UserError: a model that cannot be exported, with the reason; a package that is not installed; or a file that
            does not compute what the model does.
    """
    reason = one_length_because(run.model)
    if run.spec.varying and reason is not None:
        raise UserError(
            f"{run.directory.path} cannot be exported: its sequences have lengths of their own, and {reason}. "
            "model/decoder=repeat_context and initial_state can."
        )
    model = InOriginalUnits(run, any_length=reason is None).requires_grad_(False).eval()
    tried_sizes = sizes(run.spec.length, fixed=reason is not None)
    tried = [example(run, *size) for size in tried_sizes]
    use_backend(model, "torch")
    exact = copy.deepcopy(model).double()
    expected = [exact(**{name: v.double() if v.is_floating_point() else v for name, v in one.items()}) for one in tried]
    roundings = [
        difference([output.numpy() for output in model(**inputs).values()], outputs)
        for inputs, outputs in zip(tried, expected, strict=True)
    ]
    try:
        use_backend(model, BACKENDS[kind])
        with quiet(), torch.no_grad():
            traced = example(run, TRACED, run.spec.length if reason is not None else max(2, run.spec.length))
            sequences = {0: "batch"} if reason is not None else {0: "batch", 1: "steps"}
            axes = {name: {0: "batch"} if name == "lengths" else sequences for name in traced}
            program = capture(model, traced, axes)
            with replacing(path) as temporary:
                if kind == "onnx":
                    compute = write_onnx(program, temporary, run, axes, list(expected[0]))
                else:
                    compute = write_torch(program, temporary, run, list(expected[0]))
                found = [
                    Comparison(*size, difference(compute(inputs), outputs), rounding)
                    for size, inputs, outputs, rounding in zip(tried_sizes, tried, expected, roundings, strict=True)
                ]
                check(found, path)
    finally:
        use_backend(model, "torch")
    return found


def sizes(length: int, fixed: bool) -> list[tuple[int, int]]:
    """Batch sizes and lengths to compare at, that of the run first."""
    if fixed:
        return [(1, length), (2, length), (7, length)]
    return [(1, length), (2, max(1, length // 2)), (7, length + 5), (4, 1)]


def example(run: Run, batch: int, steps: int) -> dict[str, Tensor]:
    """Arguments to try a model on: sequences in original units, their lengths and which values exist where it asks."""
    generator = torch.Generator().manual_seed(0)
    scaled = torch.rand(batch, steps, run.spec.features, generator=generator)
    inputs = {"values": scaled if run.scaler is None else run.scaler.inverse(scaled).float()}
    if run.spec.varying:
        inputs["lengths"] = torch.randint(1, steps + 1, (batch,), generator=generator)
    if run.spec.masked:
        inputs["exists"] = torch.rand(scaled.shape, generator=generator) > 0.2
    return inputs


def capture(model: nn.Module, inputs: dict[str, Tensor], open_axes: OpenAxes) -> torch.export.ExportedProgram:
    """The model as torch's exporter sees it, the sizes of the `open_axes` of its inputs left open.

    Raises:
        UserError: the exporter cannot follow it.
    """
    torch.compiler.reset()  # torch would take the number of steps of an earlier export for a constant
    dims = {name: torch.export.Dim(name) for name in ("batch", "steps")}
    shapes = {name: {axis: dims[dim] for axis, dim in axes.items()} for name, axes in open_axes.items()}
    try:
        return torch.export.export(model, (), inputs, dynamic_shapes=shapes)
    except Exception as error:  # torch's exporter has many ways to give up
        raise UserError(f"the model cannot be exported: {str(error).strip().splitlines()[0]}") from error


def write_onnx(
    program: torch.export.ExportedProgram, path: Path, run: Run, open_axes: OpenAxes, outputs: list[str]
) -> Compute:
    """Write an ONNX file, and return what computes with it."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"format=onnx needs the package {error.name}: pip install 'lstm-ae[export]'; format=torch needs no other"
        ) from error
    from lstm_ae.kernels.exporting import onnx_layer, to_onnx

    made = torch.onnx.export(
        program,
        dynamo=True,
        custom_translation_table={onnx_layer._opoverload: to_onnx},
        output_names=outputs,
        dynamic_shapes=open_axes,
        verbose=False,
    )
    assert made is not None
    made.model.metadata_props.update(metadata(run))
    made.save(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, {name: value.numpy() for name, value in inputs.items()})


def write_torch(program: torch.export.ExportedProgram, path: Path, run: Run, outputs: list[str]) -> Compute:
    """Write a file for `torch.export.load`, and return what computes with it."""
    torch.export.save(program, str(path), extra_files={"metadata.json": json.dumps(metadata(run), indent=2)})
    loaded = torch.export.load(str(path)).module()
    return lambda inputs: [loaded(**inputs)[name].numpy() for name in outputs]


def metadata(run: Run) -> dict[str, str]:
    """What a file was made from."""
    summary = run.directory.read_summary()
    best = run.history[-1] if run.history else {}
    return {
        "run": run.directory.path.name,
        "dataset": run.spec.name,
        "data_fingerprint": str(summary.get("data", "")),
        "git_commit": str(summary.get("git_commit", "")),
        "torch": torch.__version__,
        "epoch": f"{best.get('epoch', 0):g}",
        "validation": json.dumps({name: value for name, value in best.items() if name.startswith("val/")}),
        "feature_names": json.dumps(list(run.spec.feature_names)),
        "class_names": json.dumps(list(run.spec.class_names)),
        "unit": run.spec.unit,
        "leaky": json.dumps(list(run.spec.leaky)),
        "config": OmegaConf.to_yaml(run.config),
    }


def difference(found: list[np.ndarray], expected: dict[str, Tensor]) -> float:
    """The largest difference of any output, relative to its largest value where that is above 1."""
    return max(
        float(np.abs(ours - theirs.numpy()).max() / max(1.0, np.abs(theirs.numpy()).max()))
        for ours, theirs in zip(found, expected.values(), strict=True)
    )


def check(found: list[Comparison], path: Path) -> None:
    """Check that the file computes what the model does.

    Raises:
        UserError: it does not, and is not kept.
    """
    for one in found:
        allowed = max(TOLERANCE, ROUNDINGS * one.rounding)
        if not one.difference <= allowed < 1:
            raise UserError(
                f"the exported model differs from PyTorch's by {one.difference:.2g} at batch {one.batch}, {one.steps} "
                f"steps (at most {allowed:.2g} is allowed); {path} was not written"
            )


@contextmanager
def quiet() -> Iterator[None]:
    """Within, torch's exporters keep their remarks on their own workings to themselves."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
