"""The documented commands: every one composes, and those of the README run, on tiny settings."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins

from lstm_ae.compare import parser as compare_parser
from lstm_ae.config import CONF
from lstm_ae.config.rules import validate_config
from lstm_ae.sweeps.plugin import StudySweeper
from tests.commands import environment, run

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("experiments/*/README.md")), *sorted(ROOT.glob("conf/**/*.yaml"))]
COMMAND = re.compile(r"python -m lstm_ae\.(train|evaluate|compare|forecast|score|encode|export)([^`\n#]*)")


def commands():
    for page in PAGES:
        for name, arguments in COMMAND.findall(page.read_text().replace("\\\n", " ")):
            words = arguments.split("  ")[0].strip()
            if not re.search(r"\.\.\.|\[overrides\]|NAME|DIR|--help|--cfg|--config-dir", words):
                yield pytest.param(name, words, id=f"{page.relative_to(ROOT)}: {name} {words}"[:140])


@pytest.mark.parametrize(("name", "arguments"), list(commands()))
def test_every_documented_command_composes(name, arguments):
    words = shlex.split(arguments)
    if name == "compare":
        compare_parser().parse_args(words)
        return
    overrides = [word for word in words if word not in ("-m", "--multirun", "--dry-run")]
    if name == "train" and any(word.startswith("resume=") for word in overrides):
        return
    parsed = OverridesParser.create().parse_overrides(overrides)
    # Of a swept value, the first stands for all.
    single = [
        f"{override.get_key_element()}={next(override.sweep_string_iterator())}"
        if override.is_sweep_override() and override.is_choice_sweep()
        else override.input_line
        for override in parsed
        if not override.is_sweep_override() or override.is_choice_sweep()
    ]
    Plugins.instance().register(StudySweeper)
    with initialize_config_dir(CONF):
        config = compose({"train": "config"}.get(name, name), single)
    if name == "train":
        validate_config(config)


def smaller(found: re.Match) -> str:
    return {"=8,16,32": "=8,16", "=0.003,0.01": "=0.01"}.get(found.group(), "n_trials=3")


def test_the_everyday_loop_runs_as_printed(tmp_path):
    """The commands between the loop's heading and the next, on fewer epochs, images and trials, in one folder."""
    text = (ROOT / "README.md").read_text()
    loop = text[text.index("## Override, sweep, compare") :]
    loop = loop[: loop.index("\n## ", 5)]
    lines = re.findall(r"^\$ (python .*)$", loop, flags=re.MULTILINE)
    assert len(lines) >= 4
    for line in lines:
        words = shlex.split(line)
        assert words[:2] == ["python", "-m"]
        if words[2] == "lstm_ae.train" and not any(word.startswith("resume=") for word in words):
            words += ["trainer.max_epochs=" + ("19" if "sweep=shortlist" in words else "2"), "dataset.num_train=64"]
            words = [re.sub(r"n_trials=\d+|=8,16,32|=0.003,0.01$", smaller, word) for word in words]
        done = subprocess.run([sys.executable, *words[1:]], cwd=tmp_path, env=environment(), capture_output=True,
                              text=True, timeout=300)  # fmt: skip
        assert done.returncode == 0, (line, done.stderr)


def test_the_readmes_own_parts_train(tmp_path):
    """The data set and the encoder are written as the README shows them, and its command trains on them."""
    text = (ROOT / "README.md").read_text()
    files = re.findall(r"`(my_[\w/]+\.\w+)`(?:(?!```).)*?```\w+\n(.*?)```", text, flags=re.DOTALL)
    for name, content in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert {Path(name).suffix for name, _ in files} == {".py", ".yaml"}
    command = re.search(r"^\$ python -m lstm_ae\.train (--config-dir.*)$", text, flags=re.MULTILINE)[1]
    done = run("train", *shlex.split(command), "trainer=debug", "threads=1", "hydra.run.dir=run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sines: 600 / 200 / 200 sequences" in done.stdout
    assert "my_models.GRU" in (tmp_path / "run/.hydra/config.yaml").read_text()
