-- A free-text search asks of one device after the other whether it has a term: the index alone answers that.
DROP INDEX device_term_device;
CREATE INDEX device_term_device ON device_term (tenant, device, term);
