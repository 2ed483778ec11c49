-- The first schema. The SQLite and the PostgreSQL file of a number describe the same tables; a test compares them.
-- Times are milliseconds since the Unix epoch, 0 in a NOT NULL column means never; hashes are SHA-256.

-- The tenants. event_head is the last sequence number of the tenant's event log: whoever appends holds this row.
CREATE TABLE tenant (
    id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT,
    event_head BIGINT NOT NULL,
    event_floor BIGINT NOT NULL,
    PRIMARY KEY (id)
);

-- People who sign in.
CREATE TABLE app_user (
    id UUID NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    login TEXT COLLATE "C" NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    platform BIGINT NOT NULL,
    password_hash TEXT COLLATE "C" NOT NULL,
    must_change_password BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT,
    last_sign_in_at BIGINT,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX app_user_login ON app_user (login);
CREATE INDEX app_user_tenant ON app_user (tenant, login);

-- Console sessions, by the hash of their cookie.
CREATE TABLE sign_in (
    hash BYTEA NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    user_id UUID NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    peer TEXT COLLATE "C" NOT NULL,
    user_agent TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (hash)
);
CREATE INDEX sign_in_user ON sign_in (tenant, user_id, created_at);
CREATE INDEX sign_in_expiry ON sign_in (expires_at);

-- API tokens, by the hash of their secret.
CREATE TABLE token (
    id UUID NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    user_id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL,
    prefix TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX token_hash ON token (hash);
CREATE INDEX token_tenant ON token (tenant, user_id);

-- Keys with which new devices introduce themselves, by hash.
CREATE TABLE setup_key (
    id UUID NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL,
    prefix TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    created_by UUID,
    expires_at BIGINT,
    uses_max BIGINT,
    uses BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX setup_key_hash ON setup_key (hash);
CREATE INDEX setup_key_tenant ON setup_key (tenant, id);

-- Devices; the columns an operator searches by are copies of last-known values. Presence is derived from the evidence, never stored.
CREATE TABLE device (
    tenant TEXT COLLATE "C" NOT NULL,
    id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    sort_name TEXT COLLATE "C" NOT NULL,
    tags TEXT COLLATE "C" NOT NULL,
    protocol TEXT COLLATE "C" NOT NULL,
    onboarding TEXT COLLATE "C" NOT NULL,
    manufacturer TEXT COLLATE "C" NOT NULL,
    oui TEXT COLLATE "C" NOT NULL,
    product_class TEXT COLLATE "C" NOT NULL,
    serial TEXT COLLATE "C" NOT NULL,
    model_name TEXT COLLATE "C" NOT NULL,
    hardware_version TEXT COLLATE "C" NOT NULL,
    software_version TEXT COLLATE "C" NOT NULL,
    endpoint_id TEXT COLLATE "C" NOT NULL,
    external_ip TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    model_key TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    connected_at BIGINT NOT NULL,
    disconnected_at BIGINT NOT NULL,
    heard_at BIGINT NOT NULL,
    booted_at BIGINT NOT NULL,
    boot_cause TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX device_sort_name ON device (tenant, sort_name, id);
CREATE INDEX device_manufacturer ON device (tenant, manufacturer, id);
CREATE INDEX device_model_name ON device (tenant, model_name, id);
CREATE INDEX device_product_class ON device (tenant, product_class, id);
CREATE INDEX device_software_version ON device (tenant, software_version, id);
CREATE INDEX device_serial ON device (tenant, serial, id);
CREATE INDEX device_external_ip ON device (tenant, external_ip, id);
CREATE INDEX device_heard ON device (tenant, heard_at, id);

-- Search terms of devices.
CREATE TABLE device_term (
    tenant TEXT COLLATE "C" NOT NULL,
    term TEXT COLLATE "C" NOT NULL,
    device UUID NOT NULL,
    PRIMARY KEY (tenant, term, device)
);
CREATE INDEX device_term_device ON device_term (tenant, device);

-- Tags of devices.
CREATE TABLE device_tag (
    tenant TEXT COLLATE "C" NOT NULL,
    tag TEXT COLLATE "C" NOT NULL,
    device UUID NOT NULL,
    PRIMARY KEY (tenant, tag, device)
);
CREATE INDEX device_tag_device ON device_tag (tenant, device);

-- What a device is known by; each identity leads to one device.
CREATE TABLE identity (
    tenant TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    device UUID NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant, kind, value)
);
CREATE INDEX identity_device ON identity (tenant, device);

-- The ways to a device, with its credentials as hashes only.
CREATE TABLE management_path (
    tenant TEXT COLLATE "C" NOT NULL,
    device UUID NOT NULL,
    transport TEXT COLLATE "C" NOT NULL,
    endpoint_id TEXT COLLATE "C" NOT NULL,
    dial_url TEXT COLLATE "C",
    credential_hash BYTEA,
    pending_hash BYTEA,
    pending_at BIGINT,
    previous_hash BYTEA,
    setup_key UUID,
    readmit_until BIGINT,
    certificate_required BIGINT NOT NULL,
    info TEXT COLLATE "C" NOT NULL,
    peer TEXT COLLATE "C" NOT NULL,
    authenticated_by TEXT COLLATE "C" NOT NULL,
    node TEXT COLLATE "C",
    link BIGINT NOT NULL,
    connected_at BIGINT,
    disconnected_at BIGINT,
    disconnect_reason TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, device, transport)
);
CREATE UNIQUE INDEX management_path_credential ON management_path (credential_hash);
CREATE UNIQUE INDEX management_path_pending ON management_path (pending_hash);
CREATE INDEX management_path_previous ON management_path (previous_hash) WHERE previous_hash IS NOT NULL;
CREATE INDEX management_path_endpoint ON management_path (tenant, endpoint_id);
CREATE INDEX management_path_node ON management_path (node, tenant) WHERE node IS NOT NULL;
CREATE INDEX management_path_dial ON management_path (tenant, device) WHERE dial_url IS NOT NULL;

-- Supported data models, once per model and firmware, compressed.
CREATE TABLE model (
    tenant TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL,
    discovered_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX model_used ON model (tenant, used_at);

-- Last-known values: one compressed document per device and top-level object.
CREATE TABLE value_document (
    tenant TEXT COLLATE "C" NOT NULL,
    device UUID NOT NULL,
    object TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL,
    value_count BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, device, object)
);

-- Operations. The document is the operation itself, the columns are what it is found and leased by.
CREATE TABLE operation (
    tenant TEXT COLLATE "C" NOT NULL,
    id UUID NOT NULL,
    device UUID NOT NULL,
    seq BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    is_open BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    requested_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    finished_at BIGINT,
    idempotency_key TEXT COLLATE "C",
    fingerprint BYTEA,
    lease_node TEXT COLLATE "C",
    lease_until BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    document BYTEA NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX operation_sequence ON operation (tenant, device, seq);
CREATE UNIQUE INDEX operation_idempotency ON operation (tenant, idempotency_key);
CREATE INDEX operation_state ON operation (tenant, state, id);
CREATE INDEX operation_open ON operation (tenant, device, seq) WHERE is_open = 1;
CREATE INDEX operation_due ON operation (due_at) WHERE is_open = 1;
CREATE INDEX operation_finished ON operation (tenant, finished_at) WHERE is_open = 0;
CREATE INDEX operation_device ON operation (tenant, device, id);

-- What went over the wire for an operation.
CREATE TABLE transcript (
    tenant TEXT COLLATE "C" NOT NULL,
    operation UUID NOT NULL,
    n BIGINT NOT NULL,
    at BIGINT NOT NULL,
    direction TEXT COLLATE "C" NOT NULL,
    what TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (tenant, operation, n)
);

-- The event log of each tenant: append-only, numbered without gaps.
CREATE TABLE event (
    tenant TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    device UUID,
    operation UUID,
    actor TEXT COLLATE "C" NOT NULL,
    dedupe BIGINT,
    body TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, seq)
);
CREATE INDEX event_device ON event (tenant, device, seq) WHERE device IS NOT NULL;
CREATE INDEX event_operation ON event (tenant, operation, seq) WHERE operation IS NOT NULL;

-- Connections that were refused, equal ones counted; the empty tenant holds those that named none.
CREATE TABLE refusal (
    tenant TEXT COLLATE "C" NOT NULL,
    key BYTEA NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL,
    peer TEXT COLLATE "C" NOT NULL,
    endpoint_id TEXT COLLATE "C" NOT NULL,
    transport TEXT COLLATE "C" NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    times BIGINT NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX refusal_last ON refusal (tenant, last_at);

-- Answers to requests that carried an idempotency key.
CREATE TABLE idempotency (
    tenant TEXT COLLATE "C" NOT NULL,
    principal TEXT COLLATE "C" NOT NULL,
    endpoint TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    status BIGINT,
    body TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, principal, endpoint, key)
);
CREATE INDEX idempotency_created ON idempotency (tenant, created_at);
