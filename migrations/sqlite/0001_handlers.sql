-- What operators configure. JSON is kept as text: it is read and written whole, and never looked into here.

CREATE TABLE event_types (
    id TEXT NOT NULL PRIMARY KEY,
    grp TEXT NOT NULL,
    action TEXT NOT NULL,
    title TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

-- name_key and search_text are folded to lower case by the program, so that both databases sort and search alike.
-- AUTOINCREMENT: an id is never used again.
CREATE TABLE handlers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    event TEXT NOT NULL,
    task_type TEXT NOT NULL CHECK (task_type IN ('http', 'script')),
    task TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('enabled', 'disabled', 'archived')),
    priority INTEGER NOT NULL CHECK (priority BETWEEN 1 AND 65535),
    on_failure TEXT NOT NULL CHECK (on_failure IN ('continue', 'wait', 'stop')),
    timeout_ms INTEGER NOT NULL CHECK (timeout_ms > 0),
    retry TEXT NOT NULL,
    lane TEXT,
    headers TEXT NOT NULL,
    secrets TEXT NOT NULL,
    notes TEXT NOT NULL,
    search_text TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE generations (
    number INTEGER PRIMARY KEY CHECK (number > 0),
    built_at TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    checksum TEXT NOT NULL,
    handlers INTEGER NOT NULL,
    changes TEXT NOT NULL,
    took_ms INTEGER NOT NULL,
    cause TEXT NOT NULL CHECK (cause IN ('start', 'restart', 'rollback')),
    rolled_back_to INTEGER,
    CHECK ((cause = 'rollback') = (rolled_back_to IS NOT NULL))
) STRICT;
