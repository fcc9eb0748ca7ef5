-- What happened by the minute and by the hour, as each process has counted it in memory: a few rows now and then, nothing for an event.

-- minutes: how long the span is. handler_id 0: what is counted over all handlers, and what was published. Each process has rows of its own (id),
-- and replaces them by what it has counted until then: writing again what has been written changes nothing.
-- durations, first_calls: how many fell into each bucket, as a JSON object.
CREATE TABLE minutes (
    minutes smallint NOT NULL CHECK (minutes IN (1, 60)),
    handler_id bigint NOT NULL,
    begins_at timestamptz NOT NULL,
    id uuid NOT NULL,
    published bigint NOT NULL,
    succeeded bigint NOT NULL,
    failed bigint NOT NULL,
    skipped bigint NOT NULL,
    duration_us bigint NOT NULL,
    durations text NOT NULL,
    first_calls text NOT NULL,
    PRIMARY KEY (minutes, handler_id, begins_at, id)
) WITH (fillfactor = 70);
CREATE INDEX minutes_begins ON minutes (minutes, begins_at);
