-- Whose the queues are that a broker keeps for devices.
CREATE TABLE broker_queue (
    name TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    endpoint TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (name)
);
CREATE INDEX broker_queue_owner ON broker_queue (tenant, endpoint, at);
