-- Values of the whole installation; the secret of a setup key, sealed with the master key, which is kept elsewhere.
CREATE TABLE setting (
    name TEXT COLLATE "C" NOT NULL,
    value BYTEA NOT NULL,
    PRIMARY KEY (name)
);
ALTER TABLE setup_key ADD COLUMN sealed BYTEA;
