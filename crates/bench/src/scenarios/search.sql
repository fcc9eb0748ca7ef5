-- Events of a week with one execution each, of which one in a hundred failed; written as Baton writes them.
BEGIN;
CREATE TEMP TABLE made AS
SELECT i AS seq,
       (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(i & 4095), 3, '0') || '8' || lpad(to_hex(i), 15, '0'))::uuid AS event_id,
       (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(i & 4095), 3, '0') || '9' || lpad(to_hex(i), 15, '0'))::uuid AS execution_id,
       (ARRAY['clients.update', 'clients.create', 'clients.balance_zero', 'clients.accounts.update', 'clients.subscriptions.renew'])
           [1 + i % 5] AS events_id,
       1 + i * 7919 % 50000 AS object_id,
       1 + i % :handlers AS handler_id,
       i % 100 = 0 AS failed,
       to_timestamp(ms / 1000.0) AS at
FROM (SELECT i, (extract(epoch FROM now()) * 1000)::bigint - (:rows - i) * (7 * 86400000::bigint / :rows) AS ms
      FROM generate_series(1::bigint, :rows) AS i) AS numbered;

INSERT INTO events (seq, id, events_id, object_id, object_text, ordering_key, dt, data, received_at)
SELECT seq, event_id, events_id, object_id::text, object_id::text, 'client/' || object_id,
       to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'),
       '{"n":' || seq || ',"id":' || object_id || ',"name":"Northwind ' || object_id || ' Voice Ltd","companies_id":3,"currencies_id":1,'
           || '"status":"active","credit":250.0,"c_email_billing":"ap@northwind.example","orig_capacity":60,"tags":["wholesale"]}',
       at
FROM made;

INSERT INTO results (event_id, event_seq, status, generation, finished_at)
SELECT event_id, seq, 'failed', :generation, at + interval '5 milliseconds' FROM made WHERE failed;

INSERT INTO executions (id, event_id, seq, events_id, object_id, handler_id, handler_name, priority, generation, attempt, status,
                        started_at, duration_ms, error, response)
SELECT execution_id, event_id, seq, events_id, object_id::text, handler_id, 'CRM ' || handler_id || ': tells the warehouse', 100, :generation, 1,
       CASE WHEN failed THEN 'fail' ELSE 'success' END, at, 3,
       CASE WHEN failed THEN 'the handler answered 50' || seq / 100 % 4 END,
       '{"status":' || CASE WHEN failed THEN 500 + seq / 100 % 4 ELSE 200 END
           || ',"headers":{"content-length":"15","date":"Wed, 04 Mar 2026 09:15:27 GMT"},"body":"{\"taken\":true}\n","truncated":false}'
FROM made;

INSERT INTO tallies (events_id, shard, published, delivered, failed, unmatched)
SELECT events_id, 0, count(*), count(*) FILTER (WHERE NOT failed), count(*) FILTER (WHERE failed), 0 FROM made GROUP BY events_id
ON CONFLICT (events_id, shard) DO UPDATE
SET published = tallies.published + excluded.published, delivered = tallies.delivered + excluded.delivered,
    failed = tallies.failed + excluded.failed;
UPDATE append_position SET seq = :rows;
DROP TABLE made;
COMMIT;
ANALYZE;
