"""What `pip install .` installs is everything that the commands need, wherever they are used."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.commands import TINY_SYNTHETIC, run

ROOT = Path(__file__).parents[1]
BUILT_FROM = ["lstm_ae", "conf", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder like `site-packages` that holds the unpacked wheel of this checkout and nothing else."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name in BUILT_FROM:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    build = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    subprocess.run([sys.executable, "-W", "ignore", "-c", build], cwd=source, check=True, capture_output=True)
    (wheel,) = source.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    return site


def files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_whole_package_and_all_configs(installed):
    expected = files(ROOT / "lstm_ae") | {f"conf/{name}" for name in files(ROOT / "conf")}
    assert files(installed / "lstm_ae") == expected


def test_an_installed_package_trains_and_compares_in_another_folder(installed, tmp_path):
    elsewhere = {"cwd": tmp_path, "PYTHONPATH": str(installed)}
    trained = run("train", *TINY_SYNTHETIC, "hydra.run.dir=run", **elsewhere)
    assert trained.returncode == 0, trained.stderr
    assert f"{installed}/lstm_ae/conf" in (tmp_path / "run/.hydra/hydra.yaml").read_text()
    compared = run("compare", "run", "--html", "report.html", **elsewhere)
    assert compared.returncode == 0, compared.stderr
    assert (tmp_path / "report.html").is_file()
