-- Networks from where a person has signed in: what strangers guess elsewhere does not keep them out there.
CREATE TABLE known_network (
    tenant TEXT NOT NULL,
    user_id BLOB NOT NULL,
    network TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, user_id, network)
) STRICT, WITHOUT ROWID;
