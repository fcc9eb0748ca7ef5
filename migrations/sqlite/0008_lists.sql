-- The orders in which handlers are listed: with some thousands of them, sorting all for each page is what the page waits for.
CREATE INDEX handlers_priority ON handlers (priority, id);
CREATE INDEX handlers_name ON handlers (name_key, id);
CREATE INDEX handlers_event ON handlers (event, id);
CREATE INDEX handlers_updated ON handlers (updated_at, id);

-- What failed at one handler. Successes, which are most, cost it nothing.
CREATE INDEX executions_rare_handler ON executions (handler_id, id) WHERE status <> 'success';
