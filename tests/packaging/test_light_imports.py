"""Whether `import tidings` and `tidings emit` load as little as they promise.

What is heavy was measured: each module below costs a shell emit a millisecond or more. Times are
the benchmarks' business; here only what is loaded counts.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "src"

HEAVY = {
    "argparse",
    "asyncio",
    "dataclasses",
    "inspect",
    "logging",
    "pathlib",
    "platform",
    "random",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "urllib",
    "uuid",
}

LOADED = """
import sys
sys.path.insert(0, sys.argv.pop(1))
before = set(sys.modules)
{body}
for name in sorted(set(sys.modules) - before):
    print(name)
"""


def loaded_by(body: str, *arguments: str) -> set[str]:
    """The modules that a fresh interpreter loads for these lines, beyond what it starts with."""
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LOADED.format(body=body), str(SOURCES), *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(run.stdout.split())


def test_import_loads_nothing_but_itself() -> None:
    """`import tidings` loads no third party and nothing heavy, and no floor above its own face."""
    loaded = loaded_by("import tidings")
    assert {name.partition(".")[0] for name in loaded} <= {"tidings", *sys.stdlib_module_names}
    assert loaded & HEAVY == set()
    assert {name for name in loaded if name.startswith("tidings.")} == set()


def test_a_shell_emit_loads_few_modules() -> None:
    """`tidings emit` keeps an event with the standard library and none of its heavy modules."""
    body = "import tidings.cli\nassert not tidings.cli.main(sys.argv[1:])"
    loaded = loaded_by(body, "emit", "job_done", "job_id:=4711", "--quiet")
    assert {name.partition(".")[0] for name in loaded} <= {"tidings", *sys.stdlib_module_names}
    assert loaded & HEAVY == set()
