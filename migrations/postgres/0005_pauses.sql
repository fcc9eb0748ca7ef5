-- What an operator has paused: 'everything', 'event:<id>' or 'handler:<id>'.
CREATE TABLE pauses (
    scope text PRIMARY KEY,
    paused_at timestamptz NOT NULL
);
