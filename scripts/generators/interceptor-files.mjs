/** The files of a new package that need no more than its names, by their path in its folder. */
export const sourcesOf = (name, factory) => ({
  'tsconfig.build.json': `{
  "extends": "../../tsconfig.package.json",
  "references": []
}
`,
  'tsconfig.commonjs.json': `{
  "extends": "../../tsconfig.commonjs.json"
}
`,
  'tsconfig.json': `{
  "extends": "../../tsconfig.tests.json",
  "references": []
}
`,
  'src/index.ts': `export { ${factory} } from './${name}.ts'\n`,
  [`src/${name}.ts`]: `import type { Interceptor } from '@grpc-stack/grpc-core'
import { named } from '@grpc-stack/grpc-core/authoring'

/** An interceptor for clients and servers that changes nothing: it lets every call through and returns its status. */
export function ${factory}(): Interceptor {
  return named('${factory}', async (_call, next) => {
    const status = await next()
    return status
  })
}
`,
  [`src/${name}.test.ts`]: `import { status as Code } from '@grpc/grpc-js'
import { endWith, interceptorSuite, patterns, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { ${factory} } from './${name}.ts'

interceptorSuite('${factory}', () => ${factory}())

describe('${factory}', () => {
  it.each(patterns)('returns the status of the call as it is: %s', async (pattern) => {
    await using server = await startTestServer({ interceptors: [${factory}()] })
    const metadata = server.behave(endWith({ code: Code.NOT_FOUND, details: 'no such thing' }))
    const call = await runRpc(server.client(${factory}()), pattern, { metadata })
    expect(call.status).toMatchObject({ code: Code.NOT_FOUND, details: 'no such thing' })
  })
})
`,
})

export const readmeOf = (folder, factory) => `# @grpc-stack/${folder}

What it does, in a line, for \`@grpc/grpc-js\`. For all four kinds of RPC, on any stub or server.

    npm install @grpc-stack/${folder} @grpc-stack/grpc-core @grpc/grpc-js

\`\`\`ts
import { createServer } from '@grpc-stack/grpc-core'
import { ${factory} } from '@grpc-stack/${folder}'

const server = createServer({ interceptors: [${factory}()] })
\`\`\`

## What it does not

It changes nothing yet.
`
