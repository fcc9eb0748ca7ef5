-- A function and a procedure of PostgreSQL only: SQLite appends with statements of the program, and has one writer.
SELECT 1;
