-- Files for devices and of devices. What is in them lies in a folder, under the hash.
CREATE TABLE file (
    tenant TEXT NOT NULL,
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    vendor TEXT NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    note TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    device BLOB,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX file_content ON file (tenant, sha256);

-- Files on their way to or from a device, one for an operation; the link as a hash only. covered has the parts of the
-- file that went over the wire.
CREATE TABLE transfer (
    tenant TEXT NOT NULL,
    id BLOB NOT NULL,
    device BLOB NOT NULL,
    operation BLOB NOT NULL,
    direction TEXT NOT NULL,
    state TEXT NOT NULL,
    file BLOB,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    size INTEGER,
    covered TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    token_hash BLOB NOT NULL,
    peer TEXT NOT NULL,
    error TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    started_at INTEGER,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE UNIQUE INDEX transfer_token ON transfer (token_hash);
CREATE UNIQUE INDEX transfer_operation ON transfer (tenant, operation);
CREATE INDEX transfer_device ON transfer (tenant, device, id);
CREATE INDEX transfer_file ON transfer (tenant, file) WHERE file IS NOT NULL;
CREATE INDEX transfer_expiry ON transfer (tenant, expires_at);
