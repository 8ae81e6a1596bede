"""MNIST, 70,000 handwritten digits of 28 x 28 pixels, read by the row or by the pixel.

Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document recognition,
Proceedings of the IEEE 86(11), 1998. The format is IDX: two zero bytes, a type code, the number of dimensions, each
dimension as a big-endian 32-bit integer, then the values.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lstm_ae.data.augment import Augment
from lstm_ae.data.files import PublicFile
from lstm_ae.data.images import Order, as_sequences, reading_order
from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.data.splitting import Fold, NumFolds, Portion, split_train_val
from lstm_ae.spec import Count, DataSpec, Scaler, part

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def read_idx(name: str) -> Tensor:
    """One MNIST file as a uint8 tensor; it is downloaded where it is missing, and its content is verified.

    Raises:
        UserError: the file is missing and cannot be downloaded, or is not the published one.
    """
    addresses = tuple(f"{mirror}{name}.gz" for mirror in MIRRORS)
    content = PublicFile(f"mnist/{name}", SHA256[name], addresses, instead=("digits_rows", "digits_pixels")).read()
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", count=dimensions, offset=4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions)
    return torch.from_numpy(values.reshape(shape).copy())


@part
def mnist(
    order: Order,
    batch_size: Count,
    val_fraction: Portion,
    seed: int,
    augment: Callable[..., Augment],
    num_train: Count | None = None,
    num_folds: NumFolds | None = None,
    fold: Fold = 0,
    order_seed: int = 0,
) -> SequenceData:
    """MNIST as 28 steps of 28 pixels (`order` "rows") or 784 steps of one ("pixels").

    "permuted" reads the pixels one by one in a random order, the same for all images, drawn with `order_seed`.

    The 60,000 published training images are divided at random, by `seed`, into training and validation; the 10,000
    published test images are the test part.

    Raises:
        UserError: a file is missing and cannot be downloaded, or is not the published one.
        ConfigError: parts that do not fit.
    """
    shape = (28, 28)
    read = reading_order(order, order_seed, shape)
    scaler = Scaler(0.0, 255.0)

    def load(published: str) -> Sequences:
        inputs = as_sequences(read_idx(f"{published}-images-idx3-ubyte").float(), order, shape, read)
        return Sequences(scaler.transform(inputs), read_idx(f"{published}-labels-idx1-ubyte").long())

    pool, test = load("train"), load("t10k")
    generator = torch.Generator().manual_seed(seed)
    train, val = split_train_val(len(pool), val_fraction, generator, num_train, num_folds, fold)
    length, features = pool.inputs.shape[1:]
    return SequenceData(
        spec=DataSpec(
            f"mnist_{order}", length, features, class_names=tuple("0123456789"), image_shape=shape, reading_order=read
        ),
        scaler=scaler,
        train=pool[train],
        val=pool[val],
        test=test,
        batch_size=batch_size,
        augment=augment(image_shape=shape, read=read),
    )
