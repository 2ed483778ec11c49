-- Whether another device came from an address is asked of each that may be one with another.
CREATE INDEX management_path_peer ON management_path (tenant, peer);
