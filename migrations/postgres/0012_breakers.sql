-- The circuit breakers that a dispatcher holds open: JSON as text, renewed with its lease.
ALTER TABLE instances ADD COLUMN breakers text NOT NULL DEFAULT '[]';
