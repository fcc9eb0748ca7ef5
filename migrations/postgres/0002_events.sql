-- What is published, and what is under way.

-- The last place given out. Whoever appends changes this row first and holds it until the commit, so that places become visible in
-- their order and a reader that has passed one never misses a smaller one.
CREATE TABLE append_position (
    id smallint PRIMARY KEY CHECK (id = 1),
    seq bigint NOT NULL
);
INSERT INTO append_position (id, seq) VALUES (1, 0);

-- Append-only. object_id is the JSON text as published, object_text the text within.
CREATE TABLE events (
    seq bigint PRIMARY KEY,
    id uuid NOT NULL,
    events_id text NOT NULL,
    object_id text NOT NULL,
    object_text text NOT NULL,
    ordering_key text NOT NULL,
    dt text NOT NULL,
    data text NOT NULL,
    idempotency_key text,
    received_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX events_id ON events (id);
CREATE INDEX events_object ON events (object_text, seq);
CREATE INDEX events_type ON events (events_id, seq);

CREATE TABLE idempotency_keys (
    key text PRIMARY KEY,
    event_id uuid NOT NULL,
    created_at timestamptz NOT NULL
);

-- Only unfinished ones: a dispatch that has ended is deleted. The first dispatch of an event has the event's seq; those of a replay
-- have a place of their own. bytes is the length of the event's data.
CREATE TABLE dispatches (
    seq bigint PRIMARY KEY,
    partition smallint NOT NULL CHECK (partition BETWEEN 0 AND 63),
    event_seq bigint NOT NULL,
    event_id uuid NOT NULL,
    events_id text NOT NULL,
    ordering_key text NOT NULL,
    bytes integer NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'retrying')),
    generation bigint,
    handler_id bigint,
    received_at timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
CREATE INDEX dispatches_partition ON dispatches (partition, seq);
CREATE INDEX dispatches_replays ON dispatches (event_id) WHERE seq <> event_seq;

-- The final state of an event that has no dispatch left.
CREATE TABLE results (
    event_id uuid PRIMARY KEY,
    event_seq bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('delivered', 'failed', 'unmatched')),
    generation bigint,
    finished_at timestamptz NOT NULL
);
CREATE INDEX results_rare ON results (event_seq) WHERE status <> 'delivered';

-- Counters, changed in the transaction of what they count. A type's numbers are the sums over its shards, which keep writers out of
-- each other's way.
CREATE TABLE tallies (
    events_id text NOT NULL,
    shard smallint NOT NULL,
    published bigint NOT NULL,
    delivered bigint NOT NULL,
    failed bigint NOT NULL,
    unmatched bigint NOT NULL,
    PRIMARY KEY (events_id, shard)
) WITH (fillfactor = 50);
