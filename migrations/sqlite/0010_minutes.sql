-- What happened by the minute and by the hour, as each process has counted it in memory: a few rows now and then, nothing for an event.

-- minutes: how long the span is. handler_id 0: what is counted over all handlers, and what was published. Each process has rows of its own (id),
-- and replaces them by what it has counted until then: writing again what has been written changes nothing.
-- durations, first_calls: how many fell into each bucket, as a JSON object.
CREATE TABLE minutes (
    minutes INTEGER NOT NULL CHECK (minutes IN (1, 60)),
    handler_id INTEGER NOT NULL,
    begins_at TEXT NOT NULL,
    id BLOB NOT NULL,
    published INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    durations TEXT NOT NULL,
    first_calls TEXT NOT NULL,
    PRIMARY KEY (minutes, handler_id, begins_at, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX minutes_begins ON minutes (minutes, begins_at);
