-- Links by when their devices were heard over them: those over which nobody hears them any more are looked for all the
-- time, also where a device is heard in another way.
CREATE INDEX management_path_heard ON management_path (tenant, heard_at) WHERE node IS NOT NULL;
