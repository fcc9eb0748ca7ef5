-- A function of PostgreSQL only: SQLite records with statements of the program.
SELECT 1;
