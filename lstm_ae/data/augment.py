"""Small random shifts and rotations of images, for a whole batch at once."""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lstm_ae.spec import NonNegative, part


@part
class Augment:
    """Moves each image of a batch by its own random shift and turns it by its own random angle.

    Bilinear sampling; outside the image there is black (0). The random numbers come from a CPU generator, so that a
    resumed run sees the images that an uninterrupted one would.

    Args:
        shift: largest move along each axis, in pixels.
        rotation: largest turn either way, in degrees. Where both are 0, images stay as they are.
        image_shape: (height, width) of the image that each sequence spells out; the data set fills it in.
        read: the pixel that each step holds (see `reading_order`), where that is not the usual order; likewise.
    """

    def __init__(
        self,
        shift: NonNegative,
        rotation: Annotated[float, Field(ge=0, le=180)],
        image_shape: tuple[int, int],
        read: tuple[int, ...] = (),
    ) -> None:
        self.shift = shift
        self.rotation = math.radians(rotation)
        self.image_shape = image_shape
        self.read = torch.tensor(read)
        self.place = self.read.argsort()  # of each pixel in the sequence

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Sequences (batch, length, features) of images -> sequences of the moved images, shaped alike."""
        if not (self.shift or self.rotation):
            return inputs
        height, width = self.image_shape
        batch = len(inputs)
        random = (2 * torch.rand(3, batch, generator=generator) - 1).to(inputs.device)
        angle = random[0] * self.rotation
        cos, sin = angle.cos(), angle.sin()
        # affine_grid counts in half-widths and half-heights; the aspect ratio keeps a turn a turn on oblong images.
        rows = [
            torch.stack([cos, -sin * height / width, random[1] * 2 * self.shift / width], dim=1),
            torch.stack([sin * width / height, cos, random[2] * 2 * self.shift / height], dim=1),
        ]
        flat = inputs.flatten(1)
        images = (flat[:, self.place] if len(self.read) else flat).view(batch, 1, height, width)
        grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
        moved = F.grid_sample(images, grid, align_corners=False).flatten(1)
        return (moved[:, self.read] if len(self.read) else moved).view_as(inputs)
