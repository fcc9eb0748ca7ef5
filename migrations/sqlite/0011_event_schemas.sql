-- What the data of an event type has to look like, built-in types included. version goes up with every change of any of them.

CREATE TABLE event_schemas (
    events_id TEXT NOT NULL PRIMARY KEY,
    schema TEXT NOT NULL,
    validate TEXT NOT NULL CHECK (validate IN ('off', 'warn', 'enforce')),
    version INTEGER NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
