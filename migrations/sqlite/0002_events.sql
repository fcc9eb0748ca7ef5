-- What is published, and what is under way.

-- The last place given out. Whoever appends changes this row first and holds it until the commit, so that places become visible in
-- their order and a reader that has passed one never misses a smaller one.
CREATE TABLE append_position (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO append_position (id, seq) VALUES (1, 0);

-- Append-only. object_id is the JSON text as published, object_text the text within.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    events_id TEXT NOT NULL,
    object_id TEXT NOT NULL,
    object_text TEXT NOT NULL,
    ordering_key TEXT NOT NULL,
    dt TEXT NOT NULL,
    data TEXT NOT NULL,
    idempotency_key TEXT,
    received_at TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_id ON events (id);
CREATE INDEX events_object ON events (object_text, seq);
CREATE INDEX events_type ON events (events_id, seq);

CREATE TABLE idempotency_keys (
    key TEXT NOT NULL PRIMARY KEY,
    event_id BLOB NOT NULL,
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Only unfinished ones: a dispatch that has ended is deleted. The first dispatch of an event has the event's seq; those of a replay
-- have a place of their own. bytes is the length of the event's data.
CREATE TABLE dispatches (
    seq INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL CHECK (partition BETWEEN 0 AND 63),
    event_seq INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    events_id TEXT NOT NULL,
    ordering_key TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'retrying')),
    generation INTEGER,
    handler_id INTEGER,
    received_at TEXT NOT NULL
) STRICT;
CREATE INDEX dispatches_partition ON dispatches (partition, seq);
CREATE INDEX dispatches_replays ON dispatches (event_id) WHERE seq <> event_seq;

-- The final state of an event that has no dispatch left.
CREATE TABLE results (
    event_id BLOB NOT NULL PRIMARY KEY,
    event_seq INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('delivered', 'failed', 'unmatched')),
    generation INTEGER,
    finished_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX results_rare ON results (event_seq) WHERE status <> 'delivered';

-- Counters, changed in the transaction of what they count. A type's numbers are the sums over its shards, which keep writers out of
-- each other's way.
CREATE TABLE tallies (
    events_id TEXT NOT NULL,
    shard INTEGER NOT NULL,
    published INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    unmatched INTEGER NOT NULL,
    PRIMARY KEY (events_id, shard)
) STRICT, WITHOUT ROWID;
