"""Figures of sequences that spell out images, drawn as images."""

import math

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.figures.sequences import error_and_variance, original_units, quartiles, sequence_errors
from lstm_ae.figures.style import shortened
from lstm_ae.models.autoencoder import Output

COLUMNS = 10  # images in a row
SAMPLES = 30
CAPTION = 7  # font size


def image_samples(data: SequenceData, test: Sequences) -> Figure:
    """The first test images as they are, with their classes."""
    spec, first = data.spec, test[:SAMPLES]
    columns = min(COLUMNS, len(first))
    rows = math.ceil(len(first) / columns)
    figure = Figure(figsize=(8, 0.6 + 0.95 * rows))
    images = original_units(data, first, first.inputs)
    draw_images(figure.subplots(), spec.as_images(images), class_captions(data, first), columns)
    figure.suptitle(f"{spec.name}: {len(test)} test images, read in {spec.length} steps of {spec.features}")
    return figure


def image_sheet(data: SequenceData, test: Sequences, output: Output) -> Figure:
    """The first test images above their reconstructions."""
    first = torch.arange(min(COLUMNS, len(test)))
    return draw_pairs(data, test, output, first, class_captions(data, test[first]), height=2.3)


def image_reconstructions(data: SequenceData, test: Sequences, output: Output) -> Figure:
    """Three test images above their reconstructions, by the size of their error (see `quartiles`)."""
    errors = sequence_errors(test, output.reconstruction)
    chosen = quartiles(errors)
    captions = [f"{words}\nmean squared: {errors[i]:.2g} (scaled)" for i, words in chosen.items()]
    return draw_pairs(data, test, output, torch.tensor(list(chosen)), captions, height=5)


def draw_pairs(
    data: SequenceData,
    test: Sequences,
    output: Output,
    chosen: Tensor,
    captions: list[str],
    height: float,
) -> Figure:
    """The test images at the positions `chosen`, with captions, in a row above their reconstructions."""
    part = test[chosen]
    pairs = [data.spec.as_images(original_units(data, part, values))
             for values in (part.inputs, output.reconstruction[chosen])]  # fmt: skip
    figure = Figure(figsize=(8, height))
    axes = figure.subplots()
    draw_images(axes, np.concatenate(pairs), captions + [""] * len(chosen), len(chosen), scale=pairs[0])
    axes.set_yticks(axes.get_yticks(), ["original", "reconstruction"])
    return figure


def draw_images(
    axes: Axes, images: np.ndarray, captions: list[str], columns: int, scale: np.ndarray | None = None
) -> None:
    """Images side by side, large values dark, with a tick at the middle of each row.

    Args:
        axes: to draw on.
        images: (n, height, width).
        captions: of each image, above it.
        columns: images in a row.
        scale: white is the smallest and black the largest of these values; by default of the images'.
    """
    _, height, width = images.shape
    gap = max(1, width // 8)
    line = 1.3 * CAPTION / 72 * width / min(6.5 / columns, 1.5)  # pixels of an image that a line of text takes, nearly
    bands, ticks, bottom = [], [], 0
    for first in range(0, len(images), columns):
        row = slice(first, first + columns)
        above = gap + math.ceil(line * max(len(caption.splitlines()) for caption in captions[row]))
        band = np.full((above + height, columns, width + gap), np.nan)  # NaN: nothing is drawn there
        for column, (image, caption) in enumerate(zip(images[row], captions[row], strict=True)):
            band[above:, column, :width] = image
            axes.text(column * (width + gap) + (width - 1) / 2, bottom + above - 1, caption,
                      ha="center", va="bottom", fontsize=CAPTION)  # fmt: skip
        ticks.append(bottom + above + height / 2)
        bottom += above + height
        bands.append(band.reshape(above + height, -1))
    scale = images if scale is None else scale
    axes.imshow(np.concatenate(bands), cmap="gray_r", vmin=scale.min(), vmax=scale.max())
    axes.set(xticks=[], yticks=ticks, yticklabels=[])
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)


def image_errors(data: SequenceData, test: Sequences, output: Output) -> Figure:
    """Where in an image the context forgets: the mean squared error at each pixel, beside the variance there."""
    error, variance = error_and_variance(test, output.reconstruction)
    figure = Figure(figsize=(8, 3.4))
    pictures = (("error of the reconstruction", error), ("variance (the error of predicting the mean)", variance))
    top = max(np.nanmax(error), np.nanmax(variance)) or 1.0
    for axes, (name, values) in zip(figure.subplots(1, 2), pictures, strict=True):
        image = axes.imshow(data.spec.as_images(values[None])[0], cmap="magma", vmin=0, vmax=top)
        axes.set(title=name, xticks=[], yticks=[])
        axes.grid(False)
    figure.colorbar(image, ax=figure.axes, label="mean squared error (scaled)")
    return figure


def class_captions(data: SequenceData, part: Sequences) -> list[str]:
    """The class of each image; empty where there are no classes."""
    if part.labels is None or not data.spec.class_names:
        return [""] * len(part)
    return [shortened(data.spec.class_names[label], 10) for label in part.labels]
