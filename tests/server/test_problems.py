"""Problems: one status and one stable type for each error, and nothing that should stay inside."""

from __future__ import annotations

import json

import pytest

from tidings import errors
from tidings.server.problems import Problem, problem_of


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (errors.InvalidEvent("type", "", "must not be empty"), 422, "invalid-event"),
        (errors.SchemaViolation("payload.n", 1, "must be a string"), 422, "schema-violation"),
        (errors.InvalidQuery("no"), 422, "invalid-query"),
        (errors.VersionConflict("a/1", 1, 2), 409, "version-conflict"),
        (errors.IdConflict("x", 3, ("type",)), 409, "id-conflict"),
        (errors.RevisionConflict("k", 1, 2), 409, "revision-conflict"),
        (errors.HistoryPruned(1, 5), 410, "history-pruned"),
        (errors.StoreLocked("/a/path is locked"), 503, "store-unavailable"),
        (errors.OutcomeUnknown("/a/path"), 503, "outcome-unknown"),
        (errors.StoreClosed("/a/path"), 503, "store-unavailable"),
        (RuntimeError("/a/path"), 500, "internal-error"),
    ],
)
def test_each_error_has_its_answer(error: Exception, status: int, slug: str) -> None:
    """The status fits, the type is stable, and no path of this machine is told."""
    problem = problem_of(error)
    said = json.loads(problem.body("r1"))
    assert (problem.status, said["status"]) == (status, status)
    assert said["type"] == f"urn:tidings:problem:{slug}"
    assert said["request_id"] == "r1"
    assert said["detail"]
    assert "/a/path" not in str(said)


def test_a_conflict_says_both_versions() -> None:
    """A program can decide anew without reading the sentence."""
    said = problem_of(errors.VersionConflict("agent/a1", 3, 5)).to_dict()
    assert (said["aggregate"], said["expected"], said["actual"]) == ("agent/a1", 3, 5)


def test_a_problem_is_its_own_answer() -> None:
    """What a route raises is what the client is told."""
    problem = Problem(404, "no-event", "there is none", id="x")
    assert problem_of(problem) is problem
    assert json.loads(problem.body())["id"] == "x"
