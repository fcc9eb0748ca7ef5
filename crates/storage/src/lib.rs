//! All SQL of Baton: one Store on PostgreSQL and SQLite.
