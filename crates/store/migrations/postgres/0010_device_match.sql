-- Two devices that may be one, until a person decides; a decision that they are not stays, so that nobody asks again.
CREATE TABLE device_match (
    tenant TEXT COLLATE "C" NOT NULL,
    id UUID NOT NULL,
    device UUID NOT NULL,
    other UUID NOT NULL,
    identity TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    rejected_at BIGINT,
    rejected_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX device_match_pair ON device_match (tenant, device, other);
CREATE INDEX device_match_other ON device_match (tenant, other);
-- The user name under which a path comes, where that is the id of another device: before a merge or a split.
ALTER TABLE management_path ADD COLUMN login UUID;
CREATE INDEX management_path_login ON management_path (login) WHERE login IS NOT NULL;
CREATE INDEX management_path_device ON management_path (device, transport);
