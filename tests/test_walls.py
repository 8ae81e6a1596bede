"""The map of CONTRIBUTING.md, checked: which room of the package may import which, read from the sources."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lstm_ae"
COMMANDS = {"train", "evaluate", "forecast", "compare", "score", "encode", "export"}

# From the ground up. A room may import from the floors below its own and from itself; the ground floor is one room.
GROUND = {"spec", "metrics", "errors", "files", "memory", "stopping", "kernels"}
FLOORS = [
    GROUND,
    {"data", "models"},
    {"training", "forecasting", "anomalies"},
    {"config"},
    {"runs"},
    {"evaluation", "figures", "sweeps"},
    COMMANDS | {"api"},
    {"lstm_ae"},  # the package itself, `lstm_ae/__init__.py`
]
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}

# The console stands beside the floors: it imports from these rooms only, and only these import from it.
CONSOLE_IMPORTS = {"errors", "config", "stopping"}
CONSOLE_IS_IMPORTED_BY = COMMANDS | {"sweeps"}

# Words of one field ("isdigit" is Python's and passes). The modules that read such data may use them, and one command
# tells users who still write `symbol=` that the key has a new name.
DOMAIN = re.compile(r"(?<![a-z])(?:stock|market|dollar|digit|compan(?:y|ies)|symbol)s?(?![a-z])", re.IGNORECASE)
DOMAIN_FILES = {"lstm_ae.data.sp500", "lstm_ae.data.mnist", "lstm_ae.data.digits"}
DOMAIN_EXCEPTIONS = {"lstm_ae.forecast": {"symbol"}}

LIGHT = ["lstm_ae", "lstm_ae.errors", "lstm_ae.metrics", "lstm_ae.console"]
HEAVY = {"torch", "numpy", "pandas", "matplotlib", "scipy", "sklearn", "optuna"}

Sources = dict[str, str]


def read(package: Path) -> Sources:
    """The source of each module of a package, by its full name (`lstm_ae.data` for `lstm_ae/data/__init__.py`)."""
    return {
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): path.read_text()
        for path in sorted(package.rglob("*.py"))
    }


def imports(module: str, sources: Sources, is_package: bool) -> Iterator[str]:
    """The modules of the same package that `module` imports anywhere: at the top, in functions, for type checkers."""

    def known(name: str) -> str:
        """The longest beginning of `name` that is a module: the rest is something inside it."""
        while name not in sources and "." in name:
            name = name.rpartition(".")[0]
        return name

    for node in ast.walk(ast.parse(sources[module])):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")[: len(module.split(".")) - node.level + is_package] if node.level else []
            base = ".".join([*parents, *filter(None, [node.module])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names = [word.value for word in node.args if isinstance(word, ast.Constant)]
        yield from {known(name) for name in names if name.split(".")[0] == "lstm_ae"} - {module}


def graph(sources: Sources) -> dict[str, set[str]]:
    """Each module with what it imports."""
    packages = {name.rpartition(".")[0] for name in sources} | {"lstm_ae"}
    return {module: set(imports(module, sources, module in packages)) for module in sources}


def room(module: str) -> str:
    """`data` for `lstm_ae.data.sp500`; `lstm_ae` for the package itself."""
    return module.split(".")[1] if "." in module else module


def is_allowed(importer: str, imported: str) -> bool:
    """Whether the walls let one room import another."""
    if importer == imported or {importer, imported} <= GROUND:
        return True
    if importer == "console":
        return imported in CONSOLE_IMPORTS
    if imported == "console":
        return importer in CONSOLE_IS_IMPORTED_BY
    return imported not in COMMANDS and HEIGHT[imported] < HEIGHT[importer]


def broken_walls(sources: Sources) -> list[str]:
    """Every import that the walls forbid, and every room that the map does not show."""
    homeless = {room(module) for module in sources} - HEIGHT.keys() - {"console"}
    if homeless:
        return [f"{name} is in no floor of the map" for name in sorted(homeless)]
    return [
        f"{module} imports {other}"
        for module, others in graph(sources).items()
        for other in sorted(others)
        if not is_allowed(room(module), room(other))
    ]


def circle(sources: Sources) -> list[str] | None:
    """Some modules that import each other in a circle, or None."""
    try:
        TopologicalSorter(graph(sources)).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def domain_words(sources: Sources) -> list[str]:
    """Every line of a generic room that speaks of one field."""
    return [
        f"{module}:{number}: {found.group()}"
        for module, source in sources.items()
        if module not in DOMAIN_FILES
        for number, line in enumerate(source.splitlines(), 1)
        for found in DOMAIN.finditer(line)
        if found.group() not in DOMAIN_EXCEPTIONS.get(module, ())
    ]


def test_no_import_goes_through_a_wall():
    found = broken_walls(read(PACKAGE))
    assert not found, "\n".join(found)


def test_no_modules_import_each_other():
    found = circle(read(PACKAGE))
    assert found is None, " imports ".join(found)


def test_generic_rooms_do_not_speak_of_one_field():
    found = domain_words(read(PACKAGE))
    assert not found, "\n".join(found)


def test_the_map_of_contributing_shows_the_same_floors():
    rows = re.findall(r"^\| (\d) \| (.*) \|$", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.MULTILINE)
    shown = {name: int(floor) - 1 for floor, rooms in rows for name in re.findall(r"`(\w+)`", rooms)}
    rooms = {room(module) for module in read(PACKAGE)} - COMMANDS - {"console", "lstm_ae"}
    assert shown == {name: HEIGHT[name] for name in rooms}


@pytest.mark.parametrize("module", LIGHT)
def test_what_every_command_imports_is_light(module):
    code = f"import sys, {module}; print(*{HEAVY} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


HOUSE = {
    "lstm_ae": "def __getattr__(name):\n    return import_module('lstm_ae.api').load_run",
    "lstm_ae.api": "from lstm_ae.runs.reopen import load_run",
    "lstm_ae.errors": "",
    "lstm_ae.spec": "import torch\nfrom lstm_ae import errors",
    "lstm_ae.console": "from lstm_ae.errors import UserError",
    "lstm_ae.data": "",
    "lstm_ae.data.panel": "from ..spec import DataSpec",
    "lstm_ae.models": "",
    "lstm_ae.models.heads": "import lstm_ae.spec",
    "lstm_ae.runs": "",
    "lstm_ae.runs.reopen": "def load():\n    from lstm_ae.models import heads",
    "lstm_ae.sweeps": "",
    "lstm_ae.sweeps.plugin": "from lstm_ae.console import stop",
    "lstm_ae.train": "from lstm_ae.console import run\nfrom lstm_ae.sweeps import plugin",
}


def test_a_house_in_order_passes():
    assert broken_walls(HOUSE) == [] and circle(HOUSE) is None and domain_words(HOUSE) == []


FORBIDDEN = {
    "upwards": ("lstm_ae.data.panel", "import lstm_ae.runs.reopen", "lstm_ae.runs.reopen"),
    "to a neighbour": ("lstm_ae.data.panel", "from lstm_ae.models.heads import Head", "lstm_ae.models.heads"),
    "late": ("lstm_ae.data.panel", "def f():\n    from lstm_ae import models", "lstm_ae.models"),
    "for type checkers": ("lstm_ae.models.heads", "if TYPE_CHECKING:\n    from lstm_ae.data import x", "lstm_ae.data"),
    "relative": ("lstm_ae.models.heads", "from ..data.panel import Panel", "lstm_ae.data.panel"),
    "relative in a package": ("lstm_ae.models", "from ..data import panel", "lstm_ae.data.panel"),
    "by name": ("lstm_ae.models.heads", "importlib.import_module('lstm_ae.data.panel')", "lstm_ae.data.panel"),
    "of a command": ("lstm_ae.sweeps.plugin", "from lstm_ae.train import train", "lstm_ae.train"),
    "of a command by a command": ("lstm_ae.api", "import lstm_ae.train", "lstm_ae.train"),
    "of the console": ("lstm_ae.runs.reopen", "from lstm_ae.console import CONF", "lstm_ae.console"),
    "by the console": ("lstm_ae.console", "from lstm_ae.runs import reopen", "lstm_ae.runs.reopen"),
}


@pytest.mark.parametrize("importer, code, imported", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_a_forbidden_import_is_found(importer, code, imported):
    assert broken_walls(HOUSE | {importer: code}) == [f"{importer} imports {imported}"]


def test_a_room_that_is_not_on_the_map_is_found():
    assert broken_walls(HOUSE | {"lstm_ae.utils": ""}) == ["utils is in no floor of the map"]


def test_a_circle_is_found_even_if_half_of_it_is_late():
    late = "def f():\n    from lstm_ae.data.panel import Panel"
    house = HOUSE | {"lstm_ae.data.panel": "from lstm_ae.data import windows", "lstm_ae.data.windows": late}
    assert set(circle(house)) == {"lstm_ae.data.panel", "lstm_ae.data.windows"}


@pytest.mark.parametrize("line", ["market_weight = 1", "class Stocks:", "# a company's digits", "'Symbol'"])
def test_a_word_of_one_field_is_found_where_it_has_no_business(line):
    assert domain_words(HOUSE | {"lstm_ae.models.heads": line})
    assert not domain_words(HOUSE | {"lstm_ae.data.sp500": line})
