-- Commands that may have left: they are looked through all the time, and are few among all that waits for devices.
CREATE INDEX operation_left ON operation (tenant, device, seq)
    WHERE is_open = 1 AND kind = 'operate' AND state IN ('running', 'verifying');
