-- A device that left as it was asked to, as for a restart: until when that is no loss; 0 for any other.
ALTER TABLE device ADD COLUMN back_by INTEGER NOT NULL DEFAULT 0;
