"""scikit-learn's 8 x 8 handwritten digits: 1,797 real images that need no download.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998
(the part that scikit-learn ships as `load_digits`).
"""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.datasets import load_digits

from lstm_ae.data.augment import Augment
from lstm_ae.data.images import Order, as_sequences, reading_order
from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.data.splitting import Fold, NumFolds, Portion, split_all
from lstm_ae.spec import Count, DataSpec, Scaler, part


@part
def digits(
    order: Order,
    batch_size: Count,
    val_fraction: Portion,
    test_fraction: Portion,
    seed: int,
    augment: Callable[..., Augment],
    num_train: Count | None = None,
    num_folds: NumFolds | None = None,
    fold: Fold = 0,
    order_seed: int = 0,
) -> SequenceData:
    """The digits as 8 steps of 8 pixels (`order` "rows") or 64 steps of one ("pixels"), split at random by `seed`.

    "permuted" reads the pixels one by one in a random order, the same for all images, drawn with `order_seed`.

    Raises:
        ConfigError: parts that do not fit.
    """
    shape = (8, 8)
    read = reading_order(order, order_seed, shape)
    images, labels = load_digits(return_X_y=True)
    scaler = Scaler(0.0, 16.0)
    inputs = as_sequences(torch.from_numpy(images.astype(np.float32)), order, shape, read)
    stack = Sequences(scaler.transform(inputs), torch.from_numpy(labels.astype(np.int64)))
    generator = torch.Generator().manual_seed(seed)
    train, val, test = split_all(len(stack), val_fraction, test_fraction, generator, num_train, num_folds, fold)
    length, features = inputs.shape[1:]
    return SequenceData(
        spec=DataSpec(
            f"digits_{order}", length, features, class_names=tuple("0123456789"), image_shape=shape, reading_order=read
        ),
        scaler=scaler,
        train=stack[train],
        val=stack[val],
        test=stack[test],
        batch_size=batch_size,
        augment=augment(image_shape=shape, read=read),
    )
