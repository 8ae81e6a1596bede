"""From a panel to a data set: choose a kind of window, divide, scale and cut.

Every data set of windows of series is made here; what is particular to one (where its table comes from, the names
of its columns, its defaults) stands in its own file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from lstm_ae.data.panel import Panel
from lstm_ae.data.panel_scaling import SCALINGS, ScalingName, measure_by, range_columns, train_range
from lstm_ae.data.panel_splits import PARTS, SPLITS, SplitName
from lstm_ae.data.panel_windows import bytes_to_cut, choose_windows, cut, full_windows, usable_windows, window_shape
from lstm_ae.data.sequence_data import SequenceData
from lstm_ae.data.splitting import Fold, NumFolds, Portion
from lstm_ae.errors import ConfigError
from lstm_ae.memory import require
from lstm_ae.spec import Count, DataSpec, Fraction, Scaler

# What the options may be.
Window = Annotated[int, Field(ge=2)]
ForecastTarget = Annotated[
    Literal["ahead", "shifted"], Field(description="one of ahead (once called last_day), shifted")
]
ForecastFeatures = Literal["target", "all"]
MissingName = Literal["error", "interpolate", "mask", "leave_out"]

MANY_WINDOWS = 20_000  # to train on, at most, where no stride is given


@dataclass(frozen=True, kw_only=True)
class PanelOptions:
    """How to make sequences out of a panel. The allowed pairs of split and scaling:

    | split \\ scaling  | window | none  | train | series              | series_full |
    | ----------------- | ------ | ----- | ----- | ------------------- | ----------- |
    | by_time           | yes    | yes   | yes   | yes                 | leaky       |
    | by_series         | yes    | yes   | yes   | with a `test_start` | leaky       |
    | random_windows    | leaky  | leaky | leaky | refused             | leaky       |

    `series` is fitted on the times before the test; shuffled windows have no such times, and unseen series have them
    only with a `test_start`. Whole series are divided by_series only.

    Raises:
        ConfigError: options that do not go together.
    """

    window: Window | None  # times that a model reads; None: whole series, of which only complete ones are used
    forecast_target: ForecastTarget | None  # ahead: the `horizon` steps after the input; shifted: the input moved on by
    #                                         one step; None: nothing is forecast
    horizon: Count  # steps after the input that are forecast
    forecast_features: ForecastFeatures  # forecast the target alone, or all features, as rolling forward needs
    split: SplitName  # see `panel_splits`
    scaling: ScalingName  # see `panel_scaling`
    stride: Count | None  # times from one window to the next; None: the least that leaves no more than MANY_WINDOWS
    val_fraction: Portion  # of the times, the series or the windows, as the split says
    test_fraction: Portion
    test_start: str | float | None  # first time of the test, instead of `test_fraction`
    num_train: Count | None  # train on so many windows only, chosen at random; None: all
    num_folds: NumFolds | None  # k-fold cross-validation; by time with expanding windows
    fold: Fold  # which of the folds validates
    seed: int  # of everything random
    batch_size: Count
    standardize: bool = False  # scale to mean 0 and deviation 1, not to the range from 0 to 1
    missing: MissingName = "leave_out"  # what becomes of missing values: windows with one are left out; an error;
    #                                     interpolated within the input; or that, and the model reads which ones exist
    labelled: Literal["keep", "leave_out"] = "keep"  # windows with labelled steps, in training and validation
    trim: Fraction = 0.0  # see `SequenceData`

    def __post_init__(self) -> None:
        split, scaling = SPLITS[self.split], SCALINGS[self.scaling]
        if self.window is None and not split.takes_whole_series:
            raise ConfigError("dataset.split", self.split, "must be by_series for whole series (dataset.window=null)")
        if self.test_start is not None and (self.window is None or not split.takes_test_start):
            raise ConfigError("dataset.test_start", self.test_start, "must be null for whole series (dataset.window="
                              "null) and for dataset.split=random_windows, which no time divides")  # fmt: skip
        if scaling.needs_past and not (split.by_time or self.test_start is not None):
            remedy = " add dataset.test_start or" if split.takes_test_start and self.window is not None else ""
            raise ConfigError("dataset.scaling", self.scaling, "is fitted on the times before the test, and dataset."
                              f"split={self.split} has none;{remedy} use dataset.scaling=window")  # fmt: skip
        if self.forecast_target == "shifted" and self.horizon > 1:
            raise ConfigError("dataset.horizon", self.horizon, "must be 1 with dataset.forecast_target=shifted; "
                              "use dataset.forecast_target=ahead to forecast more steps")  # fmt: skip

    @property
    def leaky(self) -> tuple[str, ...]:
        """The options under which the training part learns something of the test."""
        choices = (
            ("split", self.split, SPLITS[self.split].leaky),
            ("scaling", self.scaling, SCALINGS[self.scaling].leaky),
        )
        return tuple(f"{key}={choice}" for key, choice, leaky in choices if leaky)


def panel_data(
    panel: Panel,
    options: PanelOptions,
    *,
    name: str,
    share_range: Sequence[str] = (),
    unit: str = "",
    shown: tuple[str, ...] = (),
    test_begin: np.ndarray | None = None,
    classes: tuple[np.ndarray, tuple[str, ...]] | None = None,
    known: Sequence[str] = (),
) -> SequenceData:
    """Windows of a panel, or its whole series, as a data set.

    The split comes before the scaling, and all times of a window, those to forecast included, lie in one part.

    Args:
        panel: the chosen series and times; its first feature is the target.
        options: how to make sequences out of it.
        name: of the data set.
        share_range: names of features that are scaled by one range, that of the first of them.
        unit: of the target, in which errors are reported.
        shown: series that figures show first.
        test_begin: position from which on each series tests, (series,), where files say so.
        classes: the class of each series, (series,), and the names of the classes.
        known: features that hold at each time what is known of the next one.

    Raises:
        ConfigError: options that do not fit the panel, or a part without windows.
    """
    lengths = panel.extents[:, 1] if not panel.shared else np.full(len(panel.series), len(panel.times))
    shape = window_shape(int(lengths.max()), options.window, options.forecast_target, options.horizon)
    begin, given = test_begin, test_begin is not None
    if options.test_start is not None:
        begin = panel.times_of_all("dataset.test_start", options.test_start)
        given = not panel.shared and SPLITS[options.split].by_time  # a series may then lie on one side of it
    split = SPLITS[options.split](
        lengths, options.val_fraction, options.test_fraction, options.seed, begin, options.num_folds, options.fold,
        given, panel.shared,
    )  # fmt: skip
    scaling, columns = SCALINGS[options.scaling], range_columns(panel.features, share_range)
    measure = measure_by(options.standardize)
    ranges = None if scaling.fit is None else scaling.fit(panel.values, columns, split.past, measure)
    count = 0 if shape.ahead == 0 else len(panel.features) if options.forecast_features == "all" else 1
    usable = usable_windows(panel, shape, count, options.missing)
    if ranges is not None:
        usable &= ~np.isnan(ranges[0]).any(1, keepdims=True)
    masks = split.divide(usable, shape.span, options.stride or 1)
    if options.stride is None and masks["train"].sum() > MANY_WINDOWS:
        masks = split.divide(usable, shape.span, int(-(-masks["train"].sum() // MANY_WINDOWS)))
    if options.labelled == "leave_out" and panel.flags is not None:
        clean = full_windows(~panel.flags, shape.span, 0)
        masks |= {part: masks[part] & clean for part in ("train", "val")}
    masks["train"] = choose_windows(masks["train"], options.num_train, options.seed)
    for part, mask in masks.items():
        if not mask.any():
            raise ConfigError(
                "dataset.window", options.window, f"leaves no window of {shape.span} times in the {part} part"
            )
    windows = sum(int(mask.sum()) for mask in masks.values())
    what = f"with dataset.stride={options.stride or 'null'}, {windows:,} windows"
    require(bytes_to_cut(windows, shape.span, len(panel.features)), "dataset.window", options.window, what)
    if options.scaling == "train":
        ranges = train_range(panel.values, masks["train"], shape.span, columns, measure)
    names = () if classes is None else classes[1]
    spec = DataSpec(
        name, shape.length, len(panel.features), names, feature_names=panel.features,
        forecast_steps=shape.span - shape.first, horizon=shape.ahead, forecast_features=count, leaky=options.leaky,
        unit=unit, shown=shown, own_range=columns if ranges is None else (),
        known=tuple(panel.features.index(name) for name in known),
        own_standardized=ranges is None and options.standardize, masked=options.missing == "mask",
    )  # fmt: skip
    common = Scaler(*(torch.from_numpy(bound[0]).float() for bound in ranges)) if ranges and scaling.common else None
    parts = [cut(panel, masks[part], shape, count, ranges, columns, measure, spec.masked) for part in PARTS]
    if classes is not None:
        labels = torch.from_numpy(classes[0])
        parts = [replace(part, labels=labels[part.series]) for part in parts]
    train, val, test = parts
    return SequenceData(spec, common, train, val, test, options.batch_size, panel=panel, trim=options.trim)
