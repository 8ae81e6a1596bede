"""Write docs/KEYS.md: every key of every config group, from the YAML files and the signatures of the parts they name.

python docs/keys.py
"""

import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lstm_ae import encode, export, forecast, score  # noqa: E402
from lstm_ae.config.parts import FOREIGN, options_of  # noqa: E402
from lstm_ae.config.rules import READING  # noqa: E402
from lstm_ae.config.rules import ROOT as ROOT_RULES  # noqa: E402
from lstm_ae.config.values import words  # noqa: E402
from lstm_ae.sweeps.plugin import StudySweeper  # noqa: E402
from lstm_ae.sweeps.search import SweeperOptions  # noqa: E402

CONF, PAGE = ROOT / "conf", ROOT / "docs" / "KEYS.md"
GROUPS = (
    "dataset", "model", "model/encoder", "model/decoder", "model/head", "model/initialization", "objective",
    "optimizer", "scheduler", "trainer", "tracker", "pruner", "hydra/sweeper", "hydra/sweeper/sampler", "scorer",
)  # fmt: skip
COMMANDS: dict[str, Mapping[str, Any]] = {
    "evaluate": READING,
    "forecast": forecast.KEYS,
    "score": score.KEYS | {f"threshold.{name}": rule for name, rule in score.THRESHOLD_KEYS.items()},
    "encode": encode.KEYS,
    "export": export.KEYS,
}
COMMON = {  # what keys of many groups mean, where neither their YAML nor their part says it
    "batch_size": "sequences in a batch",
    "seed": "of what is drawn at random",
    "val_fraction": "share that validates",
    "test_fraction": "share that tests",
    "lr": "learning rate",
}
PRESETS = ("experiment", "sweep")
LINE = re.compile(r"(?P<indent> *)(?P<key>[\w.]+):(?: (?P<value>(?:\"[^\"]*\"|[^#])*?))?(?:\s+# (?P<comment>.*))?$")
ARGUMENT = re.compile(r"^    ([\w, ]+)(?: \(.*?\))?: ?((?:.*)(?:\n        .*)*)", re.MULTILINE)
INTRODUCTION = """# Every key

What each key means, which values it takes, and its default. Override keys on the command line, `dataset.window=50`, and
choose an option of a group with `dataset=table`. `python -m lstm_ae.train --cfg job` prints the keys of one run.

This page is made from `conf/` and from the signatures of what it names: `python docs/keys.py` writes it anew.
"""


class Key(NamedTuple):
    """A line of a YAML file."""

    name: str
    default: str
    comment: str


def keys_of(text: str) -> Iterator[Key]:
    """The keys of a YAML file that have a value, nested ones with dots; not its `defaults`, nor anything of Hydra's."""
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        found = LINE.match(line)
        if found is None or line.lstrip().startswith(("#", "-")):
            continue
        indent = len(found["indent"])
        above = [one for one in above if one[0] < indent]
        path = [name for _, name in above] + [found["key"]]
        if path[0] in ("defaults", "hydra") or found["key"].startswith("_"):
            above.append((indent, found["key"]))
            continue
        if not (found["value"] or "").strip():
            above.append((indent, found["key"]))
            continue
        yield Key(".".join(path), found["value"].strip(), found["comment"] or "")


def arguments_of(part: Any) -> dict[str, str]:
    """What the docstring of a part says of its arguments: `name, other: text` under `Args:`."""
    said: dict[str, str] = {}
    for documented in part.__mro__ if isinstance(part, type) else [part]:
        block = re.search(r"Args:\n((?:    .*\n?|\n)+)", inspect.getdoc(documented) or "")
        for names, text in ARGUMENT.findall(block[1] if block else ""):
            for name in names.split(", "):
                said.setdefault(name, re.sub(r"\s*\(default: .*", "", " ".join(text.split())))
    return said


def first_comment(text: str) -> tuple[str, str]:
    """What a YAML file says of itself in its first line: the sentence, and the command that uses it."""
    line = next(line for line in text.splitlines() if line.startswith("# ") and "@package" not in line)[2:]
    found = re.match(r"(.*?[.?]) ((?:python -m|hydra/).*)", line)
    return (found[1], found[2]) if found else (line, "")


def table(rows: list[tuple[str, str, str, str]]) -> str:
    """Rows as a Markdown table."""
    cells = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    lines = [f"| `{key}` | {meaning} | {values} | {f'`{default}`'} |" for key, meaning, values, default in cells]
    return "\n".join(["| key | meaning | values | default |", "| --- | --- | --- | --- |", *lines])


def option(path: Path, group: str) -> str:
    """One option of a group: its sentence, its command and its keys."""
    text = path.read_text(encoding="utf-8")
    sentence, command = first_comment(text)
    package = re.search(r"^# @package (\S+)$", text, re.MULTILINE)
    prefix = f"{package[1] if package else group}.".replace("/", ".").removeprefix("_global_.")
    rows = []
    content = yaml.safe_load(text) or {}
    above = next((one for one in content.get("defaults", []) if (path.parent / f"{one}.yaml").is_file()), None)
    inherited = yaml.safe_load((path.parent / f"{above}.yaml").read_text(encoding="utf-8")) if above else {}
    targets = {"": content.get("_target_", inherited.get("_target_"))} | {
        f"{name}.": node.get("_target_") for name, node in content.items() if isinstance(node, dict)
    }
    for key in keys_of(text):
        rules: dict[str, str] = {}
        said: dict[str, str] = {}
        below = f"{key.name.split('.')[0]}." if "." in key.name else ""
        target = targets.get(below)
        if target:
            part, rules = rules_of(target)
            said = arguments_of(part)
        name = key.name.removeprefix(below)
        meaning = key.comment or said.get(name) or COMMON.get(name, "")
        rows.append((f"{prefix}{key.name}", meaning, rules.get(name, ""), key.default))
    head = f"### {group}={path.stem}\n\n{sentence}" + (f" `{command}`" if command else "")
    return f"{head}\n\n{table(rows)}" if rows else head


def preset(path: Path) -> str:
    """A named setting as an item of a list."""
    sentence, command = first_comment(path.read_text(encoding="utf-8"))
    return f"- `{path.stem}`: {sentence}" + (f" `{command}`" if command else "")


def rules_of(target: str) -> tuple[Any, dict[str, str]]:
    """What a `_target_` names, and the values of its options in words."""
    module, _, name = target.rpartition(".")
    part = getattr(importlib.import_module(module), name)
    if part is StudySweeper:
        return part, {name: said_of(hint) for name, hint in get_type_hints(SweeperOptions, include_extras=True).items()}
    rules = FOREIGN[module][1] if module in FOREIGN else None
    hints = {} if rules is None else get_type_hints(rules, include_extras=True)
    hints |= {name: one.annotation for name, one in options_of(part, rules).items()}
    return part, {name: said_of(hint) for name, hint in hints.items()}


def said_of(annotation: Any) -> str:
    """An annotation in words; nothing where it says nothing."""
    return "" if annotation in (Any, inspect.Parameter.empty) else words(annotation)


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    root = list(keys_of((CONF / "config.yaml").read_text(encoding="utf-8")))
    rows = [(key.name, key.comment, said_of(ROOT_RULES.get(key.name, Any)), key.default) for key in root]
    parts.append("## Keys that belong to no group\n\n" + table(rows))
    for group in GROUPS:
        parts.append(
            f"## {group}\n\n" + "\n\n".join(option(path, group) for path in sorted((CONF / group).glob("*.yaml")))
        )
    for command, rules in COMMANDS.items():
        text = (CONF / f"{command}.yaml").read_text(encoding="utf-8")
        sentence, example = first_comment(text)
        rows = [(key.name, key.comment, said_of(rules.get(key.name, Any)), key.default) for key in keys_of(text)]
        parts.append(f"## python -m lstm_ae.{command}\n\n{sentence} `{example}`\n\n{table(rows)}")
    for group in PRESETS:
        lines = [
            (path.stem, *first_comment(path.read_text(encoding="utf-8"))) for path in sorted((CONF / group).glob("*"))
        ]
        listed = "\n".join(f"- `{name}`: {said}" + (f" `{use}`" if use else "") for name, said, use in lines)
        parts.append(f"## {group}\n\nNamed settings of the keys above.\n\n{listed}")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
