import { RedisServer, redisMissing } from '../../packages/interceptor-ratelimit/test/redis-server.ts'
import { type Certificates, startIdentityProvider } from './identity-provider.ts'

// How the code of the site's own pages is run: by itself, or by a program of `programs/`.

/** What the test has made for all programs. */
interface Setting {
  readonly certificates: Certificates
  /** What the page's second port has become. */
  readonly httpPort: number
}

interface Beside {
  readonly env: NodeJS.ProcessEnv
  readonly end: () => Promise<void>
}

export interface Run {
  readonly page: string
  /** The files to run, in order: those before the last are servers, and go on until the last has ended. */
  readonly files: readonly string[]
  readonly args?: readonly string[]
  readonly prints: readonly RegExp[]
}

export const runs: readonly Run[] = [
  {
    page: 'docs/start/first-client.md',
    files: ['server', 'client'],
    prints: [/^Hello world\n1\n2\n3\n\{ value: 42 \}\n4 Deadline exceeded/],
  },
  { page: 'docs/start/first-client.md', files: ['server', 'block-1'], prints: [/^Hello stub\nHello stub$/m] },
  {
    page: 'docs/start/first-interceptor.md',
    files: ['try-it'],
    prints: [
      /^server .*SayHello: OK/m,
      /^client .*SayHello: OK/m,
      /^server .*: UNAUTHENTICATED/m,
      /^x-caller is missing/m,
    ],
  },
  {
    page: 'docs/start/first-interceptor.md',
    files: ['interceptors.test'],
    args: ['--expose-gc', '--test'],
    prints: [/^(#|ℹ) fail 0$/m, /^(#|ℹ) pass [1-9]\d\d$/m],
  },
  {
    page: 'docs/concepts/call.md',
    files: ['block-0'],
    prints: [/^client: outer in\nclient: inner in\nserver: outer in\nserver: inner in\nhandler\nserver: inner back\n/],
  },
  { page: 'docs/concepts/attempts.md', files: ['block-0'], prints: [/^\{ value: 42 \} after 2 calls$/m] },
  { page: 'docs/concepts/contexts.md', files: ['block-0'], prints: [/^Hello Ann of red\nHello Bob of blue$/m] },
  {
    page: 'docs/concepts/statuses.md',
    files: ['block-0'],
    prints: [/^server: INTERNAL "Internal error", remote, .* cause: Error: the password/m, /refused by closedOnSunday/],
  },
  {
    page: 'docs/guides/async-handlers.md',
    files: ['block-0'],
    prints: [/^Hello you \[ 'miss' \]\nname is missing \[ 'name' \]\ncounted$/m],
  },
  { page: 'docs/guides/generated-code.md', files: ['block-0'], prints: [/^greet.v1.HelloReply\n1\n2$/m] },
  { page: 'docs/guides/error-details.md', files: ['block-0'], prints: [/^name is missing\nagain in 1500 ms$/m] },
  {
    page: 'docs/guides/testing.md',
    files: ['switched-off.test'],
    args: ['--expose-gc', '--test'],
    prints: [/^(#|ℹ) fail 0$/m, /^(#|ℹ) pass 1\d\d$/m],
  },
  { page: 'docs/guides/commonjs.md', files: ['server.cjs'], prints: [/^true true$/m] },
  { page: 'docs/guides/commonjs.md', files: ['greeter.test.cjs'], prints: [/^$/] },
  {
    page: 'docs/migration/from-nice-grpc.md',
    files: ['block-0'],
    prints: [/SayHello OK$/m, /^Hello Ann$/m, /CountTo OK$/m, /^1\n2$/m],
  },
  { page: 'docs/migration/from-grpc-js.md', files: ['block-0'], prints: [/^\[ 'yes' \] \[ 'yes' \]\nOK\nHello you$/m] },
  {
    page: 'docs/migration/from-grpc-python.md',
    files: ['block-0'],
    prints: [/^UNAUTHENTICATED who are you\?\nUNAUTHENTICATED who are you\?$/m],
  },
  { page: 'docs/migration/from-connect.md', files: ['block-0'], prints: [/^server SayHello OK true\n.*\nHello you$/m] },
  { page: 'docs/guides/opentelemetry.md', files: ['block-2'], prints: [/^greet.v1.Greeter\/SayHello you\ntrue$/m] },
]

/** Blocks that set something up and make no call: a program of `programs/` makes calls to it. */
export interface Program {
  readonly program: string
  readonly page: string
  readonly blocks: readonly string[]
  readonly prints: readonly RegExp[]
  /** Starts what it needs outside of its process, and says what the program is told in its environment. */
  readonly beside?: (setting: Setting) => Promise<Beside>
  /** Why it cannot run here. */
  readonly missing?: string | undefined
}

export const programs: readonly Program[] = [
  {
    program: 'stock-server',
    page: 'docs/start/first-server.md',
    blocks: ['block-1'],
    prints: [/"grpc.method":"SayHello".*"request.id"/, /^\{ message: 'Hello' \}$/m],
  },
  { program: 'signal', page: 'docs/guides/async-handlers.md', blocks: ['block-1'], prints: [/^aborted$/m] },
  {
    program: 'stacks',
    page: 'docs/guides/stacks.md',
    blocks: ['block-0'],
    prints: [
      /^UNAUTHENTICATED No valid/m,
      /^\{ message: 'Hello you' \}$/m,
      /^true\n\{.*\n\{ message: 'Hello all' \}$/m,
      /^GRPC_STACK_UNMATCHED$/m,
    ],
  },
  {
    program: 'select',
    page: 'docs/guides/stacks.md',
    blocks: ['block-1'],
    prints: [/^quiet\n.*SayHello.*\n.*CountTo.*\nstreams\n.*CountTo.*\nbyFunction\n.*CountTo.*\n\n/],
  },
  {
    program: 'observe',
    page: 'docs/guides/writing-interceptors.md',
    blocks: ['block-0'],
    prints: [/^quick\n\/greet.v1.Greeter\/SayHello 0 true\nslow$/m],
  },
  {
    program: 'quota',
    page: 'docs/guides/writing-interceptors.md',
    blocks: ['block-1'],
    prints: [
      /^refused by undefined\n\{ message: 'Hello' \}\nrefused by quota\nRESOURCE_EXHAUSTED no calls left$/m,
      /the function quota: call it/,
      /quota, which is for servers/,
    ],
  },
  {
    program: 'open-telemetry-sdk',
    page: 'docs/guides/opentelemetry.md',
    blocks: ['block-0'],
    prints: [/^greet.v1.Greeter\/SayHello true$/m, /^rpc.client.call.duration.* rpc.server.call.duration/m],
  },
  {
    program: 'open-telemetry-collector',
    page: 'docs/guides/opentelemetry.md',
    blocks: ['block-1'],
    prints: [/^received$/m],
  },
  { program: 'exemplars', page: 'docs/guides/prometheus.md', blocks: ['block-1'], prints: [/^true$/m] },
  {
    program: 'both-names',
    page: 'docs/migration/from-instrumentation-grpc.md',
    blocks: ['block-0'],
    prints: [
      /\brpc\.system\b(?!\.)/,
      /\brpc\.system\.name\b/,
      /\brpc\.service\b/,
      /\brpc\.grpc\.status_code\b/,
      /\brpc\.status_code\b/,
    ],
  },
  {
    program: 'redis',
    page: 'docs/guides/redis.md',
    blocks: ['block-0'],
    missing: redisMissing,
    beside: async () => {
      const redis = await RedisServer.start()
      return { env: { REDIS_URL: redis.url }, end: () => redis[Symbol.asyncDispose]() }
    },
    prints: [/^true RESOURCE_EXHAUSTED .*\ntrue$/m, /^limits are local: /m, /^RESOURCE_EXHAUSTED .* true$/m],
  },
  {
    program: 'json-web-tokens',
    page: 'docs/guides/tokens-and-certificates.md',
    blocks: ['block-0', 'block-1'],
    beside: async ({ certificates, httpPort }) => {
      const provider = await startIdentityProvider(certificates, httpPort)
      // Both are read when a process starts, for the lack of a place on the page.
      const trusted = {
        NODE_EXTRA_CA_CERTS: certificates.file('ca.pem'),
        GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: certificates.file('ca.pem'),
      }
      return { env: { ...trusted, WITHOUT_SCOPE: await provider.token({ scope: '' }) }, end: provider.close }
    },
    prints: [/^\{ message: 'Hello greeter-client' \}\nUNAUTHENTICATED No valid credentials\nPERMISSION_DENIED /m],
  },
  {
    program: 'policy-files',
    page: 'docs/guides/tokens-and-certificates.md',
    blocks: ['block-3'],
    prints: [
      /^\{ message: 'Hello ann' \}\nbob .*SayHello: ann,bob now, undefined then\n\{ message: 'Hello bob' \}\n/,
      /^PERMISSION_DENIED Permission denied\nGRPC_STACK_POLICY_FILE$/m,
    ],
  },
  {
    program: 'client-certificates',
    page: 'docs/guides/tokens-and-certificates.md',
    blocks: ['block-2'],
    prints: [
      /^\{ message: 'Hello spiffe:\/\/example.org\/client' \}\nUNAUTHENTICATED No valid credentials\nUNAVAILABLE$/m,
    ],
  },
  {
    program: 'nestjs',
    page: 'docs/guides/nestjs.md',
    blocks: ['main', 'block-1'],
    prints: [/"grpc.method":"SayHello"/, /^\{ message: 'Hello you, 36 letters of id' \}$/m],
  },
]

/** Blocks that are not run here, and why. */
export const compiledOnly: Readonly<Record<string, string>> = {
  'docs/guides/commonjs.md block-1':
    'shows that imports compile: test/packaging/module-systems.test.ts compiles and runs a program in each of these ways',
  'docs/runtimes.md to-commonjs.cjs':
    'a transform for jest, with which test/packaging/module-systems.test.ts runs jest',
}

/** Pages whose files others go on with. */
export const before: Record<string, readonly string[]> = {
  'docs/start/first-client.md': ['docs/start/first-server.md'],
}
