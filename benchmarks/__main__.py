"""The one command: measures the parts asked for and prints a table of figures."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from importlib import import_module

from benchmarks import machine
from benchmarks.figures import Figure, markdown_table, text_table
from benchmarks.workplace import Workplace

PARTS = {
    "emit": "one event at a time",
    "emit_many": "a thousand events a call",
    "reading": "one million events, read back",
    "at_scale": "look-ups in 10,000 and in 10 million events (takes minutes and 8 GB of disk)",
    "shell": "the `tidings` command and `import tidings`",
    "group_commit": "64 emitters in one process",
    "waking": "how soon and how cheaply a waiting process learns of another's event",
    "handlers": "handlers in a worker: events a second, and how soon a new one is picked up",
    "http_post": "POST of one event by 64 clients (needs wrk)",
    "postgres_post": "POST of one event by 64 clients, kept in PostgreSQL (needs wrk)",
    "postgres_at_scale": "the same look-ups in PostgreSQL (takes minutes and 12 GB of disk)",
    "jetstream": "a store behind NATS: 64 emitters, and an empty replica that catches up",
    "engines_reading": "reading and streaming from PostgreSQL and from a replica",
    "http_batch": "POST of a thousand events",
    "sse_deliveries": "the live stream to 200 clients",
    "sse_latency": "from emit to 100 clients of the live stream",
    "sse_idle": "a thousand idle streams: memory, and stopping with them",
    "run_command": "what `tidings run` adds to the way of a command's output",
    "webhooks_dead": "10,000 webhook endpoints of which half are dead (takes a quarter of an hour)",
    "dashboard": "the dashboard in Chromium: its frames, and how soon it can be used",
    "shared_directory": "16 processes that emit to a shared directory, and putting much in order",
}


def main() -> int:
    """Measure what was asked for; returns the exit code."""
    arguments = _arguments()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="tidings-bench-", dir=arguments.directory) as directory:
        facts = machine.facts(directory)
        print("\n".join(facts), file=sys.stderr)
        for name in arguments.only or PARTS:
            figures += _measured(name, Workplace(directory, quick=arguments.quick))
    if arguments.markdown:
        print("\n".join(f"- {fact}" for fact in facts))
        print(f"\n{markdown_table(figures)}")
    else:
        print(text_table(figures))
    return 0


def _measured(name: str, workplace: Workplace) -> list[Figure]:
    print(f"\n{name}: {PARTS[name]}", file=sys.stderr, flush=True)
    start = time.monotonic()
    figures = []
    for figure in import_module(f"benchmarks.parts.{name}").measure(workplace):
        print(f"  {figure.line()}", file=sys.stderr, flush=True)
        figures.append(figure)
    print(f"  ({time.monotonic() - start:.0f} s)", file=sys.stderr, flush=True)
    return figures


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure Tidings, as ratios within one run."
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table for the docs")
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it runs")
    parser.add_argument("--directory", help="where the files are made; a local disk")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
