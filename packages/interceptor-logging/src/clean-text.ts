// What can break a line, hide text or drive a terminal: C0 and C1 controls, DEL, the Unicode line and paragraph separators,
// directional marks and overrides (CVE-2021-42574), the byte order mark, and halves of surrogate pairs.
const DANGEROUS = /[\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu

/**
 * Text from outside as it may stand in a record: on one line, with what is dangerous in it written as `\u000a`, and no
 * longer than `maxLength` characters. JSON would escape line breaks; a pretty printer behind it would not.
 */
export function cleanText(text: string, maxLength: number): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text
  return cut.replace(DANGEROUS, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
