"""Whether what is shipped works where nothing else is installed.

The sdists are built, the wheels are built from them, and Tidings' and the drop-ins' are installed
into an environment of their own, with no registry at hand.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from runpy import run_path

import httpx
import pytest

import tidings

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src"
DROPINS = ROOT / "dropins"
STATIC = "tidings/server/static"


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
def dropins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the drop-ins."""
    directory = tmp_path_factory.mktemp("dropins")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", directory, DROPINS)
    (wheel,) = directory.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def clean(wheel: Path, dropins: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` directory of an environment that holds the two wheels and nothing else."""
    environment = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    ours = (sys.executable, "-m", "pip", "--python", environment / "bin/python")
    run(*ours, "install", "--no-index", "--no-deps", wheel, dropins)
    return environment / "bin"


def sources(directory: Path) -> set[str]:
    """What a wheel should hold of a directory of sources."""
    return {
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def contents(wheel: Path) -> set[str]:
    """What a wheel holds, beside what it says of itself and its scripts."""
    names = zipfile.ZipFile(wheel).namelist()
    return {name for name in names if ".dist-info/" not in name and ".data/" not in name}


def metadata(wheel: Path, name: str = "METADATA") -> str:
    """What a wheel says of itself."""
    archive = zipfile.ZipFile(wheel)
    (path,) = (each for each in archive.namelist() if each.endswith(f".dist-info/{name}"))
    return archive.read(path).decode()


def test_the_wheel_holds_every_source_and_nothing_else(wheel: Path) -> None:
    """Modules, SQL, the shell emitter and `py.typed` are in the wheel; tests and tools are not."""
    assert contents(wheel) == sources(SOURCES)
    assert {"tidings/py.typed", "tidings/emit.sh"} <= contents(wheel)


def test_the_wheel_holds_the_dashboard(wheel: Path) -> None:
    """The page, what it loads with each file packed too, and the licences of all that is in it."""
    archive = zipfile.ZipFile(wheel)
    held = {name for name in contents(wheel) if name.startswith(f"{STATIC}/")}
    page = archive.read(f"{STATIC}/index.html").decode()
    loaded = {f"{STATIC}/{name}" for name in re.findall(r'(?:src|href)="\./([^"]+)"', page)}
    assets = {name for name in loaded if "/assets/" in name}
    assert {name.rpartition(".")[2] for name in assets} == {"css", "js"}
    about = {f"{STATIC}/{name}" for name in ("index.html", "licenses.md", "sources.sha256")}
    assert held == {*loaded, *(f"{name}.gz" for name in assets), *about}
    for name in assets:
        assert gzip.decompress(archive.read(f"{name}.gz")) == archive.read(name)
    licences = archive.read(f"{STATIC}/licenses.md").decode()
    told = set(re.findall(r"^## (\S+) - .* \(MIT\)$", licences, re.MULTILINE))
    package = json.loads((ROOT / "dashboard/package.json").read_text())
    assert package["dependencies"].keys() <= told


def test_the_sdist_holds_the_dashboard_and_its_sources(built: Path, tmp_path: Path) -> None:
    """Both, and they belong together: who makes a wheel of an sdist needs no Node."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        of_dashboard = re.compile(rf"[^/]+/(dashboard|src/{STATIC})/")
        members = [each for each in archive.getmembers() if of_dashboard.match(each.name)]
        assert not any("node_modules" in member.name for member in members)
        archive.extractall(tmp_path, members, filter="data")
    (root,) = tmp_path.iterdir()
    assert (root / "dashboard/src/main.tsx").exists()
    assert run_path(str(root / "dashboard/build.py"))["is_built"]()
    (root / "dashboard/src/main.tsx").unlink()
    assert not run_path(str(root / "dashboard/build.py"))["is_built"]()


def test_the_lock_file_names_no_registry() -> None:
    """Libraries come from the registry that npm is set to; the lock says which, by their hashes."""
    lock = json.loads((ROOT / "dashboard/package-lock.json").read_text())
    libraries = {name: each for name, each in lock["packages"].items() if name}
    assert libraries
    assert [name for name, each in libraries.items() if "resolved" in each] == []
    assert [name for name, each in libraries.items() if "integrity" not in each] == []


def test_the_wheel_of_the_drop_ins_holds_four_packages(dropins: Path) -> None:
    """Each with its `py.typed`; and both commands."""
    assert contents(dropins) == sources(DROPINS / "src")
    names = {"scitex_events", "events_py", "eventuali_api_server", "eventuali_mcp_server"}
    assert {path.partition("/")[0] for path in contents(dropins)} == names
    assert {f"{name}/py.typed" for name in names} <= contents(dropins)
    commands = re.findall(r"^([\w-]+) = ", metadata(dropins, "entry_points.txt"), re.MULTILINE)
    assert commands == ["eventuali-api-server", "eventuali-mcp-server"]


def test_the_versions_are_held_together(wheel: Path, dropins: Path) -> None:
    """The drop-ins have the version of Tidings, need just that one, and have its licence."""
    version = tidings.__version__
    assert f"\nVersion: {version}\n" in metadata(wheel)
    said = metadata(dropins)
    assert f"\nVersion: {version}\n" in said
    needed = re.findall("^Requires-Dist: (.*)$", said, re.MULTILINE)
    assert [each for each in needed if "extra ==" not in each] == [f"tidings=={version}"]
    extras = set(re.findall("^Provides-Extra: (.*)$", said, re.MULTILINE))
    assert extras == {"scitex-events", "events-py", "eventuali-api-server", "eventuali-mcp-server"}
    assert (DROPINS / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_wheel_needs_no_third_party(wheel: Path) -> None:
    """Every dependency stands behind an extra."""
    needed = re.findall("^Requires-Dist: (.*)$", metadata(wheel), re.MULTILINE)
    assert needed
    assert [line for line in needed if "extra ==" not in line] == []


def test_the_sdist_holds_what_it_takes_to_test(built: Path) -> None:
    """Sources, tests, documents and the Makefile are in the sdist."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = {"Makefile", "conftest.py", "LICENSE", "README.md", "docs/index.md"}
    expected |= {"dropins/pyproject.toml", "dropins/src/scitex_events/__init__.py"}
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


def test_the_installed_drop_ins_need_what_their_extras_say(clean: Path, own_home: Path) -> None:
    """scitex_events and events_py need nothing; the server says how to get what it needs."""
    environ = {"HOME": str(own_home), "PATH": f"{clean}{os.pathsep}{os.defpath}"}
    script = (
        "import scitex_events as old, events_py; old.emit('job_done', 'figrecipe')\n"
        "print(old.latest('job_done')['project'], events_py.EventKind.CREATED.value)"
    )
    assert run(clean / "python", "-c", script, environ=environ) == "figrecipe created\n"
    assert "--database-timeout" in run(clean / "eventuali-api-server", "--help", environ=environ)
    done = subprocess.run(
        [clean / "eventuali-api-server", "--data-dir", own_home / "kept"],
        env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pip install 'tidings[server]'" in done.stderr
    findings = run(clean / "tidings", "doctor", "--json", environ=environ)
    assert f"tidings-dropins {tidings.__version__} brings scitex_events" in findings


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
                assert httpx.get(f"{url}/{path}", timeout=60).status_code == 200, path
        finally:
            server.terminate()
    assert server.returncode is not None
