-- Named statements that look after a store; `{schema}` is the store's, quoted.

-- name: oldest_past
-- Past what was pruned: index entries of what is gone stay until they are vacuumed away.
SELECT position FROM {schema}.events WHERE position > %s ORDER BY position LIMIT 1

-- name: prune_events
-- How many events of each type went.
WITH gone AS (
    DELETE FROM {schema}.events WHERE position BETWEEN %s AND %s RETURNING type
)
SELECT type, count(*) FROM gone GROUP BY type

-- name: discount_type
UPDATE {schema}.types SET count = count - %s WHERE type = %s

-- name: drop_empty_types
DELETE FROM {schema}.types WHERE count <= 0

-- name: prune_correlations
DELETE FROM {schema}.summaries WHERE kind = '' AND last_position <= %s

-- name: put_pruned
UPDATE {schema}.head SET pruned = %s, gaps = %s
WHERE (position, revision) = (
    SELECT position, revision FROM {schema}.head ORDER BY position DESC, revision DESC LIMIT 1
)

-- name: adopt_pruned
-- No event is left, so there is no gap.
UPDATE {schema}.head SET position = %s, pruned = %s, gaps = 0
WHERE (position, revision) = (
    SELECT position, revision FROM {schema}.head ORDER BY position DESC, revision DESC LIMIT 1
)

-- name: remains
SELECT * FROM {schema}.summaries
WHERE first_position <= %s AND (kind, id) > (%s, %s) ORDER BY kind, id LIMIT %s

-- name: summary_of
SELECT * FROM {schema}.summaries WHERE kind = %s AND id = %s

-- name: replace_summary
-- Whole, also where the aggregate or correlation began.
INSERT INTO {schema}.summaries
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (kind, id) DO UPDATE SET
    project = excluded.project, state = excluded.state, status = excluded.status,
    version = excluded.version, successes = excluded.successes, failures = excluded.failures,
    first_position = excluded.first_position, last_position = excluded.last_position,
    first_instant = excluded.first_instant, last_instant = excluded.last_instant,
    first_type = excluded.first_type, last_type = excluded.last_type,
    correlation_id = excluded.correlation_id

-- name: events_at
SELECT * FROM {schema}.events WHERE position = ANY(%s)

-- name: redact_event
UPDATE {schema}.events SET payload = NULL, checksum = %s WHERE position = %s

-- name: vacuum_events
VACUUM {schema}.events

-- name: events_past
SELECT * FROM {schema}.events WHERE position > %s ORDER BY position LIMIT %s

-- name: summaries_past
SELECT * FROM {schema}.summaries WHERE (kind, id) > (%s, %s) ORDER BY kind, id LIMIT %s

-- name: ledger_past
SELECT * FROM {schema}.ledger WHERE key > %s ORDER BY key LIMIT %s

-- name: all_types
SELECT * FROM {schema}.types

-- name: miscounted_types
-- Types whose kept count, or newest position, is not what is there.
SELECT coalesce(kept.type, there.type), coalesce(kept.count, 0), coalesce(there.count, 0),
    kept.last_position, there.newest
FROM (
    SELECT type, count(*) AS count, max(position) AS newest FROM {schema}.events GROUP BY type
) AS there
FULL JOIN {schema}.types AS kept ON kept.type = there.type
WHERE (kept.count, kept.last_position) IS DISTINCT FROM (there.count, there.newest)
ORDER BY 1

-- name: misplaced_aggregates
-- Aggregates whose newest event is not the one their summary speaks of.
SELECT there.aggregate_type, there.aggregate_id, there.version, kept.version
FROM (
    SELECT aggregate_type, aggregate_id, max(version) AS version, max(position) AS newest
    FROM {schema}.events WHERE aggregate_id IS NOT NULL GROUP BY aggregate_type, aggregate_id
) AS there
LEFT JOIN {schema}.summaries AS kept
    ON kept.kind = there.aggregate_type AND kept.id = there.aggregate_id
WHERE (kept.version, kept.last_position) IS DISTINCT FROM (there.version, there.newest)
ORDER BY 1, 2

-- name: repeated_versions
SELECT aggregate_type, aggregate_id, version, count(*)
FROM {schema}.events WHERE aggregate_id IS NOT NULL
GROUP BY aggregate_type, aggregate_id, version HAVING count(*) > 1
ORDER BY 1, 2, 3

-- name: head_rows
SELECT count(*) FROM {schema}.head

-- name: extent
-- How many events there are, between which positions.
SELECT count(*), min(position), max(position) FROM {schema}.events

-- name: size
-- What the tables take with their indexes (bytes).
SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint
FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relkind = 'r'

-- name: server_version
SELECT current_setting('server_version')
