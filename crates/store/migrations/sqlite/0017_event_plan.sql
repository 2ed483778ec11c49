-- What SQLite is told of the log before there is one: that the events of one device or operation are few among all of a
-- tenant. Else it reads the log from its end to find them.
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('event', 'event', '1000000 100000 1'),
    ('event', 'event_device', '1000000 100000 100 1'),
    ('event', 'event_operation', '100000 10000 5 1');
