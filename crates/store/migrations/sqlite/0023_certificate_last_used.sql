-- Which of its certificates a device has come with last: the first use of another one may be later.
ALTER TABLE certificate ADD COLUMN last_used_at INTEGER;
UPDATE certificate SET last_used_at = first_used_at;
