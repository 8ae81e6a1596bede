"""Images read as sequences, by the row or by the pixel."""

from typing import Literal

from torch import Tensor

Order = Literal["rows", "pixels"]


def as_sequences(images: Tensor, order: Order, shape: tuple[int, int]) -> Tensor:
    """Images as sequences, read from top to bottom and from left to right.

    Args:
        images: (n, height * width) or (n, height, width).
        order: "rows", a row of pixels per step, or "pixels", one pixel per step.
        shape: (height, width).

    Returns:
        (n, length, features).
    """
    height, width = shape
    length, features = (height, width) if order == "rows" else (height * width, 1)
    return images.reshape(len(images), length, features)
