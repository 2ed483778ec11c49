-- Who is behind a refusal, of whom only so many are kept apart: an address, a broker, a device.
ALTER TABLE refusal ADD COLUMN source TEXT NOT NULL DEFAULT '';
