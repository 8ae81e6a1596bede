"""Parts that a config names: found behind one whitelist, validated against their own signatures, then built.

A config may name parts of this package (marked with `lstm_ae.spec.part`), torch's optimizers, Optuna's pruners and
samplers, and marked parts in modules that the user allows in the environment variable `LSTM_AE_ALLOW`. What is allowed
never depends on the config itself: a run directory is data, and opening one runs nothing else.
"""

import importlib
import inspect
import os
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple, TypedDict, get_type_hints

import hydra
from hydra.utils import execution_whitelist
from omegaconf import DictConfig, ListConfig, Node, OmegaConf

from lstm_ae.config import ALLOW
from lstm_ae.config.values import validate
from lstm_ae.errors import ConfigError, UserError
from lstm_ae.training.optimizers import OURS, OptimizerOptions


class NoRules(TypedDict):
    """The rules for options that a foreign part checks itself, when it is built."""


# Foreign modules whose parts may be named: what a part of it descends from, the rules for its options, and those of the
# options that are ours and are not handed to it.
FOREIGN = {
    "torch.optim": ("Optimizer", OptimizerOptions, OURS),
    "optuna.pruners": ("BasePruner", NoRules, ()),
    "optuna.samplers": ("BaseSampler", NoRules, ()),
}
REFERENCE = re.compile(r"\$\{([\w.]+)\}")


class Option(NamedTuple):
    """What a part's signature says of one of its options."""

    annotation: Any
    required: bool


def allowed_modules() -> list[str]:
    """The user's own modules that configs may name parts of."""
    return [name.strip() for name in os.environ.get(ALLOW, "").split(",") if name.strip()]


def find_part(target: object, key: str) -> Callable[..., Any]:
    """The class or function that `key`._target_ names.

    Raises:
        ConfigError: it is not one that a config may name, or there is no such thing.
    """
    module, _, name = str(target).rpartition(".")
    refused = ConfigError(f"{key}._target_", target, "is no part that a config may name")
    if module in FOREIGN:
        found = getattr(importlib.import_module(module), name, None)
        base = getattr(importlib.import_module(module), FOREIGN[module][0])
        if isinstance(found, type) and issubclass(found, base):
            return found
        raise refused
    own = module.startswith("lstm_ae.")
    if not own and module not in allowed_modules():
        raise ConfigError(
            f"{key}._target_", target, f"is no part that a config may name. If {module or target} is a module of your "
            f"own that you trust, allow it: {ALLOW}={module or target}, or allow={module or target} on the command line"
        )  # fmt: skip
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        if own:
            raise refused from error
        raise ConfigError(f"{key}._target_", target, f"cannot be imported ({error})") from error
    if found is None or getattr(found, "__module__", None) != module:
        raise ConfigError(f"{key}._target_", target, f"there is no part {name} in {module}")
    from lstm_ae.spec import is_part  # late: Optuna's parts are built without waiting for torch

    if not is_part(found):
        raise refused if own else ConfigError(
            f"{key}._target_", target, "is not marked as a part; put @part from lstm_ae.spec above it"
        )  # fmt: skip
    return found


def options_of(part: Callable[..., Any], rules: type | None = None) -> dict[str, Option]:
    """The options that a part takes; those of its base classes too, where it hands on `**options`.

    Args:
        part: a class or a function.
        rules: a TypedDict with annotations for options that the part's own signature says little of.
    """
    functions = [part]
    if isinstance(part, type):
        functions = [vars(base)["__init__"] for base in part.__mro__ if "__init__" in vars(base)]
    known = {} if rules is None else get_type_hints(rules, include_extras=True)
    found: dict[str, Option] = {}
    for function in functions:
        hints = (get_type_hints(function, include_extras=True) if rules is None else {}) | known
        parameters = list(inspect.signature(function).parameters.values())[isinstance(part, type) :]
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                option = Option(hints.get(parameter.name, Any), parameter.default is parameter.empty)
                found.setdefault(parameter.name, option)
        if all(parameter.kind != parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def validate_part(node: DictConfig, key: str) -> None:
    """Validate the options of the part at `key`, and of the parts inside it, without building anything.

    Raises:
        ConfigError: an option that the part does not have, does not accept or misses.
    """
    part = find_part(node._target_, key)
    _, rules, ours = FOREIGN.get(str(node._target_).rpartition(".")[0], (None, None, ()))
    options = options_of(part, rules)
    options |= {name: Option(get_type_hints(rules, include_extras=True)[name], required=False) for name in ours}
    if "_partial_" in node:
        validate(f"{key}._partial_", node._partial_, bool)
    for name in map(str, node):
        if name in ("_target_", "_partial_"):
            continue
        if name not in options:
            near = get_close_matches(name, options, n=1)
            raise ConfigError(
                f"{key}.{name}", node._get_node(name),
                f"{part.__name__} has no such option" + (f"; did you mean {near[0]}?" if near else ".")
                + " Remove it from the command line or, where an experiment sets it for another choice of the group, "
                f"add ~{key}.{name}={node._get_node(name)}",  # Hydra's multirun deletes a key only with its value
            )  # fmt: skip
        if OmegaConf.is_missing(node, name):
            raise ConfigError(f"{key}.{name}", "???", "needs a value")
        value = node[name]
        at = source_of(node, name, key)
        if isinstance(value, DictConfig) and "_target_" in value:
            validate_part(value, at)
        else:
            validate(at, value, options[name].annotation)
    missing = [name for name, option in options.items() if option.required and name not in node]
    if missing and not node.get("_partial_", False):
        raise ConfigError(f"{key}.{missing[0]}", "(absent)", f"{part.__name__} needs it; add it to the group's YAML")


def source_of(node: DictConfig, name: str, key: str) -> str:
    """The key where a value is set: where a plain reference within its group points (`${model.hidden_size}`), else its
    own."""
    child = node._get_node(name)
    reference = None
    if isinstance(child, Node) and OmegaConf.is_interpolation(node, name):
        reference = REFERENCE.fullmatch(str(child._value()))
    return reference[1] if reference and reference[1].split(".")[0] == key.split(".")[0] else f"{key}.{name}"


def parts_in(node: Any, key: str) -> Iterator[tuple[DictConfig, str]]:
    """The outermost nodes that name a part, each with its full key."""
    if isinstance(node, DictConfig) and "_target_" in node:
        yield node, key
    elif isinstance(node, DictConfig | ListConfig) and not node._is_none():
        children = enumerate(node) if isinstance(node, ListConfig) else node.items()
        for name, child in children:
            yield from parts_in(child, f"{key}.{name!s}")


def targets_in(node: Any) -> Iterator[str]:
    """Every `_target_` at any depth."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield str(node["_target_"])
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from targets_in(child)


def build_part(config: DictConfig | None, key: str, **arguments: Any) -> Any:
    """Validate and build the part at `key`; None stays None.

    Args:
        config: its node; with `_partial_: true` a callable comes back that completes it.
        key: its full key, for messages.
        arguments: further arguments, or other values for options.

    Raises:
        UserError: it is not allowed, or does not take its options.
    """
    if config is None:
        return None
    if not isinstance(config, DictConfig) or config.get("_target_") is None:
        raise ConfigError(key, config, f"must be a part; choose one with {key.replace('.', '/')}=...")
    validate_part(config, key)
    targets = tuple(dict.fromkeys(targets_in(OmegaConf.to_container(config, resolve=True))))
    for target in targets:  # also those in places that no signature speaks of
        find_part(target, key)
    try:
        return hydra.utils.instantiate(
            config, **arguments, _execution_whitelist_=execution_whitelist(targets, reset=True), _convert_="all"
        )
    except hydra.errors.InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from error
        if isinstance(error.__cause__, TypeError | ValueError | ImportError):  # a foreign part's own complaint
            raise ConfigError(key, config._target_, str(error.__cause__)) from error
        raise UserError(f"{key} cannot be built: {error}") from error
