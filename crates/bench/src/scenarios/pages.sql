-- What else the pages of the console show, made of the executions that are there: dead letters, and statistics by the minute and by the hour.
BEGIN;
INSERT INTO deliveries (seq, handler_id, event_id, event_seq, events_id, object_id, object_text, handler_name, generation, state, attempts,
                        next_attempt_at, last_error, updated_at, replayed_at)
SELECT seq, handler_id, event_id, seq, events_id, object_id, object_id, handler_name, generation, 'dead', 1, NULL, error, started_at, NULL
FROM executions WHERE status = 'fail';

CREATE TEMP TABLE counted AS
SELECT s.minutes, x.handler_id, to_timestamp(floor(extract(epoch FROM x.started_at) / (s.minutes * 60)) * (s.minutes * 60)) AS begins_at,
       count(*) AS calls, count(*) FILTER (WHERE x.status = 'fail') AS failed
FROM executions x CROSS JOIN (VALUES (1), (60)) AS s (minutes)
WHERE s.minutes = 60 OR x.started_at > now() - interval '3 hours'
GROUP BY 1, 2, 3;
INSERT INTO counted SELECT minutes, 0, begins_at, sum(calls), sum(failed) FROM counted GROUP BY minutes, begins_at;

-- 20 and 21 are the buckets of 3 to 4 ms. In the order of time, as processes write what they have counted.
INSERT INTO minutes (minutes, handler_id, begins_at, id, published, succeeded, failed, skipped, duration_us, durations, first_calls)
SELECT minutes, handler_id, begins_at, gen_random_uuid(), CASE WHEN handler_id = 0 THEN calls ELSE 0 END, calls - failed, failed, 0,
       calls * 3200, '{"20":' || calls - calls / 3 || ',"21":' || calls / 3 || '}', '{"15":' || calls || '}'
FROM counted ORDER BY begins_at, handler_id;
DROP TABLE counted;
COMMIT;
ANALYZE;
