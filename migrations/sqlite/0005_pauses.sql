-- What an operator has paused: 'everything', 'event:<id>' or 'handler:<id>'.
CREATE TABLE pauses (
    scope TEXT PRIMARY KEY NOT NULL,
    paused_at TEXT NOT NULL
) STRICT;
