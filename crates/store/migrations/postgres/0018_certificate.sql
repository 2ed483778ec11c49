-- Certificates of devices: whose each is, and whether it still counts. Their keys are nowhere here.
CREATE TABLE certificate (
    tenant TEXT COLLATE "C" NOT NULL,
    id UUID NOT NULL,
    endpoint_id TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    serial TEXT COLLATE "C" NOT NULL,
    issuer TEXT COLLATE "C" NOT NULL,
    pem TEXT COLLATE "C" NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    replaces UUID,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    first_used_at BIGINT,
    revoked_at BIGINT,
    revoked_by TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX certificate_fingerprint ON certificate (fingerprint);
CREATE INDEX certificate_endpoint ON certificate (tenant, endpoint_id, id);
CREATE INDEX certificate_revoked ON certificate (revoked_at) WHERE revoked_at IS NOT NULL;
