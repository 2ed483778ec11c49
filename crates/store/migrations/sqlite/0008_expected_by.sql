-- Presence of devices without an open link: until when their silence is normal, 0 for presence by link. A path keeps
-- when it was last used, and until when it was expected again.
ALTER TABLE device ADD COLUMN expected_by INTEGER NOT NULL DEFAULT 0;
CREATE INDEX device_expected ON device (tenant, expected_by) WHERE expected_by > 0;
ALTER TABLE management_path ADD COLUMN heard_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE management_path ADD COLUMN expected_by INTEGER NOT NULL DEFAULT 0;
