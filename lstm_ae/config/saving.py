"""What a saved config must not leave open: values that another time or another machine would fill in otherwise."""

import re
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

# ${oc.env:HOME} and ${now:%Y}, but not ${model.hidden_size}, which means the same wherever the config is read.
RESOLVER = re.compile(r"\$\{\s*[\w.]+\s*:")


def settle(config: Any) -> bool:
    """Replace each value that calls a resolver by what it is now, in place; whether there was one.

    Raises:
        OmegaConfBaseException: a value that cannot be resolved.
    """
    settled = False
    if not isinstance(config, DictConfig | ListConfig) or config._is_none() or config._is_missing():
        return settled
    written: Any = OmegaConf.to_container(config)  # references as they stand in the file
    for key in list(config) if isinstance(config, DictConfig) else range(len(config)):
        if not OmegaConf.is_interpolation(config, key):
            settled |= not OmegaConf.is_missing(config, key) and settle(config[key])
        elif RESOLVER.search(str(written[key])):
            config[key] = config[key]
            settled = True
    return settled
