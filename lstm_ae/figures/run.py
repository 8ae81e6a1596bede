"""The pictures of a run: what a person would look at first. One style, readable without colour."""

from pathlib import Path

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.decomposition import PCA

from lstm_ae.data.panel import Panel
from lstm_ae.data.sequence_data import Sequences
from lstm_ae.figures.panel import draw_stocks
from lstm_ae.figures.style import STYLE
from lstm_ae.models.autoencoder import Output
from lstm_ae.spec import DataSpec, Scaler

ORIGINAL = {"color": "#1b1b1b", "linestyle": "-", "label": "original"}
REBUILT = {"color": "#d1495b", "linestyle": "--", "label": "reconstruction"}
TRAIN = {"color": "#00798c", "linestyle": "--", "marker": "", "label": "train"}
VAL = {"color": "#d1495b", "linestyle": "-", "marker": "", "label": "validation"}
SHOWN_CONTEXTS = 3000  # points a scatter plot can bear
DIGITS = 10  # images in a row


def draw(
    folder: Path,
    title: str,
    spec: DataSpec,
    scaler: Scaler,
    history: list[dict[str, float]],
    best_epoch: int,
    test: Sequences,
    output: Output,
    panel: Panel | None = None,
    naive: dict[str, torch.Tensor] | None = None,
) -> list[Path]:
    """Write every figure that this run has something for.

    Args:
        folder: where to; made if missing.
        title: the run's settings, for the titles.
        spec, scaler: of the data.
        history: a row of metrics per epoch.
        best_epoch: the epoch whose weights made `output`.
        test, output: the test part and what the model made of it, both on the CPU.
        panel: where stock prices come from.
        naive: the baselines' forecasts of them.

    Returns:
        the files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    errors = (output.reconstruction - test.inputs).square().flatten(1).mean(1)
    original, rebuilt = scaler.inverse(test.inputs).numpy(), scaler.inverse(output.reconstruction).numpy()
    written = []
    with rc_context(STYLE):

        def save(figure: Figure, name: str) -> None:
            FigureCanvasAgg(figure)
            written.append(folder / f"{name}.png")
            figure.savefig(written[-1])

        if panel is None:
            save(samples(spec, original, test.labels), "samples")
            save(reconstructions(spec, original, rebuilt, errors.numpy(), title), "reconstructions")
        else:
            draw_stocks(save, title, spec, panel, scaler, test, output, naive or {})
        save(curves(history, "loss", best_epoch, title), "loss")
        save(error_by_position(spec, test.inputs, output.reconstruction, title), "error_by_position")
        if spec.image_shape is not None:
            save(digits(spec, original, rebuilt, title), "digits")
        if output.logits is not None:
            save(curves(history, "accuracy", best_epoch, title), "accuracy")
            save(confusion(spec, test.labels, output.logits.argmax(1), title), "confusion")
        if min(output.context.shape) >= 2:
            save(contexts(spec, output.context, test.labels, title), "contexts")
    return written


def samples(spec: DataSpec, original: np.ndarray, labels: torch.Tensor | None) -> Figure:
    """The data as it is, in original units: thirty images with their classes, or three sequences."""
    heading = f"{spec.name}: {len(original)} test sequences of {spec.length} steps of {spec.features}"
    if spec.image_shape is not None:
        figure = Figure(figsize=(8, 3))
        axes = figure.subplots()
        plot_images(axes, spec, original[: 3 * DIGITS], original.max())
        names = [[spec.class_names[k] for k in row] for row in labels[: 3 * DIGITS].split(DIGITS)]
        axes.set_yticks(axes.get_yticks(), [" ".join(row) for row in names])
        figure.suptitle(heading)
        return figure
    figure = Figure(figsize=(8, 4.5))
    for i, axes in enumerate(figure.subplots(3, 1, sharex=True, sharey=True)):
        plot_sequence(axes, spec, original[i], **{**ORIGINAL, "label": None})
        axes.set_title(f"test sequence {i}")
    axes.set_xlabel(position_label(spec))
    figure.suptitle(heading)
    return figure


def reconstructions(
    spec: DataSpec, original: np.ndarray, rebuilt: np.ndarray, errors: np.ndarray, title: str
) -> Figure:
    """Three sequences under their reconstructions: the best quarter's edge, the median and the worst quarter's edge."""
    order = np.argsort(errors)
    figure = Figure(figsize=(8, 6))
    for axes, (quantile, name) in zip(
        figure.subplots(3, 1, sharex=True, sharey=True),
        [(0.25, "better than three quarters"), (0.5, "the median"), (0.75, "worse than three quarters")],
        strict=True,
    ):
        i = order[int(quantile * (len(order) - 1))]
        plot_sequence(axes, spec, original[i], **ORIGINAL)
        plot_sequence(axes, spec, rebuilt[i], **REBUILT)
        axes.set_title(f"{name}: mean squared error {errors[i]:.2g} per value")
    axes.set_xlabel(position_label(spec))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.suptitle(title)
    return figure


def plot_sequence(axes: Axes, spec: DataSpec, sequence: np.ndarray, **style: str | None) -> None:
    """One sequence (length, features) as a line; an image's rows one after another."""
    axes.plot(sequence.reshape(-1), **style)
    axes.margins(x=0.01)


def plot_images(axes: Axes, spec: DataSpec, images: np.ndarray, top: float) -> None:
    """Images, (n, length, features) values from 0 to `top`, dark on light, `DIGITS` in a row; a tick for each row."""
    height, width = spec.image_shape
    gap = max(1, width // 8)
    rows = len(images) // DIGITS
    sheet = np.zeros((rows, height + gap, DIGITS, width + gap))
    sheet[:, :height, :, :width] = images.reshape(rows, DIGITS, height, width).swapaxes(1, 2)
    axes.imshow(sheet.reshape(rows * (height + gap), -1), cmap="gray_r", vmin=0, vmax=top)
    axes.set(xticks=[], yticks=[row * (height + gap) + height / 2 for row in range(rows)])
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)


def position_label(spec: DataSpec) -> str:
    """What the horizontal axis of `plot_sequence` counts."""
    return "step" if spec.features == 1 else f"value ({spec.length} steps of {spec.features})"


def digits(spec: DataSpec, original: np.ndarray, rebuilt: np.ndarray, title: str) -> Figure:
    """The first images of the test part, above their reconstructions."""
    figure = Figure(figsize=(8, 2.2))
    axes = figure.subplots()
    plot_images(axes, spec, np.concatenate([original[:DIGITS], rebuilt[:DIGITS]]), original.max())
    axes.set_yticks(axes.get_yticks(), ["original", "rebuilt"])
    figure.suptitle(title)
    return figure


def curves(history: list[dict[str, float]], name: str, best_epoch: int, title: str) -> Figure:
    """Metrics over epochs and, at the top, minutes of training; the epoch of the best checkpoint marked.

    `name` "loss" shows the loss and each of its parts, "accuracy" the accuracy.
    """
    shown = [name]
    if name == "loss":
        tasks = [task for task in ("cross_entropy", "forecast", "forecast_unseen") if f"val/{task}" in history[0]]
        if "val/forecast_seen" not in history[0]:  # then the unseen days are all that is forecast
            tasks = tasks[:1]
        shown += ["reconstruction", *tasks] if tasks else []
    epochs = [row["epoch"] for row in history]
    minutes = np.cumsum([row["seconds"] / 60 for row in history])
    ends = epochs[-1], minutes[-1]  # past both ends of the training, time goes on at its mean pace
    passed = [[-end, 0, *values, 2 * end] for end, values in zip(ends, (epochs, minutes), strict=True)]
    clock = (lambda x: np.interp(x, *passed)), (lambda x: np.interp(x, *reversed(passed)))
    marker = "o" if len(epochs) < 3 else ""
    figure = Figure(figsize=(4 + 2.5 * len(shown), 3.6))
    for axes, metric in zip(np.atleast_1d(figure.subplots(1, len(shown))), shown, strict=True):
        for part, style in (("train", TRAIN), ("val", VAL)):
            axes.plot(epochs, [row[f"{part}/{metric}"] for row in history], **{**style, "marker": marker})
        axes.axvline(best_epoch, color="0.5", linewidth=1, linestyle=":", label=f"best, epoch {best_epoch}")
        if metric != "accuracy":
            axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", ylabel=metric.replace("_", " "))
        axes.secondary_xaxis("top", functions=clock).set_xlabel("minutes")
    axes.legend()
    figure.suptitle(title)
    return figure


def error_by_position(spec: DataSpec, inputs: torch.Tensor, rebuilt: torch.Tensor, title: str) -> Figure:
    """Where the context forgets: the mean squared error at each position, beside the variance of the data there."""
    error = (rebuilt - inputs).square().mean(0).numpy()
    variance = inputs.var(0, correction=0).numpy()
    if spec.image_shape is None:
        figure = Figure(figsize=(7, 3.4))
        axes = figure.subplots()
        axes.plot(variance.mean(1), color="0.4", linestyle=":", label="variance (predicting the mean)")
        axes.plot(error.mean(1), **{**REBUILT, "linestyle": "-"})
        axes.set(xlabel="step", ylabel="mean squared error", yscale="log")
        axes.legend()
    else:
        figure = Figure(figsize=(7, 3.2))
        pictures = (("error of the reconstruction", error), ("variance (predicting the mean)", variance))
        for axes, (name, values) in zip(figure.subplots(1, 2), pictures, strict=True):
            image = axes.imshow(values.reshape(spec.image_shape), cmap="magma", vmin=0, vmax=variance.max())
            axes.set(title=name, xticks=[], yticks=[])
            axes.grid(False)
        figure.colorbar(image, ax=figure.axes, label="mean squared error")
    figure.suptitle(title)
    return figure


def confusion(spec: DataSpec, labels: torch.Tensor, predicted: torch.Tensor, title: str) -> Figure:
    """How many of each class were taken for which."""
    classes = spec.num_classes
    counts = torch.bincount(labels * classes + predicted, minlength=classes**2).view(classes, classes).numpy()
    figure = Figure(figsize=(5.6, 5.2))
    axes = figure.subplots()
    # Shaded by the share of the true class, square-rooted: the few mistakes are what one looks for.
    axes.imshow(np.sqrt(counts / np.maximum(counts.sum(1, keepdims=True), 1)), cmap="Blues", vmin=0, vmax=1)
    for true, guess in np.ndindex(counts.shape):
        if counts[true, guess]:
            colour = "white" if counts[true, guess] > 0.4 * counts[true].sum() else "black"
            axes.text(guess, true, counts[true, guess], ha="center", va="center", color=colour, fontsize=8)
    axes.grid(False)
    ticks = range(classes)
    axes.set_xticks(ticks, spec.class_names)
    axes.set_yticks(ticks, spec.class_names)
    axes.set(xlabel="predicted", ylabel="true", title=f"accuracy {np.trace(counts) / counts.sum():.2%}")
    figure.suptitle(title)
    return figure


def contexts(spec: DataSpec, context: torch.Tensor, labels: torch.Tensor | None, title: str) -> Figure:
    """The contexts of the test part on their first two principal components, coloured and numbered by class."""
    points = context[:SHOWN_CONTEXTS].double().numpy()
    pca = PCA(2, random_state=0).fit(points)
    points = pca.transform(points)
    figure = Figure(figsize=(6.2, 5.4))
    axes = figure.subplots()
    if labels is None:
        axes.scatter(*points.T, s=5, alpha=0.5, color="#00798c")
    else:
        shown = labels[:SHOWN_CONTEXTS].numpy()
        for k, name in enumerate(spec.class_names):
            cloud = points[shown == k]
            colour = f"C{k % 10}"
            axes.scatter(*cloud.T, s=5, alpha=0.5, color=colour)
            if len(cloud):
                box = {"facecolor": "white", "edgecolor": colour, "boxstyle": "circle"}
                axes.text(*np.median(cloud, axis=0), name, ha="center", va="center", weight="bold", bbox=box)
    first, second = pca.explained_variance_ratio_
    axes.set(xlabel=f"first principal component ({first:.0%})", ylabel=f"second ({second:.0%})")
    axes.set_title(f"contexts of {len(points)} test sequences")
    figure.suptitle(title)
    return figure
