-- What was said in the last sessions of devices that come at intervals, and which faults they answered with.
CREATE TABLE management_session (
    tenant TEXT COLLATE "C" NOT NULL,
    device UUID NOT NULL,
    id UUID NOT NULL,
    protocol TEXT COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    peer TEXT COLLATE "C" NOT NULL,
    events TEXT COLLATE "C" NOT NULL,
    ending TEXT COLLATE "C" NOT NULL,
    faults BIGINT NOT NULL,
    document BYTEA NOT NULL,
    PRIMARY KEY (tenant, device, id)
);
CREATE INDEX management_session_ended ON management_session (tenant, ended_at);

-- Which devices of a model showed a fault: the last time of each.
CREATE TABLE fault_seen (
    tenant TEXT COLLATE "C" NOT NULL,
    model_key TEXT COLLATE "C" NOT NULL,
    code BIGINT NOT NULL,
    parameter TEXT COLLATE "C" NOT NULL,
    device UUID NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, model_key, code, parameter, device)
);
CREATE INDEX fault_seen_device ON fault_seen (tenant, device, last_at);
CREATE INDEX fault_seen_last ON fault_seen (tenant, last_at);
