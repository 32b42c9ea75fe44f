"""Whether what is shipped works where nothing else is installed.

The sdist is built, the wheel is built from it, and the wheel is installed into an environment of
its own, with no registry at hand.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src"


def run(*command: str | Path, environ: dict[str, str] | None = None) -> str:
    """What a command writes to its standard output; it must succeed."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, env=environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist and the wheel that was built from it."""
    directory = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", directory, ROOT)
    return directory


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """The wheel."""
    (wheel,) = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` directory of an environment that holds the wheel and nothing else."""
    environment = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", environment)
    run(environment / "bin/pip", "install", "--no-index", "--no-deps", wheel)
    return environment / "bin"


def test_the_wheel_holds_every_source_and_nothing_else(wheel: Path) -> None:
    """Modules, SQL, the shell emitter and `py.typed` are in the wheel; tests and tools are not."""
    kept = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = zipfile.ZipFile(wheel).namelist()
    assert kept == {name for name in names if ".dist-info/" not in name and ".data/" not in name}
    assert {"tidings/py.typed", "tidings/emit.sh"} <= kept


def test_the_wheel_needs_no_third_party(wheel: Path) -> None:
    """Every dependency stands behind an extra."""
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    needed = [
        line
        for line in archive.read(metadata).decode().splitlines()
        if line.startswith("Requires-Dist:")
    ]
    assert needed
    assert [line for line in needed if "extra ==" not in line] == []


def test_the_sdist_holds_what_it_takes_to_test(built: Path) -> None:
    """Sources, tests, documents and the Makefile are in the sdist."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = {"Makefile", "conftest.py", "LICENSE", "README.md", "docs/index.md"}
    assert expected <= names
    assert f"tests/packaging/{Path(__file__).name}" in names


def test_the_installed_wheel_keeps_an_event(clean: Path, own_home: Path) -> None:
    """`tidings emit` and `tidings latest` work from a clean environment, and so does the import."""
    environ = {"HOME": str(own_home), "PATH": f"{clean}{os.pathsep}{os.defpath}"}
    run(clean / "tidings", "emit", "job_done", "job_id:=4711", environ=environ)
    event = json.loads(run(clean / "tidings", "latest", "--json", environ=environ))
    assert event["payload"] == {"job_id": 4711}
    script = "import tidings; print(tidings.latest()['type'])"
    assert run(clean / "python", "-c", script, environ=environ) == "job_done\n"


def test_the_installed_shell_emitter_needs_no_python(clean: Path, own_home: Path) -> None:
    """`tidings-emit.sh` is installed beside `tidings`; what it spools, `tidings collect` keeps."""
    environ = {"HOME": str(own_home), "PATH": os.defpath}
    run(clean / "tidings-emit.sh", "node.ready", environ=environ)
    run(clean / "tidings", "collect", environ=environ)
    event = json.loads(run(clean / "tidings", "latest", "--json", environ=environ))
    assert event["type"] == "node.ready"


def test_without_its_extra_the_server_says_how_to_get_it(clean: Path, own_home: Path) -> None:
    """`tidings serve` names the line that installs what is missing."""
    environ = {"HOME": str(own_home), "PATH": os.defpath}
    command = [str(clean / "tidings"), "serve", "--port", "0"]
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "pip install 'tidings[server]'" in done.stderr


def test_the_installed_server_serves_its_pages(clean: Path, own_home: Path) -> None:
    """The wheel holds what the server shows, with the extra's packages beside it."""
    # This environment's packages, but not its editable Tidings, which only a .pth file would find.
    environ = {"HOME": str(own_home), "PYTHONPATH": sysconfig.get_path("purelib")}
    command = [str(clean / "tidings"), "serve", "--port", "0"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[0]
        try:
            for path in ("", "ui/", "docs", "openapi.json", "events/"):
                assert httpx.get(f"{url}/{path}").status_code == 200, path
        finally:
            server.terminate()
    assert server.returncode is not None
