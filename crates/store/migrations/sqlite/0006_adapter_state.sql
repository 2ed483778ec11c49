-- What an adapter remembers of a device, and of a model with one firmware: documents of its own, opaque here.
CREATE TABLE device_state (
    tenant TEXT NOT NULL,
    device BLOB NOT NULL,
    name TEXT NOT NULL,
    document BLOB NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, device, name)
) STRICT;
CREATE TABLE model_state (
    tenant TEXT NOT NULL,
    model_key TEXT NOT NULL,
    name TEXT NOT NULL,
    document BLOB NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, model_key, name)
) STRICT;
CREATE INDEX model_state_updated ON model_state (tenant, updated_at);
