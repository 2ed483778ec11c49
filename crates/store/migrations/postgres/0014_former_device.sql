-- The ids that a device had before it was merged: its log from then is under them. Files that a device sent are found
-- by the device.
CREATE TABLE former_device (
    tenant TEXT COLLATE "C" NOT NULL,
    former UUID NOT NULL,
    device UUID NOT NULL,
    PRIMARY KEY (tenant, former)
);
CREATE INDEX former_device_of ON former_device (tenant, device);
CREATE INDEX file_device ON file (tenant, device) WHERE device IS NOT NULL;
