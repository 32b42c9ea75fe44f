-- The log, its indexes, the summaries kept beside it, and the ledger.
--
-- Positions are the rowids, taken from the head under the write lock: AUTOINCREMENT would leave gaps,
-- and a bare rowid would be used again after the newest row is pruned (see `pruned` in meta).
-- Indexes are few and narrow, because each costs every emit a page; partial where most events have
-- no value. A rowid is part of every index, so each gives its events in order of position.

CREATE TABLE events (
    position       INTEGER PRIMARY KEY,
    key            BLOB NOT NULL,
    foreign_id     TEXT,
    type           TEXT NOT NULL,
    project        TEXT NOT NULL,
    status         TEXT NOT NULL,
    source         TEXT NOT NULL,
    instant        INTEGER NOT NULL,
    written        TEXT,
    aggregate_type TEXT,
    aggregate_id   TEXT,
    version        INTEGER,
    correlation_id TEXT,
    causation_id   TEXT,
    user_id        TEXT,
    payload        TEXT,
    context        TEXT,
    extensions     TEXT,
    recorded       INTEGER NOT NULL,
    checksum       INTEGER NOT NULL
);

CREATE UNIQUE INDEX events_by_key ON events (key);
CREATE INDEX events_by_foreign_id ON events (foreign_id) WHERE foreign_id IS NOT NULL;
CREATE INDEX events_by_type ON events (type);
CREATE INDEX events_by_project ON events (project);
CREATE INDEX events_by_instant ON events (instant, status);
CREATE INDEX events_by_failure ON events (status) WHERE status = 'failure';
CREATE INDEX events_by_aggregate_id ON events (aggregate_id) WHERE aggregate_id IS NOT NULL;
CREATE INDEX events_by_aggregate_type ON events (aggregate_type) WHERE aggregate_type IS NOT NULL;
CREATE INDEX events_by_correlation ON events (correlation_id) WHERE correlation_id IS NOT NULL;
CREATE INDEX events_by_causation ON events (causation_id) WHERE causation_id IS NOT NULL;

CREATE TABLE types (
    type          TEXT PRIMARY KEY,
    count         INTEGER NOT NULL,
    last_position INTEGER NOT NULL
) WITHOUT ROWID;

-- One row for each aggregate; correlations have the kind '', which no aggregate can have.
CREATE TABLE summaries (
    kind           TEXT NOT NULL,
    id             TEXT NOT NULL,
    project        TEXT NOT NULL,
    state          TEXT NOT NULL,
    status         TEXT NOT NULL,
    version        INTEGER NOT NULL,
    successes      INTEGER NOT NULL,
    failures       INTEGER NOT NULL,
    first_position INTEGER NOT NULL,
    last_position  INTEGER NOT NULL,
    first_instant  INTEGER NOT NULL,
    last_instant   INTEGER NOT NULL,
    first_type     TEXT NOT NULL,
    last_type      TEXT NOT NULL,
    correlation_id TEXT,
    checksum       INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;

CREATE INDEX summaries_by_start ON summaries (kind, first_position);
CREATE INDEX summaries_by_correlation ON summaries (correlation_id, kind, first_position)
    WHERE correlation_id IS NOT NULL;

CREATE TABLE ledger (
    key      TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    value    TEXT NOT NULL,
    checksum INTEGER NOT NULL
) WITHOUT ROWID;

-- The one row of what the store knows of itself; `bookkeeping.py` says what each is.
CREATE TABLE numbers (
    pruned   INTEGER NOT NULL,
    gaps     INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    records  INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);

-- The last is the checksum of the others.
INSERT INTO numbers VALUES (0, 0, 0, 0, 4262593620);
