"""Images read as sequences, by the row or by the pixel."""

from typing import Literal

import torch
from torch import Tensor

Order = Literal["rows", "pixels", "permuted"]


def reading_order(order: Order, seed: int, shape: tuple[int, int]) -> tuple[int, ...]:
    """The pixel that is read at each step, as its position in the image read by the row; empty: as they come.

    Args:
        order: "permuted" reads the pixels of all images in one random order (Le, Jaitly and Hinton 2015), which leaves
            nothing of the lines that neighbouring pixels make.
        seed: of the random order.
        shape: (height, width).
    """
    if order != "permuted":
        return ()
    return tuple(torch.randperm(shape[0] * shape[1], generator=torch.Generator().manual_seed(seed)).tolist())


def as_sequences(images: Tensor, order: Order, shape: tuple[int, int], read: tuple[int, ...] = ()) -> Tensor:
    """Images as sequences, read from top to bottom and from left to right, or in an order of their own.

    Args:
        images: (n, height * width) or (n, height, width).
        order: "rows", a row of pixels per step; "pixels" and "permuted", one pixel per step.
        shape: (height, width).
        read: see `reading_order`.

    Returns:
        (n, length, features).
    """
    height, width = shape
    length, features = (height, width) if order == "rows" else (height * width, 1)
    flat = images.reshape(len(images), -1)
    return (flat[:, list(read)] if read else flat).reshape(len(images), length, features)
