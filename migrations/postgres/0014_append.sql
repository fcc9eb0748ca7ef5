-- Appends give the lock that keeps places in their order to the next one before they wait for the disk.
--
-- An append was one transaction, so that the next one could not begin before the log of it was on the disk: under load a sixth of the time was
-- spent with nothing to do but that. What is appended is now committed without waiting, which lets the next append go on, and then the
-- log is waited for, up to that place and for whatever else is in it. Who publishes is answered after that, as before.
--
-- In between an append can be seen that a crash of the server would undo, and its places would be given to other events. So whoever reads
-- dispatches has to see to it that the log is on the disk before it acts on what it has read: Store::read_dispatches does.

-- Stores events, in the order given, each with a pending dispatch, and counts them. Nothing is written before it has the lock of the places.
-- Answers with the place before the first.
CREATE FUNCTION append_rows(
    events_count bigint, ids uuid[], types text[], object_ids text[], object_texts text[], ordering_keys text[], dts text[], datas text[],
    idempotency_keys text[], instants timestamptz[], partitions bigint[], sizes bigint[], counted_types text[], counts bigint[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    base bigint;
BEGIN
    UPDATE append_position SET seq = seq + events_count WHERE id = 1 RETURNING seq - events_count INTO base;
    INSERT INTO events (seq, id, events_id, object_id, object_text, ordering_key, dt, data, idempotency_key, received_at)
    SELECT base + r.number, r.id, r.events_id, r.object_id, r.object_text, r.ordering_key, r.dt, r.data, r.idempotency_key, r.received_at
    FROM unnest(ids, types, object_ids, object_texts, ordering_keys, dts, datas, idempotency_keys, instants)
        WITH ORDINALITY AS r (id, events_id, object_id, object_text, ordering_key, dt, data, idempotency_key, received_at, number);
    INSERT INTO dispatches (seq, partition, event_seq, event_id, events_id, ordering_key, bytes, state, received_at)
    SELECT base + r.number, r.partition, base + r.number, r.id, r.events_id, r.ordering_key, r.bytes, 'pending', r.received_at
    FROM unnest(ids, types, ordering_keys, instants, partitions, sizes)
        WITH ORDINALITY AS r (id, events_id, ordering_key, received_at, partition, bytes, number);
    INSERT INTO tallies (events_id, shard, published, delivered, failed, unmatched)
    SELECT t.events_id, 0, t.published, 0, 0, 0 FROM unnest(counted_types, counts) AS t (events_id, published)
    ON CONFLICT (events_id, shard) DO UPDATE SET published = tallies.published + excluded.published;
    RETURN base;
END
$$;

-- The same, committed, and on the disk when it returns. Not within a transaction.
CREATE PROCEDURE append_events(
    INOUT place bigint, ids uuid[], types text[], object_ids text[], object_texts text[], ordering_keys text[], dts text[], datas text[],
    idempotency_keys text[], instants timestamptz[], partitions bigint[], sizes bigint[], counted_types text[], counts bigint[]
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    place := append_rows(place, ids, types, object_ids, object_texts, ordering_keys, dts, datas, idempotency_keys, instants, partitions,
        sizes, counted_types, counts);
    COMMIT;
    -- A transaction of its own that writes something, however little: its commit waits for the log, and for a standby where commits do.
    PERFORM pg_logical_emit_message(true, 'baton', '');
END
$$;
