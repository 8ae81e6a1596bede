"""Images are drawn as images, whatever the order in which they are read."""

import numpy as np
import pytest

from lstm_ae.figures.images import image_errors, image_reconstructions, image_samples, image_sheet
from tests.figures.made_data import made

SHAPE = (4, 3)


ORDER = (5, 0, 11, 3, 2, 8, 1, 10, 4, 9, 6, 7)


@pytest.fixture(params=[(4, 3, ()), (12, 1, ()), (12, 1, ORDER)], ids=["rows", "pixels", "permuted"])
def images(request):
    length, features, order = request.param
    spec = {"image_shape": SHAPE, "reading_order": order, "classes": ("Ankle boot", "Bag")}
    return made(count=13, length=length, features=features, **spec)


def in_place(data, sequence):
    """The image that a sequence spells out, put together value by value."""
    values = np.asarray(sequence).ravel()
    image = np.empty(values.shape, values.dtype)
    for value, place in zip(values, data.spec.reading_order or range(len(values)), strict=True):
        image[place] = value
    return image.reshape(SHAPE)


def shown(axes, row, column):
    """The image at a place of a sheet."""
    sheet = np.asarray(axes.images[0].get_array().filled(np.nan))
    bottoms = [
        row for row in range(len(sheet)) if not np.isnan(sheet[row, 0]) and (row == 0 or np.isnan(sheet[row - 1, 0]))
    ]
    return sheet[bottoms[row] : bottoms[row] + SHAPE[0], column * (SHAPE[1] + 1) : column * (SHAPE[1] + 1) + SHAPE[1]]


def test_a_sheet_of_samples_with_their_classes(images):
    data, _ = images
    (axes,) = image_samples(data, data.test).axes
    for i in (0, 9, 10, 12):
        np.testing.assert_allclose(shown(axes, i // 10, i % 10), 10 * in_place(data, data.test.inputs[i]))
    assert [text.get_text() for text in axes.texts] == ["Ankle boot", "Bag"] * 6 + ["Ankle boot"]


def test_originals_above_reconstructions(images):
    data, output = images
    (axes,) = image_sheet(data, data.test, output).axes
    for i in (0, 9):
        np.testing.assert_allclose(shown(axes, 0, i), 10 * in_place(data, data.test.inputs[i]))
        np.testing.assert_allclose(shown(axes, 1, i), 10 * in_place(data, output.reconstruction[i]))
    (axes,) = image_reconstructions(data, data.test, output).axes
    errors = np.square((output.reconstruction - data.test.inputs).numpy()).mean((1, 2))
    for column, place in enumerate((3, 6, 9)):
        i = np.argsort(errors)[place]
        np.testing.assert_allclose(shown(axes, 1, column), 10 * in_place(data, output.reconstruction[i]))
        assert f"{errors[i]:.2g}" in axes.texts[column].get_text()


def test_errors_at_each_pixel(images):
    data, output = images
    error, variance, _ = image_errors(data, data.test, output).axes
    expected = in_place(data, np.square((output.reconstruction - data.test.inputs).numpy()).mean(0))
    np.testing.assert_allclose(error.images[0].get_array(), expected, rtol=1e-5)
    expected = in_place(data, data.test.inputs.numpy().var(0))
    np.testing.assert_allclose(variance.images[0].get_array(), expected, rtol=1e-5)
