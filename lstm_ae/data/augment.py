"""Small random shifts and rotations of images, for a whole batch at once."""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lstm_ae.spec import part


@part
class Augment:
    """Moves each image of a batch by its own random shift and turns it by its own random angle.

    Images stay as sharp as they can, for a model that learns to rebuild blurred ones rebuilds sharp ones badly: shifts
    are whole pixels, which changes no value, and turns are sampled by cubic convolution (Keys 1981), which keeps more
    of the edges than bilinear sampling; where it overshoots, values are cut to the range of the batch. Outside the
    image there is black (0). The random numbers come from a CPU generator, so that a resumed run sees the images that
    an uninterrupted one would.

    Args:
        shift: largest move along each axis, in whole pixels; each one up to it is as likely.
        rotation: largest turn either way, in degrees. Where both are 0, images stay as they are.
        image_shape: (height, width) of the image that each sequence spells out; the data set fills it in.
        read: the pixel that each step holds (see `reading_order`), where that is not the usual order; likewise.
    """

    def __init__(
        self,
        shift: Annotated[int, Field(ge=0)],
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
        random = torch.rand(3, batch, generator=generator).to(inputs.device)
        angle = (2 * random[0] - 1) * self.rotation
        across, down = (random[1:] * (2 * self.shift + 1)).floor() - self.shift
        cos, sin = angle.cos(), angle.sin()
        # affine_grid counts in half-widths and half-heights; the aspect ratio keeps a turn a turn on oblong images.
        rows = [
            torch.stack([cos, -sin * height / width, across * 2 / width], dim=1),
            torch.stack([sin * width / height, cos, down * 2 / height], dim=1),
        ]
        flat = inputs.flatten(1)
        images = (flat[:, self.place] if len(self.read) else flat).view(batch, 1, height, width)
        grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
        moved = F.grid_sample(images, grid, mode="bicubic", align_corners=False).flatten(1)
        moved = moved.clamp(min=flat.min().clamp(max=0), max=flat.max())
        return (moved[:, self.read] if len(self.read) else moved).view_as(inputs)
