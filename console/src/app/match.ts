// Whether a name fits a few typed letters: every word of the text begins somewhere in the name.

export function matches(name: string, text: string): boolean {
  const low = name.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .every((word) => low.includes(word));
}
