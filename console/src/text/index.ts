// Every text of the console, in one catalogue, by page. Another language is another set of these files.
// A namespace and not an object: what is written as `t.page.text` binds to the one file that has it.
export * as t from './catalogue';
