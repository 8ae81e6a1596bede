"""What is not ours in a search: Optuna's samplers and pruners, and functions of the user's, built by their keys."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hydra.utils import get_method
from omegaconf import DictConfig

from lstm_ae.config.parts import build_part
from lstm_ae.errors import ConfigError


def build_optuna_part(config: DictConfig | None, key: str, **arguments: Any) -> Any:
    """Build the sampler or the pruner at `key`; None stays None.

    Raises:
        ConfigError: Optuna refuses its options.
    """
    with blamed_on(key, config):
        return build_part(config, key, **arguments)


def function_at(path: str | None, key: str) -> Callable[..., Any] | None:
    """Import the function that `key` names, as `module.function`; None stays None.

    Raises:
        ConfigError: there is no such function.
    """
    try:
        return None if path is None else get_method(path)
    except (ImportError, ValueError) as error:
        raise ConfigError(key, path, f"there is no such function: {str(error).splitlines()[-1]}") from error


@contextmanager
def blamed_on(key: str, config: DictConfig | None) -> Iterator[None]:
    """Raise what Optuna says of a sampler or a pruner as an error that names its key.

    Raises:
        ConfigError: an option that Optuna refuses, or a package that it lacks.
    """
    options = {} if config is None else {str(name): value for name, value in config.items()}
    target = options.pop("_target_", None)
    try:
        yield
    except ImportError as error:
        raise ConfigError(key, target, f"needs a package that is missing: pip install {error.name}") from error
    except (TypeError, ValueError, ArithmeticError) as error:
        given = ", ".join(f"{name}={value}" for name, value in options.items())
        raise ConfigError(key, target, f"Optuna refuses {given}: {str(error).splitlines()[0]}") from error
