-- Named statements that read; `{schema}` is the store's, quoted. Filters are composed in `planning.py`
-- from fixed fragments with bound values.

-- name: type_names
SELECT type FROM {schema}.types ORDER BY type

-- name: types
-- With what the newest event of each says itself.
SELECT type, count, last_position,
    (SELECT events.type FROM {schema}.events WHERE events.position = types.last_position)
FROM {schema}.types ORDER BY types.type

-- name: latest
-- The newest event, after where it must stand: nowhere, if all were pruned.
SELECT CASE WHEN head.position > head.pruned THEN head.position END, events.*
FROM (
    SELECT position, pruned FROM {schema}.head ORDER BY position DESC, revision DESC LIMIT 1
) AS head
LEFT JOIN LATERAL (SELECT * FROM {schema}.events ORDER BY position DESC LIMIT 1) AS events ON true

-- name: latest_of_type
-- The newest event of a type, after where it must stand.
SELECT types.last_position, events.*
FROM {schema}.types
LEFT JOIN LATERAL (
    SELECT * FROM {schema}.events WHERE position = types.last_position OFFSET 0
) AS events ON true
WHERE types.type = %s

-- name: events_since
-- How many events happened from an instant on, counted up to a bound; the first and last of them.
SELECT count(*), min(position), max(position)
FROM (
    SELECT position FROM {schema}.events WHERE instant >= %s ORDER BY instant DESC LIMIT %s
) AS found

-- name: events_until
-- As `events_since`, ahead of an instant.
SELECT count(*), min(position), max(position)
FROM (
    SELECT position FROM {schema}.events WHERE instant < %s ORDER BY instant LIMIT %s
) AS found

-- name: count_of_time
SELECT count(*)
FROM (
    SELECT 1 FROM {schema}.events WHERE instant >= %s AND instant < %s ORDER BY instant
) AS found

-- name: histogram_of_time
-- The index by time alone; the remainder is made positive for times before 1970.
SELECT instant - ((instant %% %s) + %s) %% %s AS start, status, count(*)
FROM (
    SELECT instant, status FROM {schema}.events
    WHERE instant >= %s AND instant < %s ORDER BY instant
) AS found
GROUP BY start, status

-- name: type_counts
SELECT type, count FROM {schema}.types
