// Whether a typed value fits what the model says, before it is sent anywhere. Pure.
// The server checks again and the device has the last word; this only spares a round trip.
import type { ValueType } from '~/api/devices';

const INTEGER = /^[+-]?\d+$/;
const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;
const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})?$/;
const HEX = /^([0-9a-fA-F]{2})*$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

const limits: Record<string, [bigint, bigint]> = {
  int: [-(2n ** 31n), 2n ** 31n - 1n],
  unsignedInt: [0n, 2n ** 32n - 1n],
  long: [-(2n ** 63n), 2n ** 63n - 1n],
  unsignedLong: [0n, 2n ** 64n - 1n],
};

/** What is wrong with `text`, in words; undefined when it fits. */
export function checkValue(type: ValueType | null | undefined, text: string): string | undefined {
  if (!type) return undefined;
  if (!type.list) return checkItem(type, text);
  if (text === '') return undefined;
  for (const item of text.split(',')) {
    const wrong = checkItem(type, item.trim());
    if (wrong) return `"${item.trim()}": ${wrong}`;
  }
  return undefined;
}

function checkItem(type: ValueType, text: string): string | undefined {
  if (type.enumeration.length > 0) {
    return type.enumeration.includes(text) ? undefined : `one of ${type.enumeration.join(', ')}`;
  }
  switch (type.base) {
    case 'boolean':
      return ['true', 'false', '1', '0'].includes(text) ? undefined : 'true or false';
    case 'int':
    case 'unsignedInt':
    case 'long':
    case 'unsignedLong': {
      if (!INTEGER.test(text)) return 'a whole number';
      const n = BigInt(text.replace(/^\+/, ''));
      const [min, max] = limits[type.base] ?? [n, n];
      if (n < min || n > max) return `from ${min} to ${max}`;
      return checkRanges(type, (low, high) => (low === undefined || n >= BigInt(low)) && (high === undefined || n <= BigInt(high)));
    }
    case 'decimal': {
      if (!DECIMAL.test(text)) return 'a number';
      const n = Number(text);
      return checkRanges(type, (low, high) => (low === undefined || n >= Number(low)) && (high === undefined || n <= Number(high)));
    }
    case 'dateTime':
      return DATE_TIME.test(text) ? undefined : 'a time such as 2026-01-31T12:00:00Z';
    case 'hexBinary':
      return HEX.test(text) ? checkLength(type, text.length / 2, 'bytes') : 'pairs of hexadecimal digits';
    case 'base64':
      return BASE64.test(text) && text.length % 4 === 0 ? undefined : 'base64';
    case 'string':
      return checkLength(type, [...text].length, 'characters');
    default:
      return undefined;
  }
}

function checkRanges(type: ValueType, inside: (low?: string, high?: string) => boolean): string | undefined {
  if (type.ranges.length === 0) return undefined;
  try {
    if (type.ranges.some((range) => inside(range.min ?? undefined, range.max ?? undefined))) return undefined;
  } catch {
    // A range the browser cannot read is the server's to check.
    return undefined;
  }
  return type.ranges.map((range) => `${range.min ?? 'any'} to ${range.max ?? 'any'}`).join(' or ');
}

function checkLength(type: ValueType, length: number, unit: string): string | undefined {
  if (type.length_min != null && length < type.length_min) return `at least ${type.length_min} ${unit}, this has ${length}`;
  if (type.length_max != null && length > type.length_max) return `at most ${type.length_max} ${unit}, this has ${length}`;
  return undefined;
}
