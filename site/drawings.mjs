// Drawings are SVG files that take their colours from the colour scheme around them. Within the page, rather than as an image, they
// follow the switch of the site as well.
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

const asAttribute = (text) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;')

/** A markdown-it plugin: `![what it shows](call.svg)` becomes the drawing itself. */
export function drawings(md) {
  const image = md.renderer.rules.image
  md.renderer.rules.image = (tokens, index, options, env, self) => {
    const token = tokens[index]
    const source = token.attrGet('src')
    if (!source.endsWith('.svg') || !source.includes('drawings/')) return image(tokens, index, options, env, self)
    const svg = readFileSync(resolve(dirname(env.realPath ?? env.path), source), 'utf8').replace(/<!--.*?-->\s*/gs, '')
    return `<span class="drawing" role="img" aria-label="${md.utils.escapeHtml(token.content)}" v-html="${asAttribute(JSON.stringify(svg))}"></span>`
  }
}
