"""MNIST, 70,000 handwritten digits of 28 x 28 pixels, read by the row or by the pixel.

Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document recognition,
Proceedings of the IEEE 86(11), 1998. The format is IDX: two zero bytes, a type code, the number of dimensions, each
dimension as a big-endian 32-bit integer, then the values.
"""

import numpy as np
import torch
from torch import Tensor

from lstm_ae.data.augment import make_augment
from lstm_ae.data.files import PublicFile
from lstm_ae.data.images import DIGIT_NAMES, as_sequences
from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.data.splitting import split_train_val
from lstm_ae.spec import DataSpec, Scaler, part

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def read_idx(name: str) -> Tensor:
    """One MNIST file as a uint8 tensor, found or downloaded, its content verified.

    Raises:
        UserError: the file cannot be had, or is not the published one.
    """
    content = PublicFile(f"mnist/{name}", SHA256[name], tuple(f"{mirror}{name}.gz" for mirror in MIRRORS)).read()
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", count=dimensions, offset=4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions)
    return torch.from_numpy(values.reshape(shape).copy())


@part
def mnist(
    order: str,
    batch_size: int,
    val_fraction: float,
    seed: int,
    augment: dict[str, float],
    num_train: int | None = None,
    num_folds: int | None = None,
    fold: int = 0,
) -> SequenceData:
    """MNIST as 28 steps of 28 pixels (`order` "rows") or 784 steps of one ("pixels").

    The 60,000 published training images are parted into training and validation by `seed`; the 10,000 published test
    images are the test.

    Raises:
        UserError: a file cannot be had, or is not the published one.
        ConfigError: parts that do not fit.
    """
    scaler = Scaler(0.0, 255.0)

    def load(part: str) -> Sequences:
        inputs = as_sequences(read_idx(f"{part}-images-idx3-ubyte").float(), order, (28, 28))
        return Sequences(scaler.transform(inputs), read_idx(f"{part}-labels-idx1-ubyte").long())

    pool, test = load("train"), load("t10k")
    generator = torch.Generator().manual_seed(seed)
    train, val = split_train_val(len(pool), val_fraction, generator, num_train, num_folds, fold)
    return SequenceData(
        spec=DataSpec(f"mnist_{order}", *pool.inputs.shape[1:], DIGIT_NAMES, (28, 28)),
        scaler=scaler,
        train=pool[train],
        val=pool[val],
        test=test,
        batch_size=batch_size,
        augment=make_augment(**augment, image_shape=(28, 28)),
    )
