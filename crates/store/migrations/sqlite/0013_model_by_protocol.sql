-- The key of the model that a device tells over CWMP; what it tells over USP is another one, and stays in model_key.
ALTER TABLE device ADD COLUMN cwmp_model_key TEXT NOT NULL DEFAULT '';
