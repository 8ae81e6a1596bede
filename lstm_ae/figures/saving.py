"""Write figures, each for itself: one that fails costs a warning."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lstm_ae.figures.style import STYLE
from lstm_ae.files import replacing

log = logging.getLogger(__name__)


def save_figures(figures: Mapping[Path, Callable[[], Figure]], title: str) -> list[Path]:
    """Make and write every figure in the project's style.

    An exception on the way, whatever it is, ends that figure only: it is logged as a warning, with its traceback at
    the level `debug`.

    Args:
        figures: file -> what makes its figure. Missing folders are made.
        title: of every figure that has none of its own.

    Returns:
        the files written.
    """
    written = []
    for path, make in figures.items():
        try:
            with rc_context(STYLE):
                figure = make()
                if not figure.get_suptitle():
                    figure.suptitle(title)
                FigureCanvasAgg(figure)
                path.parent.mkdir(parents=True, exist_ok=True)
                with replacing(path) as temporary:  # a link at `path` is replaced, and half a picture is none
                    figure.savefig(temporary)
        except Exception as error:
            log.warning("%s could not be drawn (%s: %s); the results are not affected",
                        path.name, type(error).__name__, error)  # fmt: skip
            log.debug("%s", path, exc_info=True)
        else:
            written.append(path)
    return written
