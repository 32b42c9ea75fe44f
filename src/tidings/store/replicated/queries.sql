-- Named statements of a replica: three tables beside those of the SQLite store it is.
-- `bookkeeping.py` says what each value is.

-- name: make_state
CREATE TABLE IF NOT EXISTS replica (
    format   INTEGER NOT NULL,
    identity TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    digest   INTEGER NOT NULL,
    commands INTEGER NOT NULL
)

-- name: make_outcomes
CREATE TABLE IF NOT EXISTS outcomes (
    number  INTEGER PRIMARY KEY,
    command TEXT NOT NULL UNIQUE,
    newest  INTEGER NOT NULL,
    outcome TEXT
)

-- name: make_parts
CREATE TABLE IF NOT EXISTS parts (
    command TEXT NOT NULL,
    part    INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    body    BLOB NOT NULL,
    PRIMARY KEY (command, part)
) WITHOUT ROWID

-- name: there_is_state
SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'replica'

-- name: state
SELECT format, identity, sequence, digest, commands FROM replica

-- name: begin_state
INSERT INTO replica VALUES (?, ?, 0, 0, 0)

-- name: put_state
UPDATE replica SET sequence = ?, digest = ?, commands = ?

-- name: number
SELECT number FROM outcomes WHERE command = ?

-- name: outcome
SELECT newest, outcome FROM outcomes WHERE command = ? AND number > ?

-- name: put_outcome
-- Also in the place of an earlier one that was forgotten.
REPLACE INTO outcomes VALUES (?, ?, ?, ?)

-- name: forget_outcomes
DELETE FROM outcomes WHERE number <= ?

-- name: put_part
REPLACE INTO parts VALUES (?, ?, ?, ?)

-- name: parts
SELECT body FROM parts WHERE command = ? AND number > ? ORDER BY part

-- name: drop_parts
DELETE FROM parts WHERE command = ?

-- name: forget_parts
DELETE FROM parts WHERE number <= ?

-- name: drop_replica
DROP TABLE IF EXISTS replica

-- name: drop_outcomes
DROP TABLE IF EXISTS outcomes

-- name: drop_all_parts
DROP TABLE IF EXISTS parts
