"""Shifts and rotations, measured on images whose values are their own coordinates."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lstm_ae.data.augment import Augment


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def ramps(height, width, batch):
    """Images that hold their own x, and images that hold their own y: to be sampled from."""
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return x.expand(batch, -1, -1), y.expand(batch, -1, -1)


def sampled_from(augment, height, width, batch=200):
    """Where each output pixel was looked up, (batch, height, width) of x and of y."""
    return [augment(ramp.contiguous(), seeded()) for ramp in ramps(height, width, batch)]


def test_without_shift_and_rotation_nothing_changes_and_no_random_number_is_used():
    images, generator = torch.rand(6, 8, 8, generator=seeded()), seeded()
    assert Augment(0, 0, (8, 8))(images, generator) is images
    assert torch.equal(generator.get_state(), seeded().get_state())


@pytest.mark.parametrize("image_shape", [(8, 8), (5, 9), (28, 28)])
def test_the_least_turn_changes_next_to_nothing(image_shape):
    images = torch.rand(6, *image_shape, generator=seeded())
    torch.testing.assert_close(Augment(0, 1e-7, image_shape)(images, seeded()), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("image_shape", [(8, 8), (5, 9), (28, 28)])
def test_a_shift_moves_values_and_changes_none(image_shape):
    height, width = image_shape
    images = torch.rand(50, height, width, generator=seeded())
    moved = Augment(1, 0, image_shape)(images, seeded())
    around = F.pad(images, (1, 1, 1, 1))
    shifted = {
        (down, across): around[:, 1 + down : 1 + down + height, 1 + across : 1 + across + width]
        for down in (-1, 0, 1) for across in (-1, 0, 1)
    }  # fmt: skip
    distances = torch.stack([(moved - image).abs().amax((1, 2)) for image in shifted.values()])
    assert distances.amin(0).max() < 1e-4
    assert len(distances.argmin(0).unique()) == len(shifted)


def test_a_turn_keeps_the_edges():
    y, x = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    strokes = ((x - 14).square() + (y - 14).square()).sqrt().sub(8).abs().lt(2).float().expand(50, -1, -1)

    def edges(images):
        return images.diff(dim=1).square().mean() + images.diff(dim=2).square().mean()

    turned = Augment(0, 10, (28, 28))(strokes.contiguous(), seeded())
    assert edges(turned) > 0.65 * edges(strokes)  # bilinear sampling keeps 0.61


def test_shift_moves_every_pixel_of_an_image_alike_and_at_most_so_far():
    height, width, shift = 12, 20, 2
    moved = sampled_from(Augment(shift, 0, (height, width)), height, width)
    for moved_ramp, ramp in zip(moved, ramps(height, width, 200), strict=True):
        step = (moved_ramp - ramp)[:, 3:-3, 3:-3].flatten(1)
        assert (step.max(1).values - step.min(1).values).max() < 1e-4
        assert set(step.mean(1).round(decimals=3).tolist()) == {-2.0, -1.0, 0.0, 1.0, 2.0}
    across, down = ((a - b)[:, 6, 6] for a, b in zip(moved, ramps(height, width, 200), strict=True))
    assert torch.corrcoef(torch.stack([across, down]))[0, 1].abs() < 0.2  # each axis by its own draw


@pytest.mark.parametrize("image_shape", [(40, 40), (24, 48)])
def test_rotation_is_a_rotation_on_oblong_images_too(image_shape):
    height, width = image_shape
    x, y = sampled_from(Augment(0, 30, image_shape), height, width)
    # Slopes over eight pixels around the middle: cubic sampling rebuilds ramps but for a small ripple.
    above, below = height // 2 - 4, height // 2 + 3
    left, right = width // 2 - 4, width // 2 + 3
    jacobian = torch.stack(
        [torch.stack([(ramp[:, above : below + 1, right] - ramp[:, above : below + 1, left]).mean(1),
                      (ramp[:, below, left : right + 1] - ramp[:, above, left : right + 1]).mean(1)], 1) / 7
         for ramp in (x, y)], 1
    )  # fmt: skip
    identity = torch.eye(2).expand_as(jacobian)
    torch.testing.assert_close(jacobian @ jacobian.transpose(1, 2), identity, atol=0.02, rtol=0)
    angle = torch.atan2(jacobian[:, 1, 0], jacobian[:, 0, 0]).rad2deg()
    assert angle.abs().max() <= 30.01
    assert angle.min() < -27
    assert angle.max() > 27
    centre = (x[:, height // 2 - 1 : height // 2 + 1, width // 2 - 1 : width // 2 + 1]).mean((1, 2))
    torch.testing.assert_close(centre, torch.full((200,), (width - 1) / 2), atol=1e-3, rtol=0)


@pytest.mark.parametrize("end", [0.0, 1 - 2**-24])  # the ends of the random numbers: the largest turn, either way
def test_a_quarter_turn_is_a_quarter_turn(monkeypatch, end):
    monkeypatch.setattr(torch, "rand", lambda *size, generator: torch.full(size, end))
    images = torch.arange(2 * 36.0).view(2, 6, 6)
    turned = Augment(0, 90, (6, 6))(images, seeded())
    quarters = [torch.rot90(images, k, (1, 2)) for k in (-1, 1)]
    torch.testing.assert_close(turned, quarters[round(end)], atol=1e-4, rtol=0)


@given(st.integers(0, 3), st.floats(0, 180), st.integers(0, 2**32))
def test_values_stay_in_range(shift, rotation, seed):
    images = torch.rand(5, 8, 8, generator=seeded(seed))
    moved = Augment(shift, rotation, (8, 8))(images, seeded(seed))
    assert moved.shape == images.shape
    assert moved.min() >= 0
    assert moved.max() <= images.max()


def test_what_stays_inside_keeps_its_mass_and_what_leaves_is_black():
    images = torch.zeros(50, 12, 12)
    images[:, 5:7, 5:7] = 1
    moved = Augment(3, 0, (12, 12))(images, seeded())
    torch.testing.assert_close(moved.sum((1, 2)), torch.full((50,), 4.0), atol=1e-3, rtol=0)
    gone = Augment(100, 0, (12, 12))(torch.ones(50, 12, 12), seeded())
    assert (gone.sum((1, 2)) == 0).sum() > 25


def test_the_generator_alone_decides_and_each_image_gets_its_own():
    augment, images = Augment(2, 15, (8, 8)), torch.rand(1, 8, 8, generator=seeded()).repeat(10, 1, 1)
    generator = seeded(1)
    first, second = augment(images, generator), augment(images, generator)
    torch.manual_seed(99)
    assert torch.equal(augment(images, seeded(1)), first)
    assert not torch.equal(first, second)
    assert len(first.flatten(1).unique(dim=0)) == 10


def test_the_image_is_moved_whatever_the_order_of_reading():
    images = torch.rand(4, 8, 8, generator=seeded())
    augment = Augment(1, 10, (8, 8))
    pixels = augment(images.reshape(4, 64, 1), seeded(3))
    assert pixels.shape == (4, 64, 1)
    assert torch.equal(pixels.flatten(1), augment(images, seeded(3)).flatten(1))


def test_rotation_is_given_in_degrees():
    assert Augment(0, 180, (8, 8)).rotation == pytest.approx(math.pi)
