"""Images are drawn as images, whatever the order in which they are read."""

import numpy as np
import pytest

from lstm_ae.figures.images import image_errors, image_reconstructions, image_samples, image_sheet
from tests.figures.made_data import made

SHAPE = (4, 3)


@pytest.fixture(params=[(4, 3), (12, 1)], ids=["rows", "pixels"])
def images(request):
    length, features = request.param
    return made(count=13, length=length, features=features, image_shape=SHAPE, classes=("Ankle boot", "Bag"))


def shown(axes, row, column):
    """The image at a place of a sheet."""
    sheet = np.asarray(axes.images[0].get_array().filled(np.nan))
    bottoms = [
        row for row in range(len(sheet)) if not np.isnan(sheet[row, 0]) and (row == 0 or np.isnan(sheet[row - 1, 0]))
    ]
    return sheet[bottoms[row] : bottoms[row] + SHAPE[0], column * (SHAPE[1] + 1) : column * (SHAPE[1] + 1) + SHAPE[1]]


def test_a_sheet_of_samples_with_their_classes(images):
    data, _ = images
    (axes,) = image_samples(data, SHAPE, data.test).axes
    for i in (0, 9, 10, 12):
        np.testing.assert_allclose(shown(axes, i // 10, i % 10), 10 * data.test.inputs[i].reshape(SHAPE))
    assert [text.get_text() for text in axes.texts] == ["Ankle boot", "Bag"] * 6 + ["Ankle boot"]


def test_originals_above_reconstructions(images):
    data, output = images
    (axes,) = image_sheet(data, SHAPE, data.test, output).axes
    for i in (0, 9):
        np.testing.assert_allclose(shown(axes, 0, i), 10 * data.test.inputs[i].reshape(SHAPE))
        np.testing.assert_allclose(shown(axes, 1, i), 10 * output.reconstruction[i].reshape(SHAPE))
    (axes,) = image_reconstructions(data, SHAPE, data.test, output).axes
    errors = np.square((output.reconstruction - data.test.inputs).numpy()).mean((1, 2))
    for column, place in enumerate((3, 6, 9)):
        i = np.argsort(errors)[place]
        np.testing.assert_allclose(shown(axes, 1, column), 10 * output.reconstruction[i].reshape(SHAPE))
        assert f"{errors[i]:.2g}" in axes.texts[column].get_text()


def test_errors_at_each_pixel(images):
    data, output = images
    error, variance, _ = image_errors(data, SHAPE, data.test, output).axes
    expected = np.square((output.reconstruction - data.test.inputs).numpy()).mean(0).reshape(SHAPE)
    np.testing.assert_allclose(error.images[0].get_array(), expected, rtol=1e-5)
    np.testing.assert_allclose(
        variance.images[0].get_array(), data.test.inputs.numpy().var(0).reshape(SHAPE), rtol=1e-5
    )
