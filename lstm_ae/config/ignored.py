"""Settings that would change nothing, though somebody meant them to."""

from collections.abc import Iterator

from omegaconf import DictConfig

from lstm_ae.config.size import nodes
from lstm_ae.errors import ConfigError


def refuse_ignored(config: DictConfig) -> None:
    """Refuse a fold of no folds: runs that differ in it alone would be the same run.

    Raises:
        ConfigError: `dataset.fold` is set, and there are no folds.
    """
    fold = config.dataset.get("fold")
    if fold and config.dataset.get("num_folds") is None:
        raise ConfigError("dataset.fold", fold, "does nothing without dataset.num_folds=...; add it, or leave out the "
                          "fold")  # fmt: skip


def without_effect(config: DictConfig) -> Iterator[str]:
    """Settings that do nothing in this model, each as a sentence; searches may vary them beside others that do."""
    found = [node for node, _ in nodes(config.model, "model") if "_target_" in node and node.get("dropout") is not None]
    asked = max((node.dropout for node in found), default=config.model.get("dropout") or 0)
    if asked > 0 and not any(node.dropout > 0 and node.get("num_layers", 2) > 1 for node in found):
        yield (
            f"model.dropout={asked:g} does nothing here: it acts between the layers of an LSTM (model.num_layers=2 or "
            "more) and in a head"
        )
