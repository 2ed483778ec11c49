-- Whose the queues are that a broker keeps for devices.
CREATE TABLE broker_queue (
    name TEXT NOT NULL,
    tenant TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (name)
) STRICT;
CREATE INDEX broker_queue_owner ON broker_queue (tenant, endpoint, at);
