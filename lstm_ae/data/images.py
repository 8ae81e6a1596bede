"""Images read as sequences, by the row or by the pixel."""

from torch import Tensor

DIGIT_NAMES = tuple("0123456789")


def as_sequences(images: Tensor, order: str, shape: tuple[int, int]) -> Tensor:
    """Images (n, height * width) or (n, height, width) as sequences, top to bottom and left to right.

    Args:
        images: one image per entry.
        order: "rows", a row of pixels per step, or "pixels", one pixel per step.
        shape: (height, width).

    Returns:
        the sequences (n, length, features).
    """
    height, width = shape
    length, features = (height, width) if order == "rows" else (height * width, 1)
    return images.reshape(len(images), length, features)
