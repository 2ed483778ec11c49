-- The address that is shown is that of the WAN side, else the one the device last came from: one index finds either.
DROP INDEX device_external_ip;
CREATE INDEX device_external_ip ON device (tenant, external_ip, address, id);
