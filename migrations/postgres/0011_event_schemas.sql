-- What the data of an event type has to look like, built-in types included. version goes up with every change of any of them.

CREATE TABLE event_schemas (
    events_id text PRIMARY KEY,
    schema text NOT NULL,
    validate text NOT NULL CHECK (validate IN ('off', 'warn', 'enforce')),
    version bigint NOT NULL,
    updated_at timestamptz NOT NULL
);
