-- Named statements of the SQLite backend; `statements.py` reads them. Filters are composed in
-- `planning.py` from fixed fragments with bound values.

-- name: numbers
-- The newest position in the log, and what the store knows of itself.
SELECT ifnull((SELECT max(position) FROM events), 0), pruned, gaps, revision, records, checksum
FROM numbers

-- name: agreed_numbers
-- The same after what the counts by type say in all.
SELECT (SELECT ifnull(sum(count), 0) FROM types), (SELECT ifnull(max(last_position), 0) FROM types),
    ifnull((SELECT max(position) FROM events), 0), pruned, gaps, revision, records, checksum
FROM numbers

-- name: put_numbers
UPDATE numbers SET pruned = ?, gaps = ?, revision = ?, records = ?, checksum = ?

-- name: insert_event
INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: latest
SELECT * FROM events ORDER BY position DESC LIMIT 1

-- name: latest_of_type
SELECT * FROM events INDEXED BY events_by_type WHERE type = ? ORDER BY position DESC LIMIT 1

-- name: types
-- With what the newest event of each says itself.
SELECT type, count, last_position,
    (SELECT type FROM events WHERE position = last_position)
FROM types ORDER BY type

-- name: type
SELECT last_position FROM types WHERE type = ?

-- name: count_type
INSERT INTO types VALUES (?, ?, ?)
ON CONFLICT (type) DO UPDATE SET count = count + excluded.count, last_position = excluded.last_position

-- name: discount_type
UPDATE types SET count = count - ?2 WHERE type = ?1

-- name: summary
SELECT * FROM summaries WHERE kind = ? AND id = ?

-- name: put_summary
INSERT INTO summaries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, id) DO UPDATE SET
    project = excluded.project, state = excluded.state, status = excluded.status,
    version = excluded.version, successes = excluded.successes, failures = excluded.failures,
    last_position = excluded.last_position, last_instant = excluded.last_instant,
    last_type = excluded.last_type, correlation_id = excluded.correlation_id,
    checksum = excluded.checksum

-- name: replace_summary
-- Whole, also where the aggregate or correlation began.
REPLACE INTO summaries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: remains
SELECT * FROM summaries WHERE first_position <= ? AND (kind, id) > (?, ?) ORDER BY kind, id LIMIT ?

-- name: ledger_count
SELECT count(*) FROM ledger

-- name: ledger_get
SELECT * FROM ledger WHERE key = ?

-- name: ledger_put
REPLACE INTO ledger VALUES (?, ?, ?, ?)

-- name: ledger_delete
DELETE FROM ledger WHERE key = ?

-- name: ledger_keys
SELECT * FROM ledger WHERE key >= ? AND key < ? AND key <> ? ORDER BY key LIMIT ?

-- name: pruned_types
SELECT type, count(*) FROM events WHERE position <= ? GROUP BY type

-- name: drop_empty_types
DELETE FROM types WHERE count <= 0

-- name: delete_events
DELETE FROM events WHERE position <= ?

-- name: delete_pruned_correlations
DELETE FROM summaries WHERE kind = '' AND last_position <= ?

-- name: redact_event
UPDATE events SET payload = NULL, checksum = ? WHERE position = ?

-- name: all_summaries
SELECT * FROM summaries

-- name: all_ledger
SELECT * FROM ledger

-- name: miscounted_types
-- Types whose kept count, or newest position, is not what is there.
SELECT there.type, ifnull(kept.count, 0), there.count
FROM (SELECT type, count(*) AS count, max(position) AS newest FROM events GROUP BY type) AS there
LEFT JOIN types AS kept ON kept.type = there.type
WHERE kept.count IS NOT there.count OR kept.last_position IS NOT there.newest
UNION ALL
SELECT kept.type, kept.count, 0
FROM types AS kept
WHERE NOT EXISTS (SELECT 1 FROM events WHERE events.type = kept.type)

-- name: misplaced_aggregates
-- Aggregates whose newest event is not the one their summary speaks of.
SELECT there.aggregate_type, there.aggregate_id, there.version, kept.version
FROM (
    SELECT aggregate_type, aggregate_id, max(version) AS version, max(position) AS position
    FROM events WHERE aggregate_id IS NOT NULL GROUP BY aggregate_type, aggregate_id
) AS there
LEFT JOIN summaries AS kept
    ON kept.kind = there.aggregate_type AND kept.id = there.aggregate_id
WHERE kept.version IS NOT there.version OR kept.last_position IS NOT there.position

-- name: repeated_versions
SELECT aggregate_type, aggregate_id, version, count(*)
FROM events WHERE aggregate_id IS NOT NULL
GROUP BY aggregate_type, aggregate_id, version HAVING count(*) > 1

-- name: count_since
-- How many events happened from an instant on, counted up to a bound.
SELECT count(*) FROM (SELECT 1 FROM events INDEXED BY events_by_instant WHERE instant >= ? LIMIT ?)

-- name: count_of_time
SELECT count(*) FROM events INDEXED BY events_by_instant WHERE instant >= ? AND instant < ?

-- name: first_since
SELECT min(position) FROM events INDEXED BY events_by_instant WHERE instant >= ?

-- name: last_until
SELECT max(position) FROM events INDEXED BY events_by_instant WHERE instant < ?

-- name: oldest
SELECT min(position) FROM events

-- name: event_at
SELECT * FROM events WHERE position = ?

-- name: count_between
SELECT count(*) FROM events NOT INDEXED WHERE position BETWEEN ? AND ?

-- name: everything
SELECT * FROM events NOT INDEXED ORDER BY position

-- name: histogram_of_all
-- The index by time alone; the remainder is made positive for times before 1970.
SELECT instant - ((instant % ?) + ?) % ? AS start, status, count(*)
FROM events INDEXED BY events_by_instant WHERE instant >= ? AND instant < ? GROUP BY start, status

-- name: follows_log
-- Whether the file is the replica of a log; see `store/replicated/queries.sql`.
SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'replica'
