-- Forgotten keys are found by their age. New ones go in at the end of it.
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
