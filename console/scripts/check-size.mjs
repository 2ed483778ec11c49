// Fails the build when what the first page loads is over budget.
// Counted: index.html, the entry chunk, everything it imports statically, and their CSS, gzip-compressed.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const BUDGET_BYTES = 250_000; // console.md: first load under 250 kB compressed.
const dist = new URL('../dist/', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('.vite/manifest.json', dist), 'utf8'));

const wanted = new Set(['index.html']);
const seen = new Set();
function visit(key) {
  if (seen.has(key)) return;
  seen.add(key);
  const chunk = manifest[key];
  wanted.add(chunk.file);
  for (const css of chunk.css ?? []) wanted.add(css);
  for (const next of chunk.imports ?? []) visit(next);
}
for (const [key, chunk] of Object.entries(manifest)) if (chunk.isEntry) visit(key);
// The page people land on is part of the first load.
if (manifest['src/pages/devices.tsx']) visit('src/pages/devices.tsx');

let total = 0;
for (const file of wanted) {
  const size = gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length;
  total += size;
  console.log(`${String(size).padStart(8)}  ${file}`);
}
console.log(`${String(total).padStart(8)}  first load (budget ${BUDGET_BYTES})`);
if (total > BUDGET_BYTES) {
  console.error('The first load is over budget: split a page or drop a dependency.');
  process.exit(1);
}
