-- Devices that were never onboarded, to count them.
CREATE INDEX device_unfinished ON device (tenant, id) WHERE onboarding <> 'complete';
