-- The first schema. The SQLite and the PostgreSQL file of a number describe the same tables; a test compares them.
-- Times are milliseconds since the Unix epoch, 0 in a NOT NULL column means never; hashes are SHA-256.

-- The tenants. event_head is the last sequence number of the tenant's event log: whoever appends holds this row.
CREATE TABLE tenant (
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER,
    event_head INTEGER NOT NULL,
    event_floor INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;

-- People who sign in.
CREATE TABLE app_user (
    id BLOB NOT NULL,
    tenant TEXT NOT NULL,
    login TEXT NOT NULL,
    display_name TEXT NOT NULL,
    role TEXT NOT NULL,
    platform INTEGER NOT NULL,
    password_hash TEXT NOT NULL,
    must_change_password INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER,
    last_sign_in_at INTEGER,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX app_user_login ON app_user (login);
CREATE INDEX app_user_tenant ON app_user (tenant, login);

-- Console sessions, by the hash of their cookie.
CREATE TABLE sign_in (
    hash BLOB NOT NULL,
    tenant TEXT NOT NULL,
    user_id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    peer TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    PRIMARY KEY (hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_user ON sign_in (tenant, user_id, created_at);
CREATE INDEX sign_in_expiry ON sign_in (expires_at);

-- API tokens, by the hash of their secret.
CREATE TABLE token (
    id BLOB NOT NULL,
    tenant TEXT NOT NULL,
    user_id BLOB NOT NULL,
    name TEXT NOT NULL,
    hash BLOB NOT NULL,
    prefix TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX token_hash ON token (hash);
CREATE INDEX token_tenant ON token (tenant, user_id);

-- Keys with which new devices introduce themselves, by hash.
CREATE TABLE setup_key (
    id BLOB NOT NULL,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    hash BLOB NOT NULL,
    prefix TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by BLOB,
    expires_at INTEGER,
    uses_max INTEGER,
    uses INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at INTEGER,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX setup_key_hash ON setup_key (hash);
CREATE INDEX setup_key_tenant ON setup_key (tenant, id);

-- Devices; the columns an operator searches by are copies of last-known values. Presence is derived from the evidence, never stored.
CREATE TABLE device (
    tenant TEXT NOT NULL,
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    sort_name TEXT NOT NULL,
    tags TEXT NOT NULL,
    protocol TEXT NOT NULL,
    onboarding TEXT NOT NULL,
    manufacturer TEXT NOT NULL,
    oui TEXT NOT NULL,
    product_class TEXT NOT NULL,
    serial TEXT NOT NULL,
    model_name TEXT NOT NULL,
    hardware_version TEXT NOT NULL,
    software_version TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    external_ip TEXT NOT NULL,
    address TEXT NOT NULL,
    model_key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    first_seen_at INTEGER NOT NULL,
    connected_at INTEGER NOT NULL,
    disconnected_at INTEGER NOT NULL,
    heard_at INTEGER NOT NULL,
    booted_at INTEGER NOT NULL,
    boot_cause TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
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
    tenant TEXT NOT NULL,
    term TEXT NOT NULL,
    device BLOB NOT NULL,
    PRIMARY KEY (tenant, term, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_term_device ON device_term (tenant, device);

-- Tags of devices.
CREATE TABLE device_tag (
    tenant TEXT NOT NULL,
    tag TEXT NOT NULL,
    device BLOB NOT NULL,
    PRIMARY KEY (tenant, tag, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_tag_device ON device_tag (tenant, device);

-- What a device is known by; each identity leads to one device.
CREATE TABLE identity (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    device BLOB NOT NULL,
    source TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_device ON identity (tenant, device);

-- The ways to a device, with its credentials as hashes only.
CREATE TABLE management_path (
    tenant TEXT NOT NULL,
    device BLOB NOT NULL,
    transport TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    dial_url TEXT,
    credential_hash BLOB,
    pending_hash BLOB,
    pending_at INTEGER,
    previous_hash BLOB,
    setup_key BLOB,
    readmit_until INTEGER,
    certificate_required INTEGER NOT NULL,
    info TEXT NOT NULL,
    peer TEXT NOT NULL,
    authenticated_by TEXT NOT NULL,
    node TEXT,
    link INTEGER NOT NULL,
    connected_at INTEGER,
    disconnected_at INTEGER,
    disconnect_reason TEXT NOT NULL,
    PRIMARY KEY (tenant, device, transport)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX management_path_credential ON management_path (credential_hash);
CREATE UNIQUE INDEX management_path_pending ON management_path (pending_hash);
CREATE INDEX management_path_previous ON management_path (previous_hash) WHERE previous_hash IS NOT NULL;
CREATE INDEX management_path_endpoint ON management_path (tenant, endpoint_id);
CREATE INDEX management_path_node ON management_path (node, tenant) WHERE node IS NOT NULL;
CREATE INDEX management_path_dial ON management_path (tenant, device) WHERE dial_url IS NOT NULL;

-- Supported data models, once per model and firmware, compressed.
CREATE TABLE model (
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    discovered_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT;
CREATE INDEX model_used ON model (tenant, used_at);

-- Last-known values: one compressed document per device and top-level object.
CREATE TABLE value_document (
    tenant TEXT NOT NULL,
    device BLOB NOT NULL,
    object TEXT NOT NULL,
    body BLOB NOT NULL,
    value_count INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, device, object)
) STRICT;

-- Operations. The document is the operation itself, the columns are what it is found and leased by.
CREATE TABLE operation (
    tenant TEXT NOT NULL,
    id BLOB NOT NULL,
    device BLOB NOT NULL,
    seq INTEGER NOT NULL,
    state TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    kind TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    finished_at INTEGER,
    idempotency_key TEXT,
    fingerprint BLOB,
    lease_node TEXT,
    lease_until INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE UNIQUE INDEX operation_sequence ON operation (tenant, device, seq);
CREATE UNIQUE INDEX operation_idempotency ON operation (tenant, idempotency_key);
CREATE INDEX operation_state ON operation (tenant, state, id);
CREATE INDEX operation_open ON operation (tenant, device, seq) WHERE is_open = 1;
CREATE INDEX operation_due ON operation (due_at) WHERE is_open = 1;
CREATE INDEX operation_finished ON operation (tenant, finished_at) WHERE is_open = 0;
CREATE INDEX operation_device ON operation (tenant, device, id);

-- What went over the wire for an operation.
CREATE TABLE transcript (
    tenant TEXT NOT NULL,
    operation BLOB NOT NULL,
    n INTEGER NOT NULL,
    at INTEGER NOT NULL,
    direction TEXT NOT NULL,
    what TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (tenant, operation, n)
) STRICT;

-- The event log of each tenant: append-only, numbered without gaps.
CREATE TABLE event (
    tenant TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    device BLOB,
    operation BLOB,
    actor TEXT NOT NULL,
    dedupe INTEGER,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_device ON event (tenant, device, seq) WHERE device IS NOT NULL;
CREATE INDEX event_operation ON event (tenant, operation, seq) WHERE operation IS NOT NULL;

-- Connections that were refused, equal ones counted; the empty tenant holds those that named none.
CREATE TABLE refusal (
    tenant TEXT NOT NULL,
    key BLOB NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    peer TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    transport TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX refusal_last ON refusal (tenant, last_at);

-- Answers to requests that carried an idempotency key.
CREATE TABLE idempotency (
    tenant TEXT NOT NULL,
    principal TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    status INTEGER,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, principal, endpoint, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_created ON idempotency (tenant, created_at);
