-- Who is alive, who owns what, and what services are asked to do.

CREATE TABLE instances (
    id uuid PRIMARY KEY,
    service text NOT NULL,
    name text NOT NULL,
    started_at timestamptz NOT NULL,
    lease_until timestamptz NOT NULL,
    fenced boolean NOT NULL,
    held bigint NOT NULL
);

-- The owner is an instance of the dispatcher. The epoch goes up with every change of owner.
CREATE TABLE partitions (
    partition smallint PRIMARY KEY CHECK (partition BETWEEN 0 AND 63),
    owner uuid,
    epoch bigint NOT NULL
);
INSERT INTO partitions (partition, owner, epoch) SELECT n, NULL, 0 FROM generate_series(0, 63) AS n;

CREATE TABLE service_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service text NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
    params text NOT NULL,
    asked_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    runner uuid,
    lease_until timestamptz,
    result text,
    error text,
    CHECK ((state = 'queued') = (started_at IS NULL)),
    CHECK ((state IN ('done', 'failed')) = (finished_at IS NOT NULL)),
    CHECK (state <> 'running' OR (runner IS NOT NULL AND lease_until IS NOT NULL)),
    CHECK ((state = 'failed') = (error IS NOT NULL))
);
CREATE UNIQUE INDEX service_runs_queued ON service_runs (service) WHERE state = 'queued';
CREATE UNIQUE INDEX service_runs_running ON service_runs (service) WHERE state = 'running';
CREATE INDEX service_runs_ended ON service_runs (service, id) WHERE state IN ('done', 'failed');
