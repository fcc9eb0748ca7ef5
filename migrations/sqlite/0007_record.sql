-- PostgreSQL has a function that records results in one round trip. SQLite runs in the process: its statements need none.
SELECT 1;
