-- Who is alive, who owns what, and what services are asked to do.

CREATE TABLE instances (
    id BLOB NOT NULL PRIMARY KEY,
    service TEXT NOT NULL,
    name TEXT NOT NULL,
    started_at TEXT NOT NULL,
    lease_until TEXT NOT NULL,
    fenced INTEGER NOT NULL CHECK (fenced IN (0, 1)),
    held INTEGER NOT NULL
) STRICT;

-- The owner is an instance of the dispatcher. The epoch goes up with every change of owner.
CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY CHECK (partition BETWEEN 0 AND 63),
    owner BLOB,
    epoch INTEGER NOT NULL
) STRICT;
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 63)
INSERT INTO partitions (partition, owner, epoch) SELECT n, NULL, 0 FROM numbers;

CREATE TABLE service_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    service TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
    params TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT,
    runner BLOB,
    lease_until TEXT,
    result TEXT,
    error TEXT,
    CHECK ((state = 'queued') = (started_at IS NULL)),
    CHECK ((state IN ('done', 'failed')) = (finished_at IS NOT NULL)),
    CHECK (state <> 'running' OR (runner IS NOT NULL AND lease_until IS NOT NULL)),
    CHECK ((state = 'failed') = (error IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX service_runs_queued ON service_runs (service) WHERE state = 'queued';
CREATE UNIQUE INDEX service_runs_running ON service_runs (service) WHERE state = 'running';
CREATE INDEX service_runs_ended ON service_runs (service, id) WHERE state IN ('done', 'failed');
