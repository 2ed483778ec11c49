-- Certificates of devices: whose each is, and whether it still counts. Their keys are nowhere here.
CREATE TABLE certificate (
    tenant TEXT NOT NULL,
    id BLOB NOT NULL,
    endpoint_id TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    serial TEXT NOT NULL,
    issuer TEXT NOT NULL,
    pem TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    replaces BLOB,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    first_used_at INTEGER,
    revoked_at INTEGER,
    revoked_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE UNIQUE INDEX certificate_fingerprint ON certificate (fingerprint);
CREATE INDEX certificate_endpoint ON certificate (tenant, endpoint_id, id);
CREATE INDEX certificate_revoked ON certificate (revoked_at) WHERE revoked_at IS NOT NULL;
