-- Values of the whole installation; the secret of a setup key, sealed with the master key, which is kept elsewhere.
CREATE TABLE setting (
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;
ALTER TABLE setup_key ADD COLUMN sealed BLOB;
