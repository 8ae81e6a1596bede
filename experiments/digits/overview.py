"""Draw what the model does: a sequence, its context, its reconstruction and its class, for three test digits.

python experiments/digits/overview.py RUN_DIR [OUTPUT.png]
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import lstm_ae
from lstm_ae.config.build import build_data, choose_device
from lstm_ae.figures.style import STYLE


def main(directory: str, output: str = str(Path(__file__).parent / "figures" / "overview.png")) -> None:
    """Read the run in `directory`, write the picture to `output`."""
    run = lstm_ae.load_run(directory)
    test = build_data(run.config, choose_device("cpu")).test
    shown = [int(np.flatnonzero(test.labels.numpy() == digit)[0]) for digit in (3, 5, 8)]
    images = run.scaler.inverse(test.inputs[shown])
    contexts, rebuilt, classes = run.encode(images), run.reconstruct(images), run.classify(images)
    with rc_context(STYLE):
        figure = Figure(figsize=(9.5, 4.6))
        FigureCanvasAgg(figure)
        grid = figure.subplots(3, 4, width_ratios=(1, 2.2, 1, 0.9))
        top, spread = float(images.max()), float(contexts.abs().max())
        for row, image, context, again, label in zip(grid, images, contexts, rebuilt, classes, strict=True):
            for axes, pixels in ((row[0], image), (row[2], again)):
                axes.imshow(pixels.view(run.spec.image_shape), cmap="gray_r", vmin=0, vmax=top)
                axes.set_axis_off()
            row[1].bar(range(len(context)), context.numpy(), color="#00798c", width=0.85)
            row[1].set(ylim=(-spread, spread), xticks=[], yticks=[])
            row[1].spines[:].set_visible(False)
            row[3].text(0.5, 0.5, run.spec.class_names[label], fontsize=34, ha="center", va="center")
            row[3].set_axis_off()
        length, features = run.spec.length, run.spec.features
        titles = (
            f"sequence\n{length} steps of {features} pixels",
            f"encoder LSTM  →  context: {contexts.shape[1]} numbers",
            "decoder LSTM  →\nreconstruction",
            "classifier  →\nclass",
        )
        for axes, name in zip(grid[0], titles, strict=True):
            axes.set_title(name)
        figure.savefig(output)
    print(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
