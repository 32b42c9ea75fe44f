"""A batch array is told as one: how many of its jobs ended well, and which failed."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.delivery.notices.telling import SECOND, START, Desk, Receiver, task
from tidings.delivery.notices.notice import FAILED, SENT
from tidings.event import Event

if TYPE_CHECKING:
    from tidings.store.base import Store

DONE = {"types": ["job_done"]}


def test_five_hundred_tasks_give_one_notice(store: Store, receiver: Receiver) -> None:
    """Told when the last has ended: 497 ok, 3 failed, and what is known of the three."""
    failed = {17: "no convergence", 40: "out of memory", 333: "no such file"}
    events = [
        task(number, "failure", tasks=500, payload={"exit_code": 3, "tail": f"…\n{failed[number]}"})
        if number in failed
        else task(number, tasks=500)
        for number in range(500)
    ]
    random.Random(17).shuffle(events)
    with Desk(store, receiver.url, DONE) as desk:
        for start in range(0, 500, 100):
            assert receiver.got == []
            store.append(events[start : start + 100])
            desk.turn(start)
        assert desk.turn(10_000) is None
        ((kind, title, text),) = receiver.got
        (sent,) = desk.kept(SENT)
    assert kind == "failure"
    assert title == "job_done: 497 ok, 3 failed (figrecipe, slurm array 4711)"
    for number, reason in failed.items():
        assert f"task {number}: exit_code 3, host n{number}, job_id {4712 + number}\n" in text
        assert f"    {reason}" in text
    assert text.count("\ntask ") + text.startswith("task ") == 3
    assert "tidings history --workflow slurm:alps:4711 --status failure" in text
    assert (sent.payload["title"], sent.payload["events"]) == (title, 500)
    assert sent.payload["undertakings"] == ["slurm:alps:4711"]


def test_a_task_that_is_tried_again_counts_once(store: Store, receiver: Receiver) -> None:
    """It counts by its last outcome; a requeue begins with nothing, whatever step had failed."""
    with Desk(store, receiver.url, DONE) as desk:
        store.append([task(0, "failure", tasks=3), task(1, tasks=3), task(0, tasks=3)])
        store.append([task(1, "failure", tasks=3)])
        desk.turn()
        assert receiver.got == []
        first_step = {"command": ["fetch", "--into", "/tmp/a"]}
        store.append([task(2, "failure", tasks=3, payload=first_step)])
        store.append([task(2, tasks=3, restart=1, payload={"command": ["fit"]})])
        desk.turn()
    assert receiver.titles == ["job_done: 2 ok, 1 failed (figrecipe, slurm array 4711)"]


def test_a_task_with_a_step_that_failed_has_failed(store: Store, receiver: Receiver) -> None:
    """A later step that ends well does not hide it; the same command tried again does."""
    fetch, fit = {"command": ["fetch"]}, {"command": ["fit"]}
    with Desk(store, receiver.url, DONE) as desk:
        store.append([task(0, "failure", tasks=2, payload=fetch), task(0, tasks=2, payload=fit)])
        store.append([task(1, "failure", tasks=2, payload=fetch), task(1, tasks=2, payload=fetch)])
        desk.turn()
    assert receiver.titles == ["job_done: 1 ok, 1 failed (figrecipe, slurm array 4711)"]


def test_of_unknown_size_it_is_told_when_it_is_quiet(store: Store, receiver: Receiver) -> None:
    """Not before nothing came for `quiet`; what comes later is told with its own failures only."""
    with Desk(store, receiver.url, DONE, quiet=60) as desk:
        store.append([task(0), task(1, "failure")])
        assert desk.turn(0) == 60
        store.append([task(2)])
        assert desk.turn(50) == 110
        desk.turn(109)
        assert receiver.got == []
        desk.turn(110)
        store.append([task(3, "failure")])
        desk.turn(200)
        desk.turn(260)
    assert receiver.titles == [
        "job_done: 2 ok, 1 failed (figrecipe, slurm array 4711)",
        "job_done: 2 ok, 2 failed (figrecipe, slurm array 4711)",
    ]
    assert "task 3" in receiver.got[1][2]
    assert "task 1" not in receiver.got[1][2]


def test_an_array_that_never_ends_is_told_of(store: Store, receiver: Receiver) -> None:
    """After `latest` people hear what is there and how much is not; its end is told then, too."""
    with Desk(store, receiver.url, DONE, latest=3600) as desk:
        store.append([task(0, tasks=4), task(1, "failure", tasks=4)])
        assert desk.turn(0) == 3600
        desk.turn(3600)
        store.append([task(2, tasks=4), task(3, tasks=4)])
        desk.turn(5000)
    assert receiver.titles == [
        "job_done: 1 ok, 1 failed, 2 of 4 not heard of yet (figrecipe, slurm array 4711)",
        "job_done: 3 ok, 1 failed (figrecipe, slurm array 4711)",
    ]


def test_asked_for_failures_it_tells_of_the_others_how_many(
    store: Store, receiver: Receiver
) -> None:
    """An array without failures is not told then, and one with them is counted whole."""
    with Desk(store, receiver.url, {**DONE, "status": ["failure"]}) as desk:
        store.append([task(number, tasks=20) for number in range(20)])
        assert desk.turn() is None
        assert receiver.got == []
        outcomes = ["failure"] + ["success"] * 19
        store.append([task(n, how, tasks=20, array=9) for n, how in enumerate(outcomes)])
        desk.turn(1)
    assert receiver.titles == ["job_done: 19 ok, 1 failed (figrecipe, slurm array 9)"]


def test_an_array_that_began_before_the_notice_counts_whole(
    store: Store, receiver: Receiver
) -> None:
    """Somebody who asks while it runs is told of all of it."""
    store.append([task(0, tasks=3), task(1, "failure", tasks=3)])
    with Desk(store, receiver.url, DONE) as desk:
        store.append([task(2, tasks=3)])
        desk.turn()
    assert receiver.titles == ["job_done: 2 ok, 1 failed (figrecipe, slurm array 4711)"]


def test_arrays_are_told_apart(store: Store, receiver: Receiver) -> None:
    """Two arrays of one workflow give a notice each, a job that is in none is told by itself."""
    with Desk(store, receiver.url, DONE) as desk:
        given = [task(n, tasks=2, array=array) for n in (0, 1) for array in (7, 8)]
        together = [Event.from_dict({**e.to_dict(), "correlation_id": "nightly"}) for e in given]
        store.append([*together, Event("job_done", "alone", correlation_id="nightly")])
        desk.turn()
    assert sorted(receiver.titles) == [
        "job_done: 2 ok (figrecipe, slurm array 7)",
        "job_done: 2 ok (figrecipe, slurm array 8)",
        "job_done: success (alone, nightly)",
    ]


@pytest.mark.parametrize(
    ("correlation", "context", "words"),
    [
        ("pbs:17[].s", {"pbs": {"array_id": "17[].s", "array_index": "3"}}, "pbs array 17"),
        ("lsf:12", {"lsf": {"job_id": "12", "index": "3"}}, "lsf array 12"),
        ("slurm:alps:4711", {"host": "n12"}, "slurm 4711"),  # from the shell emitter
        ("slurm:alps:4711", {"slurm": {"array_job_id": "4", "array_task_id": "1",
                                       "array_task_count": "many"}}, "slurm array 4"),
    ],
)  # fmt: skip
def test_other_arrays(
    store: Store, receiver: Receiver, correlation: str, context: dict[str, Any], words: str
) -> None:
    """Those of PBS and LSF and those whose context says little are told when it is quiet."""
    with Desk(store, receiver.url, DONE) as desk:
        store.append([Event("job_done", correlation_id=correlation, context=context)] * 2)
        desk.turn(0)
        assert receiver.got == []
        desk.turn(60)
    assert receiver.titles == [f"job_done: 1 ok ({words})"]


def test_any_undertaking_on_demand(store: Store, receiver: Receiver) -> None:
    """`all` tells what belongs to one CI run together; `none` tells even an array one by one."""
    run = "github:ada/figrecipe:17"
    with Desk(store, receiver.url, group="all") as desk:
        store.append([Event("test_complete", correlation_id=run) for _ in range(3)])
        desk.turn(0)
        desk.turn(60)
    with Desk(store, receiver.url, group="none") as desk:
        store.append([task(0, tasks=2), task(1, tasks=2)])
        desk.turn(100)
    assert receiver.titles == [
        "test_complete: 3 ok (github run 17)",
        *["job_done: success (figrecipe, slurm 4711)"] * 2,
    ]


def test_a_long_array_makes_no_long_record(store: Store, receiver: Receiver) -> None:
    """What is remembered does not grow with the tasks; failures beyond ten are only counted."""
    with Desk(store, receiver.url, DONE) as desk:
        store.append([task(number, "failure", tasks=3000) for number in range(1500)])
        desk.turn(0)
        record = store.get(desk.duty.key)
        assert record is not None
        assert len(json.dumps(record.value)) < 2_000
        store.append([task(number, tasks=3000) for number in range(1500, 3000)])
        desk.turn(1)
    ((_, title, text),) = receiver.got
    assert title.startswith("job_done: 1500 ok, 1500 failed")
    assert text.count("task ") == 10
    assert "… and 1490 more failed" in text


def test_many_arrays_make_no_long_record(store: Store, receiver: Receiver) -> None:
    """Where too many run at once those longest silent are told early, and none is lost."""
    with Desk(store, receiver.url, DONE, every=60) as desk:
        store.append([task(0, "failure", tasks=2, array=array) for array in range(1, 301)])
        desk.turn(0)
        desk.turn(60)
        assert len(receiver.got) == 1
        record = store.get(desk.duty.key)
        assert record is not None
        assert len(record.value["groups"]) <= 200
        desk.turn(7 * 3600)
        told = [array for event in desk.kept(SENT) for array in event.payload["undertakings"]]
    assert len(receiver.got) == 2
    assert sorted(told) == sorted(f"slurm:alps:{array}" for array in range(1, 301))


def test_another_process_goes_on_counting(store: Store, receiver: Receiver) -> None:
    """A process that takes over in the midst counts anew from the log, and tells once."""
    with Desk(store, receiver.url, DONE) as desk:
        for number in range(20):
            store.append([task(number, "failure" if number in {3, 11} else "success", tasks=20)])
            desk.turn(number)
            if number % 4 == 0:
                desk.move()
        desk.move()
        desk.turn(100)
        assert desk.kept(FAILED) == []
    assert receiver.titles == ["job_done: 18 ok, 2 failed (figrecipe, slurm array 4711)"]


def test_counts_agree_with_the_last_outcomes(store: Store, receiver: Receiver) -> None:
    """However tasks are retried, in whatever order: each counts once, by its last outcome."""
    chance = random.Random(5)
    with Desk(store, receiver.url, DONE) as desk:
        for array in range(1, 13):
            last: dict[int, str] = {}
            given = list(range(8)) + [chance.randrange(8) for _ in range(chance.randrange(12))]
            chance.shuffle(given)
            for number in given:
                last[number] = chance.choice(["success", "failure"])
                store.append([task(number, last[number], array=array)])
                if chance.random() < 0.1:
                    desk.turn(array * 1000)
            desk.turn(array * 1000 + 1)
            desk.turn(array * 1000 + 500)
            failed = sum(outcome == "failure" for outcome in last.values())
            words = [f"{8 - failed} ok"] * (failed < 8) + [f"{failed} failed"] * (failed > 0)
            ended = ", ".join(words)
            assert receiver.titles[-1] == f"job_done: {ended} (figrecipe, slurm array {array})"


def test_instants_come_from_the_turn(store: Store, receiver: Receiver) -> None:
    """What is kept about a notice is dated by the clock it goes by."""
    with Desk(store, receiver.url, DONE) as desk:
        store.append([task(0, tasks=1)])
        desk.turn(7)
        (sent,) = desk.kept(SENT)
    assert sent.instant == START + 7 * SECOND
