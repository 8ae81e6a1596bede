"""Small random shifts and rotations of images, drawn for a whole batch at once."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


class Augment:
    """Moves each image of a batch by its own random shift and turns it by its own random angle.

    Bilinear sampling, black (0) outside the image. The random numbers come from a CPU generator, so that a resumed
    run draws what an uninterrupted one would.

    Args:
        shift: largest move along each axis, in pixels.
        rotation: largest turn either way, in degrees.
        image_shape: (height, width) of the image that each sequence spells out.
    """

    def __init__(self, shift: float, rotation: float, image_shape: tuple[int, int]) -> None:
        self.shift = shift
        self.rotation = math.radians(rotation)
        self.image_shape = image_shape

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Sequences (batch, length, features) of images in, the same shape out."""
        height, width = self.image_shape
        batch = len(inputs)
        draw = (2 * torch.rand(3, batch, generator=generator) - 1).to(inputs.device)
        angle = draw[0] * self.rotation
        cos, sin = angle.cos(), angle.sin()
        # affine_grid speaks in half-widths and half-heights; the aspect keeps a turn a turn on oblong images.
        rows = [
            torch.stack([cos, -sin * height / width, draw[1] * 2 * self.shift / width], dim=1),
            torch.stack([sin * width / height, cos, draw[2] * 2 * self.shift / height], dim=1),
        ]
        images = inputs.view(batch, 1, height, width)
        grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, align_corners=False).view_as(inputs)


def make_augment(shift: float, rotation: float, image_shape: tuple[int, int]) -> Augment | None:
    """An `Augment`, or None where neither shift nor rotation is asked for."""
    return Augment(shift, rotation, image_shape) if shift or rotation else None
