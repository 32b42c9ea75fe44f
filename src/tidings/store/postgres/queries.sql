-- Named statements for writing; `statements.py` reads them, and `reading.sql` and `upkeep.sql` beside.
-- {schema} is the quoted name of the store's schema. Rows come as one JSON array of arrays: to bind
-- twenty arrays takes the client four times as long, and a statement for each row the server twice.

-- name: settings_power
-- For this transaction. A server or role that commits before it is on the disk is overruled; one that
-- waits for a standby is not. A client that stands still with the lock must not keep all others from
-- writing, so the server ends its transaction. The idle timer alone does not: behind a pipeline psycopg
-- sends a Flush, which stops that timer.
SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', '0', true),
    set_config('idle_in_transaction_session_timeout', '60000', true),
    CASE WHEN current_setting('server_version_num')::int >= 170000
        THEN set_config('transaction_timeout', %s, true) END,
    set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true),
    set_config('synchronous_commit', CASE current_setting('synchronous_commit')
        WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)

-- name: settings_process
SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', '0', true),
    set_config('idle_in_transaction_session_timeout', '60000', true),
    CASE WHEN current_setting('server_version_num')::int >= 170000
        THEN set_config('transaction_timeout', %s, true) END,
    set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true),
    set_config('synchronous_commit', 'off', true)

-- name: lock
SELECT pg_advisory_xact_lock(%s)

-- name: head
-- From the end of its index, as wherever it is looked up or changed: a transaction of others that
-- stays open keeps all its former versions, and they lie ahead of it there.
SELECT position, pruned, gaps, revision FROM {schema}.head
ORDER BY position DESC, revision DESC LIMIT 1

-- name: head_and_mark
SELECT position, pruned, gaps, revision, mark FROM {schema}.head
ORDER BY position DESC, revision DESC LIMIT 1

-- name: known
SELECT * FROM {schema}.events WHERE key = ANY(%s::bytea[])

-- name: summaries_of
-- By rows between a row and itself: only the primary key can serve that, whatever the statistics say.
SELECT found.* FROM unnest(%s::text[], %s::text[]) AS wanted (kind, id)
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.summaries AS s
    WHERE (s.kind, s.id) >= (wanted.kind, wanted.id) AND (s.kind, s.id) <= (wanted.kind, wanted.id)
    ORDER BY s.kind, s.id LIMIT 1
) AS found

-- name: revisions
SELECT key, revision FROM {schema}.ledger WHERE key = ANY(%s::text[])

-- name: insert_event
INSERT INTO {schema}.events
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)

-- name: insert_events
INSERT INTO {schema}.events
SELECT (r->>0)::bigint, (r->>1)::bytea, r->>2, r->>3, r->>4, r->>5, r->>6, (r->>7)::bigint, r->>8,
    r->>9, r->>10, (r->>11)::bigint, r->>12, r->>13, r->>14, r->>15, r->>16, r->>17,
    (r->>18)::bigint, (r->>19)::bigint
FROM jsonb_array_elements(%s::jsonb) AS r

-- name: count_types
INSERT INTO {schema}.types
SELECT r->>0, (r->>1)::bigint, (r->>2)::bigint FROM jsonb_array_elements(%s::jsonb) AS r
ON CONFLICT (type) DO UPDATE
SET count = types.count + excluded.count, last_position = excluded.last_position

-- name: put_summaries
INSERT INTO {schema}.summaries
SELECT r->>0, r->>1, r->>2, r->>3, r->>4, (r->>5)::bigint, (r->>6)::bigint, (r->>7)::bigint,
    (r->>8)::bigint, (r->>9)::bigint, (r->>10)::bigint, (r->>11)::bigint, r->>12, r->>13, r->>14
FROM jsonb_array_elements(%s::jsonb) AS r
ON CONFLICT (kind, id) DO UPDATE SET
    project = excluded.project, state = excluded.state, status = excluded.status,
    version = excluded.version, successes = excluded.successes, failures = excluded.failures,
    last_position = excluded.last_position, last_instant = excluded.last_instant,
    last_type = excluded.last_type, correlation_id = excluded.correlation_id

-- name: move_head
UPDATE {schema}.head SET position = %s, gaps = %s, revision = %s, mark = %s
WHERE (position, revision) = (
    SELECT position, revision FROM {schema}.head ORDER BY position DESC, revision DESC LIMIT 1
)

-- name: move_head_and_notify
-- One notification for the whole transaction, and without payload: who is woken reads the head.
UPDATE {schema}.head SET position = %s, gaps = %s, revision = %s, mark = %s
WHERE (position, revision) = (
    SELECT position, revision FROM {schema}.head ORDER BY position DESC, revision DESC LIMIT 1
)
RETURNING pg_notify(%s, '')

-- name: places
-- Where the events stand that have these ids, by which a broken commit is found out.
SELECT key, position, checksum FROM {schema}.events WHERE key = ANY(%s::bytea[])

-- name: ledger_get
SELECT revision, value FROM {schema}.ledger WHERE key = %s

-- name: ledger_put
INSERT INTO {schema}.ledger VALUES (%s, %s, %s)
ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, value = excluded.value

-- name: ledger_delete
DELETE FROM {schema}.ledger WHERE key = %s

-- name: ledger_keys
SELECT key FROM {schema}.ledger WHERE key >= %s AND key < %s AND key <> %s ORDER BY key LIMIT %s
