-- The log, its indexes, the summaries kept beside it, and the ledger, in a schema of their own.
--
-- Run in one transaction under the store's advisory lock; {schema} is the quoted name. Appending
-- (appending.py) and reading (reading.py, planning.py) share these tables: whoever changes one side
-- looks at the other.
--
-- Every text has the collation "C": order and comparison are then those of the bytes, as in every
-- other backend, whatever language the database was made for. JSON is text and never jsonb, which
-- would give it back with other spaces, other numbers and its keys in another order.



-- What says that the schema is one of ours. Its one row is written last.
CREATE TABLE {schema}.store (
    application text COLLATE "C" NOT NULL,
    version     integer NOT NULL
);

-- Positions come from `head` and not from a sequence: under the lock they are dense, a transaction
-- that is taken back leaves no gap, and whoever sees one sees all before it. The columns stand in the
-- order of `record.py`. `payload` is null once redacted.
CREATE TABLE {schema}.events (
    position       bigint PRIMARY KEY,
    key            bytea NOT NULL,
    foreign_id     text COLLATE "C",
    type           text COLLATE "C" NOT NULL,
    project        text COLLATE "C" NOT NULL,
    status         text COLLATE "C" NOT NULL,
    source         text COLLATE "C" NOT NULL,
    instant        bigint NOT NULL,
    written        text COLLATE "C",
    aggregate_type text COLLATE "C",
    aggregate_id   text COLLATE "C",
    version        bigint,
    correlation_id text COLLATE "C",
    causation_id   text COLLATE "C",
    user_id        text COLLATE "C",
    payload        text COLLATE "C",
    context        text COLLATE "C",
    extensions     text COLLATE "C",
    recorded       bigint NOT NULL,
    checksum       bigint NOT NULL
) WITH (
    -- Rows are never changed but by a redaction, so pages are filled. Vacuuming after a twentieth more
    -- rows, and not after a fifth, keeps the visibility map fresh, on which counts by index live.
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);

-- Each filter has an index that ends with the position, so that it gives its events in their order
-- and nothing is sorted; partial where most events have no value. What the one of failures is made for
-- is said as a range, and so in `planning.py`: an equality tells PostgreSQL that the status counts
-- nothing in the order, and the primary key becomes as good a choice.
CREATE UNIQUE INDEX events_by_key ON {schema}.events (key);
CREATE INDEX events_by_foreign_id ON {schema}.events (foreign_id, position)
    WHERE foreign_id IS NOT NULL;
CREATE INDEX events_by_type ON {schema}.events (type, position);
CREATE INDEX events_by_project ON {schema}.events (project, position);
CREATE INDEX events_by_instant ON {schema}.events (instant, status);
CREATE INDEX events_by_failure ON {schema}.events (status, position)
    WHERE status BETWEEN 'failure' AND 'failure';
CREATE INDEX events_by_aggregate_id ON {schema}.events (aggregate_id, position)
    WHERE aggregate_id IS NOT NULL;
CREATE INDEX events_by_aggregate_type ON {schema}.events (aggregate_type, position)
    WHERE aggregate_type IS NOT NULL;
CREATE INDEX events_by_correlation ON {schema}.events (correlation_id, position)
    WHERE correlation_id IS NOT NULL;
CREATE INDEX events_by_causation ON {schema}.events (causation_id, position)
    WHERE causation_id IS NOT NULL;

-- A few rows, each changed by nearly every transaction. Half-empty pages leave room for a row's next
-- version beside it, so that no index changes (a HOT update), and what is outdated is cleared away by
-- whoever comes next. Vacuum looks early all the same, for a foreign transaction that stays open holds
-- old versions back, and when it ends there are many.
CREATE TABLE {schema}.types (
    type          text COLLATE "C" PRIMARY KEY,
    count         bigint NOT NULL,
    last_position bigint NOT NULL
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000
);

-- One row for each aggregate; correlations have the kind '', which no aggregate can have. What an
-- append changes is in no index, so these are HOT updates too.
CREATE TABLE {schema}.summaries (
    kind           text COLLATE "C" NOT NULL,
    id             text COLLATE "C" NOT NULL,
    project        text COLLATE "C" NOT NULL,
    state          text COLLATE "C" NOT NULL,
    status         text COLLATE "C" NOT NULL,
    version        bigint NOT NULL,
    successes      bigint NOT NULL,
    failures       bigint NOT NULL,
    first_position bigint NOT NULL,
    last_position  bigint NOT NULL,
    first_instant  bigint NOT NULL,
    last_instant   bigint NOT NULL,
    first_type     text COLLATE "C" NOT NULL,
    last_type      text COLLATE "C" NOT NULL,
    correlation_id text COLLATE "C",
    PRIMARY KEY (kind, id)
) WITH (fillfactor = 80);

CREATE INDEX summaries_by_start ON {schema}.summaries (kind, first_position);
CREATE INDEX summaries_by_correlation ON {schema}.summaries (correlation_id, kind, first_position)
    WHERE correlation_id IS NOT NULL;

CREATE TABLE {schema}.ledger (
    key      text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    value    text COLLATE "C" NOT NULL
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000
);

-- The one row of what the store knows of itself: the newest position ever kept, the last one pruned
-- away, how many positions past that have no event (restored ones left them out), the newest revision
-- of the ledger, and a number drawn by the last transaction that wrote, by which that one is known
-- again (`writing.py`).
CREATE TABLE {schema}.head (
    position bigint NOT NULL,
    pruned   bigint NOT NULL,
    gaps     bigint NOT NULL,
    revision bigint NOT NULL,
    mark     bigint NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000
);

-- Each transaction moves one of the two on, so the newest version of the row stands last, and the
-- others, which a foreign transaction that stays open may keep for hours, are never looked at.
CREATE INDEX head_newest ON {schema}.head (position, revision);

INSERT INTO {schema}.head VALUES (0, 0, 0, 0, 0);
INSERT INTO {schema}.store VALUES ('tidings', 1);
