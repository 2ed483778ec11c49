-- What CWMP devices told before 0013 was kept where USP has its own. (One that speaks both tells it anew.)
UPDATE device SET cwmp_model_key = model_key, model_key = ''
WHERE protocol = 'cwmp' AND cwmp_model_key = '' AND model_key <> '';
-- The dashes of a product class are written as %2D in the name under which a device comes; before, they were not.
UPDATE identity SET value = (
    SELECT upper(d.oui) || '-' || replace(replace(d.product_class, '%', '%25'), '-', '%2D') || '-' || d.serial
    FROM device d WHERE d.tenant = identity.tenant AND d.id = identity.device
)
WHERE kind = 'cwmp_device' AND EXISTS (
    SELECT 1 FROM device d WHERE d.tenant = identity.tenant AND d.id = identity.device
    AND identity.value = upper(d.oui) || '-' || d.product_class || '-' || d.serial
    AND d.product_class <> replace(replace(d.product_class, '%', '%25'), '-', '%2D')
    AND NOT EXISTS (
        SELECT 1 FROM identity other WHERE other.tenant = d.tenant AND other.kind = 'cwmp_device' AND other.value =
        upper(d.oui) || '-' || replace(replace(d.product_class, '%', '%25'), '-', '%2D') || '-' || d.serial
    )
);
