// Indented code, which READMEs use for commands and signatures, looks on the site as fenced code does.

/** A markdown-it plugin. */
export function indentedCode(md) {
  md.core.ruler.push('indented-code', ({ tokens }) => {
    for (const token of tokens) {
      if (token.type === 'code_block')
        Object.assign(token, { type: 'fence', info: isCommand(token.content) ? 'bash' : '' })
    }
  })
}

const isCommand = (code) => /^(?:npm|npx|node) /.test(code)
