-- Long work that is asked for and done in batches. position is JSON: where the next batch begins, moved in the transaction of the batch
-- before. params is JSON too: what was asked for.
CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('replay_dead_letters', 'recover_handler')),
    params text NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    done bigint NOT NULL,
    total bigint,
    position text NOT NULL,
    cancel_requested boolean NOT NULL,
    asked_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    runner uuid,
    lease_until timestamptz,
    error text,
    CHECK ((state IN ('done', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
    CHECK (state <> 'running' OR (runner IS NOT NULL AND lease_until IS NOT NULL)),
    CHECK ((state = 'failed') = (error IS NOT NULL))
);
CREATE INDEX jobs_unfinished ON jobs (lease_until) WHERE state IN ('queued', 'running');

-- Dead letters in the order in which they are replayed.
CREATE INDEX deliveries_replay ON deliveries (event_seq, handler_id, seq) WHERE state = 'dead' AND replayed_at IS NULL;
