-- What handlers were called for, and how it went.

-- Only pairs of dispatch and handler that did not succeed at once; a success deletes the row. A dead row is a dead letter until it is
-- replayed. replayed_at: replayed while its dispatch was still under way; the row then goes when that dispatch ends.
CREATE TABLE deliveries (
    seq bigint NOT NULL,
    handler_id bigint NOT NULL,
    event_id uuid NOT NULL,
    event_seq bigint NOT NULL,
    events_id text NOT NULL,
    object_id text NOT NULL,
    object_text text NOT NULL,
    handler_name text NOT NULL,
    generation bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('retrying', 'dead')),
    attempts integer NOT NULL,
    next_attempt_at timestamptz,
    last_error text,
    updated_at timestamptz NOT NULL,
    replayed_at timestamptz,
    PRIMARY KEY (seq, handler_id),
    CHECK ((state = 'retrying') = (next_attempt_at IS NOT NULL)),
    CHECK (replayed_at IS NULL OR state = 'dead')
);
CREATE INDEX deliveries_event ON deliveries (event_id);
CREATE INDEX deliveries_dead ON deliveries (updated_at DESC, seq DESC, handler_id DESC) WHERE state = 'dead' AND replayed_at IS NULL;

-- Append-only: one row for each attempt.
CREATE TABLE executions (
    id uuid PRIMARY KEY,
    event_id uuid NOT NULL,
    seq bigint NOT NULL,
    events_id text NOT NULL,
    object_id text NOT NULL,
    handler_id bigint NOT NULL,
    handler_name text NOT NULL,
    priority integer NOT NULL,
    generation bigint NOT NULL,
    attempt integer NOT NULL,
    status text NOT NULL CHECK (status IN ('success', 'fail', 'skipped')),
    started_at timestamptz NOT NULL,
    duration_ms bigint NOT NULL,
    error text,
    response text,
    retry_at timestamptz
);
CREATE INDEX executions_event ON executions (event_id);
CREATE INDEX executions_handler ON executions (handler_id, id);
CREATE INDEX executions_rare ON executions (id) WHERE status <> 'success';
