-- Of SQLite alone: PostgreSQL counts by itself.
SELECT 1;
