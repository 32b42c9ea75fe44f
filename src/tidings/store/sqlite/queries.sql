-- Named statements of the SQLite backend; `statements.py` reads them. Filters are composed in
-- `planning.py` from fixed fragments with bound values.

-- name: head
-- The newest position ever kept, also when everything was pruned.
SELECT max(ifnull((SELECT max(position) FROM events), 0), value) FROM meta WHERE name = 'pruned'

-- name: pruned
SELECT value FROM meta WHERE name = 'pruned'

-- name: set_pruned
UPDATE meta SET value = max(value, ?) WHERE name = 'pruned'

-- name: insert_event
INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: event_by_key
SELECT * FROM events WHERE key = ?

-- name: latest
SELECT * FROM events ORDER BY position DESC LIMIT 1

-- name: latest_of_type
SELECT * FROM events INDEXED BY events_by_type WHERE type = ? ORDER BY position DESC LIMIT 1

-- name: types
SELECT type, count, last_position FROM types ORDER BY type

-- name: count_type
INSERT INTO types VALUES (?, ?, ?)
ON CONFLICT (type) DO UPDATE SET count = count + excluded.count, last_position = excluded.last_position

-- name: summary
SELECT * FROM summaries WHERE kind = ? AND id = ?

-- name: put_summary
INSERT INTO summaries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, id) DO UPDATE SET
    project = excluded.project, state = excluded.state, status = excluded.status,
    version = excluded.version, successes = excluded.successes, failures = excluded.failures,
    last_position = excluded.last_position, last_instant = excluded.last_instant,
    last_type = excluded.last_type, correlation_id = excluded.correlation_id

-- name: ledger_get
SELECT key, revision, value FROM ledger WHERE key = ?

-- name: ledger_revision
SELECT revision FROM ledger WHERE key = ?

-- name: next_revision
UPDATE meta SET value = value + 1 WHERE name = 'revision'

-- name: newest_revision
SELECT value FROM meta WHERE name = 'revision'

-- name: ledger_put
INSERT INTO ledger VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, value = excluded.value

-- name: ledger_delete
DELETE FROM ledger WHERE key = ?

-- name: ledger_keys
-- substr and not LIKE: a prefix may hold % and _, and letters must match as they are.
SELECT key FROM ledger WHERE key >= ?1 AND substr(key, 1, length(?1)) = ?1 ORDER BY key

-- name: pruned_types
SELECT type, count(*) FROM events WHERE position <= ? GROUP BY type

-- name: discount_type
UPDATE types SET count = count - ?2 WHERE type = ?1

-- name: drop_empty_types
DELETE FROM types WHERE count <= 0

-- name: delete_events
DELETE FROM events WHERE position <= ?

-- name: delete_pruned_correlations
DELETE FROM summaries WHERE kind = '' AND last_position <= ?

-- name: redact_event
UPDATE events SET payload = NULL, checksum = ? WHERE position = ?

-- name: miscounted_types
-- Types whose kept count is not what is there.
SELECT ifnull(kept.type, there.type), ifnull(kept.count, 0), ifnull(there.count, 0)
FROM (SELECT type, count(*) AS count FROM events GROUP BY type) AS there
LEFT JOIN types AS kept ON kept.type = there.type
WHERE kept.count IS NOT there.count
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

-- name: first_since
SELECT min(position) FROM events INDEXED BY events_by_instant WHERE instant >= ?

-- name: last_until
SELECT max(position) FROM events INDEXED BY events_by_instant WHERE instant < ?

-- name: oldest
SELECT min(position) FROM events

-- name: event_at
SELECT * FROM events WHERE position = ?

-- name: everything
SELECT * FROM events NOT INDEXED ORDER BY position

-- name: histogram_of_all
-- The index by time alone; the remainder is made positive for times before 1970.
SELECT instant - ((instant % ?) + ?) % ? AS start, status, count(*)
FROM events INDEXED BY events_by_instant WHERE instant >= ? AND instant < ? GROUP BY start, status
