-- No row of results any more for an event that was delivered, where the executions that are written in the same transaction say when and under
-- which generation: that it has no dispatch left says that it has ended. It saves a row and an index entry, and with them a tenth of the log. The row
-- is written when those executions are removed.
--
-- The functions of before, record_results, stay until no program of before records with them: programs are replaced one by one.

-- Writes what a dispatcher has done, in one round trip: executions, the dispatches that have ended, the final states of their events and the
-- counts of those. f_kept says of which there is to be a row of results in any case; of the others, where they were not delivered. False, with
-- nothing written, when the dispatcher has been fenced or does not own one of the partitions.
--
-- What is recorded is nearly always new, and saying so to PostgreSQL saves it two records of its log for an event. A record that is repeated,
-- since the answer to it was lost, fails on the first row that is there already; "repeated" then makes it pass over such rows.
--
-- Each statement in it sees what was committed while the ones before waited for their locks, as they would one by one; a single statement
-- with many parts would not.
CREATE FUNCTION record_batch(
    dispatcher uuid, touched bigint[], tally_shard bigint, repeated boolean, calls recorded_call[],
    f_seq bigint[], f_event_id uuid[], f_events_id text[], f_status text[], f_generation bigint[], f_finished_at timestamptz[],
    f_kept boolean[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    removed record;
    over record;
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
    SELECT * FROM unnest(calls) AS x
    WHERE NOT repeated OR (SELECT count(*) FROM executions e WHERE e.id = x.id) = 0;
    IF cardinality(f_seq) = 0 THEN
        RETURN true;
    END IF;

    -- What is not there any more was recorded before.
    WITH gone AS (
        DELETE FROM dispatches d USING unnest(f_seq) WITH ORDINALITY AS f (seq, number) WHERE d.seq = f.seq
        RETURNING f.number, d.seq, d.event_seq
    )
    SELECT count(*) AS count, bool_and(seq = event_seq) AS are_first, array_agg(number) AS numbers, array_agg(seq) AS seqs,
        array_agg(event_seq) AS event_seqs
    INTO removed FROM gone;

    -- The rows are locked by now, so nobody can send their events on their way again. Counted, since the planner turns EXISTS and max()
    -- into a walk along a whole index where it believes the table to be empty; with || '', so that it does not walk along the index of
    -- dead letters.
    IF NOT repeated AND removed.count = cardinality(f_seq) AND removed.are_first AND (
        SELECT count(*) FROM unnest(f_event_id) AS f (event_id)
        WHERE (SELECT count(*) FROM dispatches d WHERE d.event_id = f.event_id AND d.seq <> d.event_seq) > 0
            OR (SELECT count(*) FROM deliveries v WHERE v.event_id = f.event_id AND v.state || '' = 'dead') > 0
    ) = 0 THEN
        IF true = ANY(f_kept) THEN
            INSERT INTO results (event_id, event_seq, status, generation, finished_at)
            SELECT f_event_id[k.number], f_seq[k.number], f_status[k.number], f_generation[k.number], f_finished_at[k.number]
            FROM unnest(f_kept) WITH ORDINALITY AS k (is_kept, number) WHERE k.is_kept;
        END IF;
        PERFORM count_results(tally_shard, f_events_id, f_status);
        RETURN true;
    END IF;

    -- The events that have no dispatch left. Of several dispatches of one event the last one's status counts. A dead letter makes an event
    -- failed; one that failed by dead letters which have all been replayed since did not fail.
    SELECT array_agg(e.id) AS ids, array_agg(e.seq) AS seqs, array_agg(e.type) AS types, array_agg(e.status) AS statuses,
        array_agg(e.generation) AS generations, array_agg(e.finished_at) AS instants, array_agg(e.is_kept) AS kept
    INTO over FROM (
        SELECT r.event_id AS id, r.event_seq AS seq, r.events_id AS type, r.generation, r.finished_at, r.is_kept,
            CASE
                WHEN (SELECT count(*) FILTER (WHERE v.replayed_at IS NULL) FROM deliveries v
                    WHERE v.event_id = r.event_id AND v.state || '' = 'dead') > 0 THEN 'failed'
                WHEN r.status = 'failed' AND (SELECT count(*) FROM deliveries v
                    WHERE v.event_id = r.event_id AND v.state || '' = 'dead') > 0 THEN 'delivered'
                ELSE r.status
            END AS status
        FROM (
            SELECT DISTINCT ON (event_id) *
            FROM (
                SELECT f_seq[u.number] AS seq, u.event_seq, f_event_id[u.number] AS event_id, f_events_id[u.number] AS events_id,
                    f_status[u.number] AS status, f_generation[u.number] AS generation, f_finished_at[u.number] AS finished_at,
                    f_kept[u.number] AS is_kept
                FROM unnest(removed.numbers, removed.event_seqs) AS u (number, event_seq)
            ) AS ended
            ORDER BY event_id, seq DESC
        ) AS r
        WHERE (r.seq = r.event_seq OR (SELECT count(*) FROM dispatches d WHERE d.seq = r.event_seq) = 0)
            AND (SELECT count(*) FROM dispatches d WHERE d.event_id = r.event_id AND d.seq <> d.event_seq) = 0
    ) AS e;

    -- Dead letters that were replayed while their dispatch was under way have done their duty when it ends.
    IF 'failed' = ANY(f_status) THEN
        DELETE FROM deliveries WHERE seq = ANY(removed.seqs) AND replayed_at IS NOT NULL;
    END IF;

    INSERT INTO results (event_id, event_seq, status, generation, finished_at)
    SELECT r.event_id, r.event_seq, r.status, r.generation, r.finished_at
    FROM unnest(over.ids, over.seqs, over.statuses, over.generations, over.instants, over.kept)
        AS r (event_id, event_seq, status, generation, finished_at, is_kept)
    WHERE r.is_kept OR r.status <> 'delivered'
    -- Nothing of ours leaves a row beside a dispatch. If something did, an event must not fail to be recorded for it.
    ON CONFLICT (event_id) DO UPDATE SET status = excluded.status, generation = excluded.generation, finished_at = excluded.finished_at;
    PERFORM count_results(tally_shard, over.types, over.statuses);
    RETURN true;
END
$$;
