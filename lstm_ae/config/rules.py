"""The root's own keys, and the validation of a whole config before anything is built, downloaded or written.

All other keys belong to parts: what a part's option may be stands in the part's signature.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from omegaconf import DictConfig, OmegaConf
from pydantic import Field

from lstm_ae.config.values import validate_all, words
from lstm_ae.errors import ConfigError
from lstm_ae.metrics import monitored

Count = Annotated[int, Field(ge=1)]
Threads = Annotated[int, Field(ge=1, le=1024)]  # more than any machine has a use for, and few can start as many
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], Field(min_length=1, description="a list of texts, not empty")]
Pair = Annotated[list[Text], Field(min_length=2, max_length=2, description="a list of two texts")]
Mode = Literal["min", "max"]
Modes = Annotated[list[Mode], Field(min_length=2, max_length=2, description="a list of two of them")]
Device = Literal["auto", "cpu", "cuda"]
StudyName = Annotated[str, Field(pattern=r"^\w[\w.-]*$", description="a name of letters, numbers, '_', '-' and '.'")]

ROOT = {
    "seed": Seed,
    "split_seed": Seed,
    "monitor": Text | Pair,
    "mode": Mode | Modes,
    "device": Device,
    "backend": Literal["auto", "torch", "native"],
    "threads": Threads | None,
    "cross_validation": Annotated[int, Field(ge=2)] | None,
    "study_name": StudyName | None,
    "workers": Count,
    "revalidate": Count | None,
    "weights": Text | None,
}
GROUPS = ("dataset", "model", "objective", "optimizer", "scheduler", "trainer")  # the sweeper validates the pruner


# What commands have in common that read a run.
READING = {"run": Text, "output": Text | None, "device": Device, "threads": Threads | None}


def validate_keys(config: DictConfig, rules: Mapping[str, Any]) -> None:
    """Validate keys at the root of a config, such as those of a command that reads a run.

    Raises:
        ConfigError: the first value that is refused or missing.
    """
    for name in rules:
        if OmegaConf.is_missing(config, name):
            raise ConfigError(name, "???", f"needs a value: {words(rules[name])}")
    validate_all({name: config[name] for name in rules if name in config}, rules)


def validate_config(config: DictConfig) -> None:
    """Validate every value of a composed config of a run: the root's own keys, then every part's options.

    Raises:
        ConfigError: the first value that is refused, by its full key.
    """
    validate_keys(config, ROOT)
    monitored(config.monitor, config.mode)
    from lstm_ae.config.parts import parts_in, validate_part  # late: the root's keys are refused without waiting

    for group in GROUPS:
        found = list(parts_in(config[group], group))
        if not found:
            raise ConfigError(group, "null", f"names no part; choose one of the group with {group}=...")
        for node, key in found:
            validate_part(node, key)
