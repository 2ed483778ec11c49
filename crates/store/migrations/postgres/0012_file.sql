-- Files for devices and of devices. What is in them lies in a folder, under the hash.
CREATE TABLE file (
    tenant TEXT COLLATE "C" NOT NULL,
    id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    vendor TEXT COLLATE "C" NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    note TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    sha256 BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    device UUID,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX file_content ON file (tenant, sha256);

-- Files on their way to or from a device, one for an operation; the link as a hash only. covered has the parts of the
-- file that went over the wire.
CREATE TABLE transfer (
    tenant TEXT COLLATE "C" NOT NULL,
    id UUID NOT NULL,
    device UUID NOT NULL,
    operation UUID NOT NULL,
    direction TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    file UUID,
    name TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    size BIGINT,
    covered TEXT COLLATE "C" NOT NULL,
    bytes BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    token_hash BYTEA NOT NULL,
    peer TEXT COLLATE "C" NOT NULL,
    error TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    started_at BIGINT,
    updated_at BIGINT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX transfer_token ON transfer (token_hash);
CREATE UNIQUE INDEX transfer_operation ON transfer (tenant, operation);
CREATE INDEX transfer_device ON transfer (tenant, device, id);
CREATE INDEX transfer_file ON transfer (tenant, file) WHERE file IS NOT NULL;
CREATE INDEX transfer_expiry ON transfer (tenant, expires_at);
