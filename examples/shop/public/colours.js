/** The colour of this name in the style sheet, as the current theme has it: `colour('--ok')`. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}
