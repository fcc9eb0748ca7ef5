-- What operators configure. JSON is kept as text: it is read and written whole, and never looked into here.

CREATE TABLE event_types (
    id text PRIMARY KEY,
    grp text NOT NULL,
    action text NOT NULL,
    title text NOT NULL,
    object_kind text NOT NULL,
    created_at timestamptz NOT NULL
);

-- name_key and search_text are folded to lower case by the program, so that both databases sort and search alike.
CREATE TABLE handlers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    name_key text COLLATE "C" NOT NULL,
    event text COLLATE "C" NOT NULL,
    task_type text NOT NULL CHECK (task_type IN ('http', 'script')),
    task text NOT NULL,
    status text NOT NULL CHECK (status IN ('enabled', 'disabled', 'archived')),
    priority integer NOT NULL CHECK (priority BETWEEN 1 AND 65535),
    on_failure text NOT NULL CHECK (on_failure IN ('continue', 'wait', 'stop')),
    timeout_ms bigint NOT NULL CHECK (timeout_ms > 0),
    retry text NOT NULL,
    lane text,
    headers text NOT NULL,
    secrets text NOT NULL,
    notes text NOT NULL,
    search_text text NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE generations (
    number bigint PRIMARY KEY CHECK (number > 0),
    built_at timestamptz NOT NULL,
    snapshot text NOT NULL,
    checksum text NOT NULL,
    handlers bigint NOT NULL,
    changes text NOT NULL,
    took_ms bigint NOT NULL,
    cause text NOT NULL CHECK (cause IN ('start', 'restart', 'rollback')),
    rolled_back_to bigint,
    CHECK ((cause = 'rollback') = (rolled_back_to IS NOT NULL))
);
