"""What is exported from one store and imported into another is the same."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given

from tests.transfer.events import EVENTS, fill, kept
from tidings.event import Event
from tidings.store import open_store
from tidings.store.memory import MemoryStore
from tidings.transfer import Exported, Imported, export_events, exporting, import_events

FORMS = ["ndjson", "cloudevents"]
ENDINGS = ["", ".gz", ".zst"]


@pytest.mark.parametrize("form", FORMS)
@given(events=EVENTS)
def test_any_events(form: str, events: list[Event]) -> None:
    """Each event comes back equal, in order, with its version; a second import repeats nothing."""
    source, target, file = MemoryStore(), MemoryStore(), io.BytesIO()
    source.append(events)
    assert export_events(source, file, form=form) == Exported(len(events), len(events))
    file.seek(0)
    assert import_events(target, file) == Imported(len(events), len(events), 0, 0)
    assert kept(target) == kept(source)
    assert [event.version for event in kept(target)] == [event.version for event in kept(source)]
    file.seek(0)
    assert import_events(target, file, form=form) == Imported(len(events), 0, len(events), 0)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("form", FORMS)
def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, ending: str) -> None:
    """A path says by its ending how it is compressed, in many frames; reading sees it by itself."""
    monkeypatch.setattr(exporting, "_CHUNK_LINES", 10)
    source, target = MemoryStore(), MemoryStore()
    fill(source, 1_234)
    path = tmp_path / f"events.ndjson{ending}"
    assert export_events(source, path, form=form) == Exported(1_234, 1_234)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    path = path.rename(tmp_path / "renamed")
    assert import_events(target, path) == Imported(1_234, 1_234, 0, 0)
    assert kept(target) == kept(source)


def about_run(event_type: str) -> Event:
    """An event about one aggregate."""
    return Event(event_type, aggregate_type="run", aggregate_id="1")


def test_places_stand_in_the_file_and_are_not_taken_over(tmp_path: Path) -> None:
    """Position, version and recorded_at are information; the target gives its own."""
    source, target = MemoryStore(), MemoryStore()
    source.append([Event("other"), about_run("run.started"), about_run("run.ended")])
    source.prune(1)
    target.append([about_run("run.planned")])
    export_events(source, tmp_path / "events")
    lines = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert [(line["position"], line["version"]) for line in lines] == [(2, 1), (3, 2)]
    assert all("recorded_at" in line for line in lines)
    import_events(target, tmp_path / "events")
    assert [(event.position, event.version) for event in kept(target)] == [(1, 1), (2, 2), (3, 3)]


def test_redacted_events(tmp_path: Path) -> None:
    """A payload that was emptied stays empty, and the event says so."""
    from tidings.store.query import Query

    source, target = MemoryStore(), MemoryStore()
    fill(source, 2)
    source.redact(Query(before=2))
    export_events(source, tmp_path / "events")
    import_events(target, tmp_path / "events")
    assert [event.redacted for event in kept(target)] == [True, False]


def test_through_sqlite(tmp_path: Path) -> None:
    """The same holds between files of SQLite."""
    source = open_store(f"sqlite:///{tmp_path}/source.db")
    target = open_store(f"sqlite:///{tmp_path}/target.db")
    fill(source, 2_500)
    export_events(source, tmp_path / "events.gz")
    assert import_events(target, tmp_path / "events.gz").kept == 2_500
    assert import_events(target, tmp_path / "events.gz").known == 2_500
    assert kept(target) == kept(source)
    source.close()
    target.close()


def test_constant_memory(tmp_path: Path) -> None:
    """Twice as many events, where groups and pages are full, need no more memory at once."""
    few = peak_of_a_transfer(tmp_path / "few", 3_000)
    assert peak_of_a_transfer(tmp_path / "many", 6_000) < few * 1.4


def peak_of_a_transfer(place: Path, count: int) -> int:
    """The most memory (bytes) that an export and an import of so many events take."""
    place.mkdir()
    source = open_store(f"sqlite:///{place}/source.db")
    target = open_store(f"sqlite:///{place}/target.db")
    fill(source, count, size=1_000)
    tracemalloc.start()
    try:
        assert export_events(source, place / "events.gz").count == count
        assert import_events(target, place / "events.gz").kept == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        source.close()
        target.close()


def test_the_same_events_give_the_same_bytes(tmp_path: Path) -> None:
    """Neither the time nor the name of a file gets into what is compressed."""
    source = MemoryStore()
    fill(source, 100)
    for name in ("one.gz", "two.gz"):
        export_events(source, tmp_path / name)
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()
    assert len(gzip.decompress((tmp_path / "one.gz").read_bytes()).splitlines()) == 100
