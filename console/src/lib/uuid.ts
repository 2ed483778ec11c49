// Ids of things in addresses.

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether this can be the id of a device or an operation. */
export const isUuid = (text: string) => UUID.test(text);
