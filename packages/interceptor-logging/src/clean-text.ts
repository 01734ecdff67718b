// What can break a line, hide text or drive a terminal: C0 and C1 controls (with them ANSI escapes), DEL, the Unicode line and
// paragraph separators, directional marks and overrides (CVE-2021-42574), what is invisible or of no width (zero width spaces
// and joiners, soft hyphens, fillers, tags, the byte order mark), and halves of surrogate pairs.
const DANGEROUS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|\p{Surrogate}/gu

const PLAIN = /^[\x20-\x7e]*$/

/**
 * Text from outside as it may stand in a record: on one line, with what is dangerous in it written as `\u000a`, and no
 * longer than `maxLength` characters. JSON would escape line breaks; a pretty printer behind it would not.
 */
export function cleanText(text: string, maxLength: number): string {
  return escaped(text.length > maxLength ? `${text.slice(0, maxLength)}…` : text)
}

/** The same without a limit. Inside of JSON, where every one of these characters stands in a string, it stays the same JSON. */
export function escaped(text: string): string {
  // What nearly all texts are; to look for the others takes ten times as long.
  if (PLAIN.test(text)) return text
  return text.replace(DANGEROUS, (character) => {
    let shown = ''
    for (let i = 0; i < character.length; i++) shown += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`
    return shown
  })
}
