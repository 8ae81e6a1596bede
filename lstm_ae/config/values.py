"""What a single value may be: its annotation decides, and says so in words.

`Annotated[int, Field(ge=1)]` accepts 3 and refuses 0 with "must be a whole number >= 1".
"""

import json
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pydantic
from omegaconf import DictConfig, ListConfig, OmegaConf

from lstm_ae.errors import ConfigError

BASES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", dict: "a group of keys"}
FINITE = pydantic.ConfigDict(allow_inf_nan=False)
BOUNDS = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))


def validate(key: str, value: Any, annotation: Any) -> None:
    """Refuse a value that its annotation does not accept.

    Types are strict: "3" is no number and true is no 1, but a whole number may stand for any number.

    Args:
        key: the full key, for the message.
        value: from a composed config, interpolations resolved.
        annotation: what the parameter is annotated with; `Any` accepts everything.

    Raises:
        ConfigError: names the key, the value and what would be accepted.
    """
    plain = OmegaConf.to_container(value, resolve=True) if isinstance(value, DictConfig | ListConfig) else value
    try:
        # As JSON, so that a list may stand for a tuple although types are strict.
        pydantic.TypeAdapter(annotation, config=FINITE).validate_json(json.dumps(plain), strict=True)
    except pydantic.ValidationError as error:
        raise ConfigError(key, "null" if plain is None else value, f"must be {words(annotation)}") from error
    if any(abs(number) >= 2**63 for number in whole_numbers(plain)):
        raise ConfigError(key, value, "has a whole number of more than 64 bits; write one that large as 1e30")


def whole_numbers(plain: Any) -> Iterator[int]:
    """All whole numbers in a value, its lists and its groups."""
    if isinstance(plain, Mapping | list | tuple):
        for inner in plain.values() if isinstance(plain, Mapping) else plain:
            yield from whole_numbers(inner)
    elif isinstance(plain, int):
        yield plain


def validate_all(values: Mapping[str, Any], annotations: Mapping[str, Any], prefix: str = "") -> None:
    """Validate each value that has an annotation.

    Raises:
        ConfigError: the first value that is refused.
    """
    for name, annotation in annotations.items():
        if name in values:
            validate(f"{prefix}{name}", values[name], annotation)


def words(annotation: Any) -> str:
    """What an annotation accepts, in words: `float | None` is "a number, or null"."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _bounded(arguments[0], arguments[1:])
    if origin in (Union, types.UnionType):
        options = [words(option) for option in arguments if option is not type(None)]
        return ", or ".join([*options, "null"] if len(options) < len(arguments) else options)
    if origin is Literal:
        return "one of " + ", ".join("null" if option is None else str(option) for option in arguments)
    if origin is list:
        return f"a list, each {words(arguments[0])}"
    if origin is tuple:
        return f"a list of {len(arguments)}, each {words(arguments[0])}"
    return BASES.get(origin or annotation, "a part (a group of keys with a _target_)")


def _bounded(base: Any, metadata: tuple[Any, ...]) -> str:
    """The words for a type with bounds on it."""
    details = [detail for item in metadata for detail in getattr(item, "metadata", [item])]
    said = next((item.description for item in metadata if getattr(item, "description", None)), None)
    bounds = [f"{sign} {getattr(d, name):g}" for name, sign in BOUNDS for d in details if hasattr(d, name)]
    shortest = next((detail.min_length for detail in details if hasattr(detail, "min_length")), 0)
    return said or " ".join([words(base), " and ".join(bounds)]).strip() + (", not empty" if shortest else "")
