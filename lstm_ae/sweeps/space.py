"""From overrides to a search space: what `a=1,2`, `range()` and `interval()` mean to Optuna; the points of a grid."""

import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Transformer
from hydra.errors import HydraException
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from lstm_ae.errors import ConfigError

ZIP = "hydra.sweeper.zip"

Point = dict[str, Any]  # a value for each key of a search space


def parse_overrides(lines: list[str]) -> tuple[dict[str, BaseDistribution], dict[str, str], list[str]]:
    """Sort overrides into the search space, fixed values by key, and deletions. Of two for one key, the later counts.

    Raises:
        ConfigError: a range or an interval that holds nothing to search.
    """
    last: dict[tuple[str | None, str], Override] = {}
    for override in OverridesParser.create().parse_overrides(lines):
        last[override.package, override.key_or_group] = override
    space: dict[str, BaseDistribution] = {}
    fixed: dict[str, str] = {}
    deletions: list[str] = []
    for override in last.values():
        if override.is_delete():
            deletions.append(str(override.input_line))
        elif override.is_sweep_override():
            space[override.get_key_element()] = distribution_of(override)
        else:
            fixed[override.get_key_element()] = override.get_value_element_as_str()
    return space, fixed, deletions


def distribution_of(override: Override) -> BaseDistribution:
    """The distribution that an override stands for, in which `shuffle` means nothing.

    Raises:
        ConfigError: it holds nothing to search.
    """
    swept = override.value()
    try:
        if isinstance(swept, IntervalSweep):
            low, high, log = swept.start, swept.end, "log" in swept.tags
            if isinstance(low, int) and isinstance(high, int):
                return IntDistribution(low, high, log=log)
            return FloatDistribution(cast(float, low), cast(float, high), log=log)
        if isinstance(swept, RangeSweep):
            values = list(swept)
            if not values:
                raise ValueError("this range is empty")
            if swept.transformers:
                return CategoricalDistribution(values)
            if isinstance(values[0], int):
                return IntDistribution(int(min(values)), int(max(values)), step=abs(int(swept.step)))
            return FloatDistribution(min(values), max(values), step=abs(float(swept.step)))
        if isinstance(swept, ChoiceSweep):
            return CategoricalDistribution([cast(Any, Transformer.encode(value)) for value in swept.list])
    except (ValueError, HydraException) as error:
        raise ConfigError(override.get_key_element(), sweep_text(override), f"cannot be searched: {error}") from error
    raise ConfigError(override.get_key_element(), sweep_text(override), "cannot be searched; list the options: a,b")


def sweep_text(override: Override) -> str:
    """The part of an override after its `=`, as it was written."""
    return str(override.input_line).partition("=")[2]


def values_of(name: str, distribution: BaseDistribution) -> list[Any]:
    """Every value of a distribution, in order and without repetitions.

    Raises:
        ConfigError: it is an interval of real numbers.
    """
    if isinstance(distribution, CategoricalDistribution):
        return list(dict.fromkeys(distribution.choices))
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        low, high, step = (Decimal(str(bound)) for bound in (distribution.low, distribution.high, distribution.step))
        return [float(low + count * step) for count in range(round((high - low) / step) + 1)]  # no 0.30000000000000004
    raise ConfigError(name, "an interval", "a grid needs values or a range: 8,16,32 or range(8,33,8)")


def grid(space: dict[str, BaseDistribution], zipped: Sequence[Sequence[str]] = ()) -> list[Point]:
    """Every combination of the values in `space`; the last key varies fastest.

    Args:
        space: what varies.
        zipped: groups of keys that vary together: the first value of each, then the second of each, ...

    Raises:
        ConfigError: a key has infinitely many values, or zipped keys are unknown or of unequal number.
    """
    group_of = {key: tuple(group) for group in zipped for key in group}
    unknown = [key for key in group_of if key not in space]
    if unknown:
        raise ConfigError(ZIP, unknown[0], "this key is not varied; the search varies " + ", ".join(space))
    axes: list[list[Point]] = []
    for group in dict.fromkeys(group_of.get(key, (key,)) for key in space):
        columns = {key: values_of(key, space[key]) for key in group}
        counts = {key: len(values) for key, values in columns.items()}
        if len(set(counts.values())) > 1:
            found = ", ".join(f"{key} has {count}" for key, count in counts.items())
            raise ConfigError(ZIP, f"[{','.join(group)}]", f"needs as many values of each; {found}")
        axes.append([dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)])
    combined = ({key: value for part in parts for key, value in part.items()} for parts in itertools.product(*axes))
    return [{key: point[key] for key in space} for point in combined]


def zipped_keys(value: Sequence[Any] | None) -> list[list[str]]:
    """The groups of keys in `hydra.sweeper.zip`: a list of keys is one group, a list of lists several.

    Raises:
        ConfigError: it is neither, or a key is in two groups.
    """
    groups = [
        list(group) if isinstance(group, Sequence) and not isinstance(group, str) else group for group in value or []
    ]
    if all(isinstance(key, str) for key in groups):
        groups = [groups] if groups else []
    keys = [key for group in groups for key in (group if isinstance(group, list) else [None])]
    if not all(isinstance(key, str) for key in keys) or len(set(keys)) < len(keys):
        raise ConfigError(ZIP, value, "must be a list of keys, such as [model.hidden_size,optimizer.lr], or several")
    return groups


def ends(space: dict[str, BaseDistribution]) -> tuple[Point, Point]:
    """The points at the two ends of a space: every key at its first or lowest value, and at its last or highest."""
    bounds: dict[str, tuple[Any, Any]] = {}
    for name, distribution in space.items():
        if isinstance(distribution, CategoricalDistribution):
            bounds[name] = distribution.choices[0], distribution.choices[-1]
        elif isinstance(distribution, IntDistribution | FloatDistribution):
            bounds[name] = distribution.low, distribution.high
    return {name: low for name, (low, _) in bounds.items()}, {name: high for name, (_, high) in bounds.items()}
