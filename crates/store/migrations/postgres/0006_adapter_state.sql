-- What an adapter remembers of a device, and of a model with one firmware: documents of its own, opaque here.
CREATE TABLE device_state (
    tenant TEXT COLLATE "C" NOT NULL,
    device UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    document BYTEA NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, device, name)
);
CREATE TABLE model_state (
    tenant TEXT COLLATE "C" NOT NULL,
    model_key TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    document BYTEA NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, model_key, name)
);
CREATE INDEX model_state_updated ON model_state (tenant, updated_at);
