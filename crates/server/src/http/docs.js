'use strict';
// Renders the OpenAPI document. Text goes in as text, never as markup.
const el = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
let schemas = {};

// Markdown as far as the contract uses it: what stands between backticks is code.
const words = (text) =>
  (text || '').split('`').map((part, index) => (index % 2 ? el('code', {}, part) : part));
const paragraph = (text, attributes = {}) => el('p', attributes, ...words(text));

// A schema as a short type expression, references resolved to some depth.
function type(schema, depth = 0) {
  if (!schema) return 'any';
  if (schema.$ref) {
    const name = schema.$ref.split('/').pop();
    return depth > 3 || !schemas[name] ? name : type(schemas[name], depth);
  }
  const pad = '  '.repeat(depth + 1);
  if (schema.allOf) return schema.allOf.map((one) => type(one, depth)).join(' & ');
  if (schema.oneOf) return schema.oneOf.map((one) => type(one, depth)).join(' | ');
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(' | ');
  if (schema.type === 'array') return `${type(schema.items, depth)}[]`;
  if (schema.properties) {
    const required = schema.required || [];
    const lines = Object.entries(schema.properties).map(([name, one]) => {
      const about = one.description || (one.oneOf || []).map((x) => x.description).find(Boolean);
      const note = about ? `  // ${about.split('\n')[0].replaceAll('`', '')}` : '';
      return `${pad}${name}${required.includes(name) ? '' : '?'}: ${type(one, depth + 1)}${note}`;
    });
    return `{\n${lines.join('\n')}\n${'  '.repeat(depth)}}`;
  }
  if (schema.additionalProperties) return `{ [name]: ${type(schema.additionalProperties, depth + 1)} }`;
  const base = Array.isArray(schema.type) ? schema.type.join(' | ') : schema.type || 'any';
  return schema.format ? `${base} (${schema.format})` : base;
}

function body(title, content) {
  return Object.entries(content || {}).flatMap(([kind, one]) => [
    el('h3', {}, `${title} `, el('span', { class: 'dim' }, kind)),
    el('pre', {}, type(one.schema)),
    ...(one.example ? [el('p', { class: 'dim' }, 'For example'), el('pre', {}, JSON.stringify(one.example, null, 2))] : []),
  ]);
}

function inside(operation) {
  const parts = (operation.description || '').split('\n\n').map((text) => paragraph(text));
  if (operation.parameters && operation.parameters.length) {
    const rows = operation.parameters.map((one) =>
      el('tr', {}, el('td', {}, el('code', {}, one.name)), el('td', { class: 'dim' }, one.in),
        el('td', {}, el('code', {}, type(one.schema))), el('td', {}, ...words(one.description))));
    parts.push(el('h3', {}, 'Parameters'), el('table', {}, ...rows));
  }
  if (operation.requestBody) parts.push(...body('Body', operation.requestBody.content));
  for (const [status, one] of Object.entries(operation.responses)) {
    const good = status.startsWith('2');
    if (good && one.content) parts.push(...body(`${status} ${one.description}`, one.content));
    else parts.push(el('p', {}, el('code', {}, status), ' ', ...words(one.description)));
  }
  return el('div', { class: 'inside' }, ...parts);
}

function render(document_, wanted) {
  const list = document.getElementById('list');
  list.replaceChildren();
  for (const tag of document_.tags) {
    const found = [];
    for (const [path, item] of Object.entries(document_.paths)) {
      for (const [verb, operation] of Object.entries(item)) {
        if (!operation.tags || !operation.tags.includes(tag.name)) continue;
        const text = `${verb} ${path} ${operation.operationId} ${operation.summary}`.toLowerCase();
        if (!wanted.every((word) => text.includes(word))) continue;
        const details = el('details', { id: operation.operationId },
          el('summary', {}, el('code', { class: 'verb' }, verb.toUpperCase()), el('code', {}, path),
            el('span', { class: 'words' }, ...words(operation.summary))));
        details.addEventListener('toggle', () => {
          if (details.open && details.childElementCount === 1) details.append(inside(operation));
        });
        found.push(details);
      }
    }
    if (found.length) list.append(el('h2', {}, tag.name), paragraph(tag.description, { class: 'dim' }), ...found);
  }
  const open = location.hash && document.getElementById(location.hash.slice(1));
  if (open) {
    open.open = true;
    open.scrollIntoView();
  }
}

fetch('/api/v1/openapi.json', { headers: { accept: 'application/json' } })
  .then(async (response) => {
    const about = document.getElementById('about');
    const document_ = await response.json();
    schemas = document_.components.schemas;
    about.replaceChildren(...document_.info.description.split('\n\n').map((text) => paragraph(text)),
      el('p', {}, el('a', { href: '/api/v1/openapi.json' }, 'OpenAPI document'), ` ${document_.info.version}`));
    const find = document.getElementById('find');
    const again = () => render(document_, find.value.toLowerCase().split(/\s+/).filter(Boolean));
    find.addEventListener('input', again);
    again();
  })
  .catch((error) => { document.getElementById('about').textContent = `The document could not be read: ${error}`; });
