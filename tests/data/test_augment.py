"""Shifts and rotations, measured on images whose values are their own coordinates."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lstm_ae.data.augment import Augment


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def ramps(height, width, batch):
    """Images that hold their own x, and images that hold their own y: bilinear sampling rebuilds both exactly."""
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
def test_the_least_shift_changes_next_to_nothing(image_shape):
    images = torch.rand(6, *image_shape, generator=seeded())
    torch.testing.assert_close(Augment(1e-9, 0, image_shape)(images, seeded()), images, atol=1e-5, rtol=0)


def test_shift_moves_every_pixel_of_an_image_alike_and_at_most_so_far():
    height, width, shift = 12, 20, 2.5
    moved = sampled_from(Augment(shift, 0, (height, width)), height, width)
    for moved_ramp, ramp in zip(moved, ramps(height, width, 200), strict=True):
        step = (moved_ramp - ramp)[:, 3:-3, 3:-3].flatten(1)
        assert (step.max(1).values - step.min(1).values).max() < 1e-4
        assert step.abs().max() <= shift + 1e-4
        assert step.min() < -0.9 * shift  # both ways, up to the end
        assert step.max() > 0.9 * shift
    across, down = ((a - b)[:, 6, 6] for a, b in zip(moved, ramps(height, width, 200), strict=True))
    assert torch.corrcoef(torch.stack([across, down]))[0, 1].abs() < 0.2  # each axis by its own draw


@pytest.mark.parametrize("image_shape", [(40, 40), (24, 48)])
def test_rotation_is_a_rotation_on_oblong_images_too(image_shape):
    height, width = image_shape
    x, y = sampled_from(Augment(0, 30, image_shape), height, width)
    middle = (slice(None), height // 2 - 1, width // 2 - 1)
    right, down = (slice(None), height // 2 - 1, width // 2), (slice(None), height // 2, width // 2 - 1)
    jacobian = torch.stack(
        [torch.stack([x[right] - x[middle], x[down] - x[middle]], 1),
         torch.stack([y[right] - y[middle], y[down] - y[middle]], 1)], 1
    )  # fmt: skip
    identity = torch.eye(2).expand_as(jacobian)
    torch.testing.assert_close(jacobian @ jacobian.transpose(1, 2), identity, atol=1e-3, rtol=0)
    angle = torch.atan2(jacobian[:, 1, 0], jacobian[:, 0, 0]).rad2deg()
    assert angle.abs().max() <= 30.01
    assert angle.min() < -27
    assert angle.max() > 27
    centre = (x[:, height // 2 - 1 : height // 2 + 1, width // 2 - 1 : width // 2 + 1]).mean((1, 2))
    torch.testing.assert_close(centre, torch.full((200,), (width - 1) / 2), atol=1e-3, rtol=0)


@pytest.mark.parametrize("end", [0.0, 1.0])  # the ends of the random numbers: the largest turn, either way
def test_a_quarter_turn_is_a_quarter_turn(monkeypatch, end):
    monkeypatch.setattr(torch, "rand", lambda *size, generator: torch.full(size, end))
    images = torch.arange(2 * 36.0).view(2, 6, 6)
    turned = Augment(0, 90, (6, 6))(images, seeded())
    quarters = [torch.rot90(images, k, (1, 2)) for k in (-1, 1)]
    torch.testing.assert_close(turned, quarters[int(end)], atol=1e-4, rtol=0)


@given(st.floats(0, 3), st.floats(0, 180), st.integers(0, 2**32))
def test_values_stay_in_range(shift, rotation, seed):
    images = torch.rand(5, 8, 8, generator=seeded(seed))
    moved = Augment(shift, rotation, (8, 8))(images, seeded(seed))
    assert moved.shape == images.shape
    assert moved.min() >= 0
    assert moved.max() <= 1 + 1e-5


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
