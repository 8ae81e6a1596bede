"""Run directories as training leaves them, without the training."""

import json
from pathlib import Path
from typing import Any

CONFIG = """seed: {seed}
monitor: {monitor}
mode: {mode}
threads: 1
resume: null
dataset:
  _target_: lstm_ae.data.digits.digits
  fold: {fold}
  seed: ${{seed}}
objective:
  reconstruction_weight: {weight}
model:
  hidden_size: {hidden_size}
  encoder:
    hidden_size: ${{model.hidden_size}}
optimizer:
  _target_: torch.optim.{optimizer}
  lr: {lr}
  {extra}
trainer:
  max_epochs: {max_epochs}
"""
DEFAULTS = {
    "seed": 0, "monitor": "val/loss", "mode": "min", "fold": 0, "weight": 0.5, "hidden_size": 8, "optimizer": "Adam",
    "lr": 0.01, "max_epochs": 3,
}  # fmt: skip


def make_run(path: Path, losses: list[float], status: str = "completed", summary: dict | None = None, **settings: Any):
    """A run whose `val/loss` took these values, one an epoch; its `val/accuracy` is 1 - val/loss."""
    settings = DEFAULTS | {"max_epochs": max(len(losses), 3)} | settings
    extra = "momentum: 0.9" if settings["optimizer"] == "SGD" else "betas: [0.9, 0.999]"
    (path / ".hydra").mkdir(parents=True)
    (path / ".hydra/config.yaml").write_text(CONFIG.format(extra=extra, **settings))
    overrides = [
        f"seed={settings['seed']}",
        f"model.hidden_size={settings['hidden_size']}",
        f"optimizer.lr={settings['lr']}",
    ]
    (path / ".hydra/overrides.yaml").write_text("".join(f"- {override}\n" for override in overrides))
    choices = {"experiment": "null", "optimizer": settings["optimizer"].lower(), "hydra/env": "default"}
    lines = [f"      {group}: {option}" for group, option in choices.items()]
    text = "\n".join(["hydra:", "  runtime:", "    version: 1", "    choices:", *lines, "  verbose: false\n"])
    (path / ".hydra/hydra.yaml").write_text(text)
    lines = ["epoch,seconds,lr,train/loss,val/loss,val/accuracy"]
    lines += [f"{i},0.5,{settings['lr']},{loss},{loss},{1 - loss}" for i, loss in enumerate(losses, 1)]
    if losses:
        (path / "metrics.csv").write_text("\n".join(lines) + "\n")
    content: dict[str, Any] = {"status": status, "monitor": "val/loss", "git_commit": "c0ffee", "data": "123abc"}
    if status == "completed":
        content |= {"best": min(losses), "best_epoch": losses.index(min(losses)) + 1, "seconds": 0.5 * len(losses),
                    "test": {"test/loss": min(losses) + 0.01}, "baselines": {"test/loss/mean": 0.9}}  # fmt: skip
    (path / "summary.json").write_text(json.dumps(content | (summary or {})))
    return path
