-- Setup keys that are swapped: the credential that was pending before the one that is, which node is about to swap and
-- until when nobody else does, and the setup key with which a device came to a broker that asks.
ALTER TABLE management_path ADD COLUMN former_pending_hash BLOB;
ALTER TABLE management_path ADD COLUMN swap_node TEXT;
ALTER TABLE management_path ADD COLUMN swap_until INTEGER;
ALTER TABLE management_path ADD COLUMN swap_key BLOB;
CREATE INDEX management_path_former_pending ON management_path (former_pending_hash) WHERE former_pending_hash IS NOT NULL;
-- Who has the name of an agent, in whichever tenant.
CREATE INDEX identity_endpoint ON identity (value, device) WHERE kind = 'usp_endpoint';
