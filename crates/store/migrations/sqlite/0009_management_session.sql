-- What was said in the last sessions of devices that come at intervals, and which faults they answered with.
CREATE TABLE management_session (
    tenant TEXT NOT NULL,
    device BLOB NOT NULL,
    id BLOB NOT NULL,
    protocol TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    peer TEXT NOT NULL,
    events TEXT NOT NULL,
    ending TEXT NOT NULL,
    faults INTEGER NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (tenant, device, id)
) STRICT;
CREATE INDEX management_session_ended ON management_session (tenant, ended_at);

-- Which devices of a model showed a fault: the last time of each.
CREATE TABLE fault_seen (
    tenant TEXT NOT NULL,
    model_key TEXT NOT NULL,
    code INTEGER NOT NULL,
    parameter TEXT NOT NULL,
    device BLOB NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, model_key, code, parameter, device)
) STRICT;
CREATE INDEX fault_seen_device ON fault_seen (tenant, device, last_at);
CREATE INDEX fault_seen_last ON fault_seen (tenant, last_at);
