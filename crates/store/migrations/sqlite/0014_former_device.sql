-- The ids that a device had before it was merged: its log from then is under them. Files that a device sent are found
-- by the device.
CREATE TABLE former_device (
    tenant TEXT NOT NULL,
    former BLOB NOT NULL,
    device BLOB NOT NULL,
    PRIMARY KEY (tenant, former)
) STRICT, WITHOUT ROWID;
CREATE INDEX former_device_of ON former_device (tenant, device);
CREATE INDEX file_device ON file (tenant, device) WHERE device IS NOT NULL;
