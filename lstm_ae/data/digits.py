"""scikit-learn's 8 x 8 handwritten digits: 1,797 real images that need no download.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998
(the part that scikit-learn ships as `load_digits`).
"""

import numpy as np
import torch
from sklearn.datasets import load_digits

from lstm_ae.data.augment import make_augment
from lstm_ae.data.images import DIGIT_NAMES, as_sequences
from lstm_ae.data.sequence_data import SequenceData, Sequences
from lstm_ae.data.splitting import split_all
from lstm_ae.spec import DataSpec, Scaler, part


@part
def digits(
    order: str,
    batch_size: int,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    augment: dict[str, float],
    num_train: int | None = None,
    num_folds: int | None = None,
    fold: int = 0,
) -> SequenceData:
    """The digits as 8 steps of 8 pixels (`order` "rows") or 64 steps of one ("pixels"), split by `seed`.

    Raises:
        ConfigError: parts that do not fit.
    """
    images, labels = load_digits(return_X_y=True)
    scaler = Scaler(0.0, 16.0)
    inputs = as_sequences(torch.from_numpy(images.astype(np.float32)), order, (8, 8))
    stack = Sequences(scaler.transform(inputs), torch.from_numpy(labels.astype(np.int64)))
    generator = torch.Generator().manual_seed(seed)
    train, val, test = split_all(len(stack), val_fraction, test_fraction, generator, num_train, num_folds, fold)
    return SequenceData(
        spec=DataSpec(f"digits_{order}", *inputs.shape[1:], DIGIT_NAMES, (8, 8)),
        scaler=scaler,
        train=stack[train],
        val=stack[val],
        test=stack[test],
        batch_size=batch_size,
        augment=make_augment(**augment, image_shape=(8, 8)),
    )
