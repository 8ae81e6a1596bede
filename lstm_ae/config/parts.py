"""Parts named in a config, made behind one whitelist."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hydra
from omegaconf import DictConfig

from lstm_ae.errors import UserError

# The only callables that a config may name: a run directory is data, and opening one must not run anything else.
WHITELIST = ("lstm_ae.data.*", "lstm_ae.models.*", "lstm_ae.training.*", "torch.optim.*")
UNKNOWN_OPTION = re.compile(
    r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'.*full_key: (\S+)", re.DOTALL
)


@contextmanager
def said_in_words() -> Iterator[None]:
    """What Hydra has to say of a part that cannot be made, as a UserError."""
    try:
        yield
    except hydra.errors.InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from error
        raise UserError(f"the config cannot be built: {error}") from error
    except TypeError as error:
        unknown = UNKNOWN_OPTION.search("\n".join([str(error), *getattr(error, "__notes__", [])]))
        if unknown is None:
            raise
        part, option, key = unknown.groups()
        raise UserError(
            f"{key}.{option}: {part} has no such option; remove it from the command line or, where an experiment sets "
            f"it for another choice of the group, add ~{key}.{option}"
        ) from error


def instantiate(config: DictConfig | None, **arguments: Any) -> Any:
    """Hydra's `instantiate`, behind the whitelist; None stays None.

    Raises:
        UserError: a target that is not allowed, cannot be found or does not take its options.
    """
    with said_in_words():
        return hydra.utils.instantiate(config, **arguments, _execution_whitelist_=WHITELIST, _convert_="all")
