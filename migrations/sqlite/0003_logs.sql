-- What handlers were called for, and how it went.

-- Only pairs of dispatch and handler that did not succeed at once; a success deletes the row. A dead row is a dead letter until it is
-- replayed. replayed_at: replayed while its dispatch was still under way; the row then goes when that dispatch ends.
CREATE TABLE deliveries (
    seq INTEGER NOT NULL,
    handler_id INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    event_seq INTEGER NOT NULL,
    events_id TEXT NOT NULL,
    object_id TEXT NOT NULL,
    object_text TEXT NOT NULL,
    handler_name TEXT NOT NULL,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('retrying', 'dead')),
    attempts INTEGER NOT NULL,
    next_attempt_at TEXT,
    last_error TEXT,
    updated_at TEXT NOT NULL,
    replayed_at TEXT,
    PRIMARY KEY (seq, handler_id),
    CHECK ((state = 'retrying') = (next_attempt_at IS NOT NULL)),
    CHECK (replayed_at IS NULL OR state = 'dead')
) STRICT;
CREATE INDEX deliveries_event ON deliveries (event_id);
CREATE INDEX deliveries_dead ON deliveries (updated_at DESC, seq DESC, handler_id DESC) WHERE state = 'dead' AND replayed_at IS NULL;

-- Append-only: one row for each attempt.
CREATE TABLE executions (
    id BLOB NOT NULL PRIMARY KEY,
    event_id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    events_id TEXT NOT NULL,
    object_id TEXT NOT NULL,
    handler_id INTEGER NOT NULL,
    handler_name TEXT NOT NULL,
    priority INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('success', 'fail', 'skipped')),
    started_at TEXT NOT NULL,
    duration_ms INTEGER NOT NULL,
    error TEXT,
    response TEXT,
    retry_at TEXT
) STRICT;
CREATE INDEX executions_event ON executions (event_id);
CREATE INDEX executions_handler ON executions (handler_id, id);
CREATE INDEX executions_rare ON executions (id) WHERE status <> 'success';
