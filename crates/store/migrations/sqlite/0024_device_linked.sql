-- Devices with a link, by when they were heard: those that nobody hears any more are looked for all the time, and those
-- without a link are many.
CREATE INDEX device_linked ON device (tenant, heard_at) WHERE connected_at > disconnected_at;
