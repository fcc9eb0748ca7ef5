-- Writes what a dispatcher has done, in one round trip: executions, the dispatches that have ended, the final states of their events and
-- the counts of those. False, with nothing written, when the dispatcher has been fenced or does not own one of the partitions.
--
-- What is recorded is nearly always new, and saying so to PostgreSQL saves it two records of its log for an event. A record that is repeated,
-- since the answer to it was lost, fails on the first row that is there already; "repeated" then makes it pass over such rows.
--
-- Each statement in it sees what was committed while the ones before waited for their locks, as they would one by one; a single statement
-- with many parts would not.
CREATE FUNCTION record_results(
    dispatcher uuid, touched bigint[], tally_shard bigint, repeated boolean,
    x_id uuid[], x_event_id uuid[], x_seq bigint[], x_events_id text[], x_object_id text[], x_handler_id bigint[], x_handler_name text[],
    x_priority bigint[], x_generation bigint[], x_attempt bigint[], x_status text[], x_started_at timestamptz[], x_duration_ms bigint[],
    x_error text[], x_response text[], x_retry_at timestamptz[],
    f_seq bigint[], f_status text[], f_generation bigint[], f_finished_at timestamptz[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    removed record;
    over record;
    concluded uuid[];
BEGIN
    -- Nobody can fence the dispatcher, take its partitions or record in its name before the commit.
    PERFORM 1 FROM instances WHERE id = dispatcher AND NOT fenced FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF (SELECT count(*) FROM partitions WHERE owner = dispatcher AND partition = ANY(touched)) <> cardinality(touched) THEN
        RETURN false;
    END IF;

    INSERT INTO executions (id, event_id, seq, events_id, object_id, handler_id, handler_name, priority, generation, attempt, status,
        started_at, duration_ms, error, response, retry_at)
    SELECT * FROM unnest(x_id, x_event_id, x_seq, x_events_id, x_object_id, x_handler_id, x_handler_name, x_priority, x_generation,
        x_attempt, x_status, x_started_at, x_duration_ms, x_error, x_response, x_retry_at) AS x (id)
    WHERE NOT repeated OR (SELECT count(*) FROM executions e WHERE e.id = x.id) = 0;
    IF cardinality(f_seq) = 0 THEN
        RETURN true;
    END IF;

    -- What is not there any more was recorded before.
    WITH gone AS (
        DELETE FROM dispatches d USING unnest(f_seq, f_status, f_generation, f_finished_at) AS f (seq, status, generation, finished_at)
        WHERE d.seq = f.seq
        RETURNING d.seq, d.event_seq, d.event_id, d.events_id, f.status, f.generation, f.finished_at
    )
    SELECT array_agg(seq) AS seqs, array_agg(event_seq) AS event_seqs, array_agg(event_id) AS ids, array_agg(events_id) AS types,
        array_agg(status) AS statuses, array_agg(generation) AS generations, array_agg(finished_at) AS instants
    INTO removed FROM gone;

    -- The events that have no dispatch left: the rows are locked by now, so nobody can send them on their way again. Of several dispatches
    -- of one event the last one's status counts. A dead letter makes an event failed; one that failed by dead letters which have all been
    -- replayed since did not fail. Counted, since the planner turns EXISTS and max() into a walk along a whole index where it believes the
    -- table to be empty; with || '', so that it does not walk along the index of dead letters.
    SELECT array_agg(e.id) AS ids, array_agg(e.seq) AS seqs, array_agg(e.type) AS types, array_agg(e.status) AS statuses,
        array_agg(e.generation) AS generations, array_agg(e.finished_at) AS instants
    INTO over FROM (
        SELECT r.event_id AS id, r.event_seq AS seq, r.events_id AS type, r.generation, r.finished_at,
            CASE
                WHEN (SELECT count(*) FILTER (WHERE v.replayed_at IS NULL) FROM deliveries v
                    WHERE v.event_id = r.event_id AND v.state || '' = 'dead') > 0 THEN 'failed'
                WHEN r.status = 'failed' AND (SELECT count(*) FROM deliveries v
                    WHERE v.event_id = r.event_id AND v.state || '' = 'dead') > 0 THEN 'delivered'
                ELSE r.status
            END AS status
        FROM (
            SELECT DISTINCT ON (event_id) *
            FROM unnest(removed.seqs, removed.event_seqs, removed.ids, removed.types, removed.statuses, removed.generations,
                removed.instants) AS u (seq, event_seq, event_id, events_id, status, generation, finished_at)
            ORDER BY event_id, seq DESC
        ) AS r
        WHERE (r.seq = r.event_seq OR (SELECT count(*) FROM dispatches d WHERE d.seq = r.event_seq) = 0)
            AND (SELECT count(*) FROM dispatches d WHERE d.event_id = r.event_id AND d.seq <> d.event_seq) = 0
    ) AS e;

    -- Dead letters that were replayed while their dispatch was under way have done their duty when it ends.
    IF 'failed' = ANY(removed.statuses) THEN
        DELETE FROM deliveries WHERE seq = ANY(removed.seqs) AND replayed_at IS NOT NULL;
    END IF;

    WITH stored AS (
        INSERT INTO results (event_id, event_seq, status, generation, finished_at)
        SELECT * FROM unnest(over.ids, over.seqs, over.statuses, over.generations, over.instants) AS r (event_id)
        WHERE NOT repeated OR (SELECT count(*) FROM results e WHERE e.event_id = r.event_id) = 0
        RETURNING event_id
    )
    SELECT array_agg(event_id) INTO concluded FROM stored;

    -- By type, so that two who count cannot wait for each other.
    INSERT INTO tallies (events_id, shard, published, delivered, failed, unmatched)
    SELECT r.type, tally_shard, 0, count(*) FILTER (WHERE r.status = 'delivered'), count(*) FILTER (WHERE r.status = 'failed'),
        count(*) FILTER (WHERE r.status = 'unmatched')
    FROM unnest(over.ids, over.types, over.statuses) AS r (id, type, status)
    WHERE NOT repeated OR r.id = ANY(concluded)
    GROUP BY r.type ORDER BY r.type
    ON CONFLICT (events_id, shard) DO UPDATE SET delivered = tallies.delivered + excluded.delivered,
        failed = tallies.failed + excluded.failed, unmatched = tallies.unmatched + excluded.unmatched;
    RETURN true;
END
$$;
