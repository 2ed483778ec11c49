-- The newest version of its management protocol that the device and we both speak; empty when it was not asked yet.
ALTER TABLE device ADD COLUMN protocol_version TEXT NOT NULL DEFAULT '';
