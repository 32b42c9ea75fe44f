"""Jobs: an array of tasks is one row, and what failed shows the end of its output."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tidings import demo
from tidings.testing.elsewhere import PATIENCE

if TYPE_CHECKING:
    from tests.dashboard.conftest import OpenPage
    from tests.server.conftest import Server

_TASK = "import sys; print('epoch 3  loss <0.1>'); sys.exit(sys.argv[1] == '1')"


def run(served: Server, *command: str, **variables: str) -> None:
    """`tidings run` of this interpreter, on the server's store."""
    ours = {"TIDINGS_HOME": str(served.home), "TIDINGS_DEADLINE": f"{PATIENCE:g}"}
    environment = {**os.environ, **ours, **variables}
    subprocess.run(
        [
            sys.executable,
            "-m",
            "tidings",
            "run",
            "--project",
            "fit",
            "--",
            sys.executable,
            *command,
        ],
        env=environment,
        capture_output=True,
        check=False,
    )


def test_the_failed_one_of_five_hundred_is_two_clicks_away(
    story: Server, open_page: OpenPage
) -> None:
    """The array is one row with a bar of outcomes; what failed stands first, and open."""
    page = open_page(story)
    page.get_by_role("link", name="Jobs").click()
    array = page.get_by_role("row").filter(has_text=demo.ARRAY)
    expect(array).to_contain_text(f"1 failed, {demo.TASKS - 1} done")
    expect(array.locator(".parts > .failed")).to_be_visible()
    array.get_by_role("link").click()
    expect(page.locator(".runs > li")).to_have_count(demo.TASKS)
    failed = page.locator(".runs > li").first
    expect(failed).to_contain_text("failed")
    expect(failed).to_contain_text("MemoryError: Unable to allocate 31.8 GiB")
    expect(failed).to_contain_text("31.8 GB")

    page.get_by_role("button", name="Failed").click()
    expect(page.locator(".runs > li")).to_have_count(1)
    failed.get_by_role("link", name="run.completed").click()
    expect(page.get_by_role("link", name=f"Job {demo.ARRAY}")).to_be_visible()


def test_what_tidings_run_ran_appears(served: Server, open_page: OpenPage) -> None:
    """By its command, and tasks of an array by their numbers, as `tidings run` tells of them."""
    page = open_page(served, "#/jobs")
    expect(page.get_by_text("tidings run -- python fit.py")).to_be_visible()
    for task in ("0", "1"):
        run(
            served,
            "-c",
            _TASK,
            task,
            SLURM_JOB_ID=f"90{task}",
            SLURM_ARRAY_JOB_ID="900",
            SLURM_ARRAY_TASK_ID=task,
            SLURM_CLUSTER_NAME="alps",
        )
    run(served, "-c", "")
    expect(page.get_by_role("row").filter(has_text="1 failed, 1 done")).to_contain_text("alps:900")
    alone = page.get_by_role("row").filter(has_text=" -c ''")
    expect(alone).to_contain_text("done")
    alone.get_by_role("link").click()
    expect(page.get_by_text("It wrote nothing.")).to_be_visible()
    page.get_by_role("link", name="Jobs").first.click()
    page.get_by_role("link", name="slurm:alps:900").click()
    failed = page.locator(".runs > li").first
    expect(failed).to_contain_text("Task 1")
    expect(failed.get_by_role("region")).to_have_text("epoch 3  loss <0.1>")
    expect(failed).to_contain_text("Exit code")
