-- Long work that is asked for and done in batches. position is JSON: where the next batch begins, moved in the transaction of the batch
-- before. params is JSON too: what was asked for.
CREATE TABLE jobs (
    id BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('replay_dead_letters', 'recover_handler')),
    params TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    done INTEGER NOT NULL,
    total INTEGER,
    position TEXT NOT NULL,
    cancel_requested INTEGER NOT NULL CHECK (cancel_requested IN (0, 1)),
    asked_at TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT,
    runner BLOB,
    lease_until TEXT,
    error TEXT,
    CHECK ((state IN ('done', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
    CHECK (state <> 'running' OR (runner IS NOT NULL AND lease_until IS NOT NULL)),
    CHECK ((state = 'failed') = (error IS NOT NULL))
) STRICT;
CREATE INDEX jobs_unfinished ON jobs (lease_until) WHERE state IN ('queued', 'running');

-- Dead letters in the order in which they are replayed.
CREATE INDEX deliveries_replay ON deliveries (event_seq, handler_id, seq) WHERE state = 'dead' AND replayed_at IS NULL;
