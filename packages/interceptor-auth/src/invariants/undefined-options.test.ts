import { describe, expect, it } from 'vitest'
import {
  type ApiKey,
  type ApiKeysOptions,
  apiKeys,
  type BearerOptions,
  bearer,
  type CacheOptions,
  type ClientAuthOptions,
  clientAuth,
  type FailureLimitOptions,
  hashApiKey,
  type MtlsOptions,
  mtls,
  type PolicyRule,
  type PolicyTable,
  policy,
  type ServerAuthOptions,
  serverAuth,
} from '../index.ts'
import { type JwtOptions, jwt, type RemoteKeySetOptions } from '../jwt.ts'
import {
  type ClientCredentialsOptions,
  clientCredentials,
  type IntrospectionOptions,
  introspection,
  type TokenFileOptions,
  tokenFile,
} from '../oauth2.ts'

// `refused`: without the option more calls pass, more is believed or more is sent than with it, or the option must be given.
type Undefined = 'refused' | 'as absent'
type Options<T> = Readonly<Record<keyof Required<T>, Undefined>>

const verify = () => null
const client = { clientId: 'a', clientSecret: 'b' }
const key: ApiKey = { hash: hashApiKey('x'), subject: 'billing' }
const jwtOptions: JwtOptions = { jwks: 'https://id.example/keys', issuer: 'https://id.example/', audience: 'shop' }

const bounds = { timeoutMs: 'as absent', maxBytes: 'as absent', fetch: 'as absent' } as const

const cases: [string, (options: object) => unknown, Options<never>][] = [
  [
    'serverAuth',
    (options) => serverAuth({ verify, ...options }),
    {
      verify: 'refused',
      scheme: 'refused',
      public: 'as absent',
      authorize: 'refused',
      cache: 'refused',
      timeoutMs: 'as absent',
      maxConcurrent: 'as absent',
      maxQueued: 'as absent',
      maxJoined: 'as absent',
      maxCredentialLength: 'as absent',
      endStreamsOnExpiry: 'refused',
      failureLimit: 'refused',
      onDecision: 'as absent',
      clock: 'as absent',
    } satisfies Options<ServerAuthOptions>,
  ],
  [
    'serverAuth: cache',
    (options) => serverAuth({ verify, cache: options }),
    {
      ttlMs: 'as absent',
      negativeTtlMs: 'as absent',
      maxEntries: 'as absent',
      maxNegativeEntries: 'as absent',
    } satisfies Options<CacheOptions>,
  ],
  [
    'serverAuth: failureLimit',
    (options) => serverAuth({ verify, failureLimit: { max: 5, ...options } }),
    {
      max: 'refused',
      perMs: 'as absent',
      key: 'as absent',
      maxKeys: 'as absent',
    } satisfies Options<FailureLimitOptions>,
  ],
  [
    'bearer',
    (options) => bearer(verify, options),
    { scheme: 'refused', name: 'as absent' } satisfies Options<BearerOptions>,
  ],
  [
    'mtls',
    (options) => mtls(options),
    { identity: 'refused', accept: 'refused', name: 'as absent' } satisfies Options<MtlsOptions>,
  ],
  [
    'apiKeys',
    (options) => apiKeys({ keys: [key], ...options }),
    {
      keys: 'refused',
      header: 'as absent',
      scheme: 'refused',
      name: 'as absent',
    } satisfies Options<ApiKeysOptions>,
  ],
  [
    'apiKeys: keys',
    (options) => apiKeys({ keys: [{ ...key, ...options }] }),
    {
      hash: 'refused',
      subject: 'refused',
      claims: 'refused',
      expiresAt: 'refused',
    } satisfies Options<ApiKey>,
  ],
  [
    'jwt',
    (options) => jwt({ ...jwtOptions, ...options }),
    {
      jwks: 'refused',
      issuer: 'refused',
      audience: 'refused',
      algorithms: 'refused',
      clockToleranceMs: 'as absent',
      maxTokenAgeMs: 'refused',
      typ: 'refused',
      requiredClaims: 'refused',
      subject: 'refused',
      remote: 'as absent',
      allowInsecure: 'as absent',
      name: 'as absent',
      clock: 'as absent',
      random: 'as absent',
    } satisfies Options<JwtOptions>,
  ],
  [
    'jwt: remote',
    (remote) => jwt({ ...jwtOptions, remote }),
    {
      ...bounds,
      maxAgeMs: 'as absent',
      cooldownMs: 'as absent',
      staleIfErrorMs: 'as absent',
      maxKeys: 'as absent',
      headers: 'as absent',
    } satisfies Options<RemoteKeySetOptions>,
  ],
  [
    'introspection',
    (options) => introspection({ endpoint: 'https://id.example/', ...client, ...options }),
    {
      ...bounds,
      clientId: 'refused',
      clientSecret: 'refused',
      clientAuthentication: 'as absent',
      endpoint: 'refused',
      issuer: 'refused',
      audience: 'refused',
      clockToleranceMs: 'as absent',
      subject: 'refused',
      allowInsecure: 'as absent',
      name: 'as absent',
      clock: 'as absent',
    } satisfies Options<IntrospectionOptions>,
  ],
  [
    'clientCredentials',
    (options) => clientCredentials({ tokenEndpoint: 'https://id.example/', ...client, ...options }),
    {
      ...bounds,
      clientId: 'refused',
      clientSecret: 'refused',
      clientAuthentication: 'as absent',
      tokenEndpoint: 'refused',
      scope: 'refused',
      audienceField: 'as absent',
      fields: 'refused',
      defaultLifetimeMs: 'as absent',
      allowInsecure: 'as absent',
      clock: 'as absent',
    } satisfies Options<ClientCredentialsOptions>,
  ],
  [
    'tokenFile',
    (options) => tokenFile('/token', options),
    { maxAgeMs: 'as absent', maxBytes: 'as absent', clock: 'as absent' } satisfies Options<TokenFileOptions>,
  ],
  [
    'clientAuth',
    (options) => clientAuth({ token: 'a', ...options }),
    {
      token: 'refused',
      shared: 'refused',
      allowInsecure: 'as absent',
      audience: 'refused',
      refreshOnUnauthenticated: 'as absent',
      replay: 'as absent',
      header: 'as absent',
      scheme: 'as absent',
      callerHeader: 'refused',
      refreshBeforeMs: 'as absent',
      expirySkewMs: 'as absent',
      timeoutMs: 'as absent',
      backoff: 'as absent',
      maxAudiences: 'as absent',
      clock: 'as absent',
      random: 'as absent',
    } satisfies Options<ClientAuthOptions>,
  ],
  [
    'clientAuth: replay',
    (replay) => clientAuth({ token: 'a', replay }),
    { maxBytes: 'as absent', maxMessages: 'as absent' } satisfies Options<NonNullable<ClientAuthOptions['replay']>>,
  ],
  [
    'clientAuth: backoff',
    (backoff) => clientAuth({ token: 'a', backoff }),
    {
      initialMs: 'as absent',
      maxMs: 'as absent',
      multiplier: 'as absent',
      jitter: 'as absent',
    } satisfies Options<NonNullable<ClientAuthOptions['backoff']>>,
  ],
  [
    'policy',
    (options) => policy({ allow: [{ name: 'all', principals: '*' }], ...options }),
    { deny: 'refused', allow: 'refused' } satisfies Options<PolicyTable>,
  ],
  ...(['allow', 'deny'] as const).map((kind): [string, (options: object) => unknown, Options<PolicyRule>] => [
    `policy: ${kind}[0]`,
    (options) =>
      policy({
        allow: [],
        [kind]: [{ name: 'readers', principals: '*', ...options }],
      }),
    {
      name: 'refused',
      methods: 'refused',
      principals: 'refused',
      authenticators: 'refused',
      claims: 'refused',
      scopes: 'refused',
      metadata: 'refused',
    },
  ]),
]

for (const [factory, make, options] of cases) {
  const [where = ''] = factory.split(':')
  describe(`${factory}: an option that is there but undefined`, () => {
    it('is not needed', () => {
      expect(() => make({})).not.toThrow()
    })
    for (const [name, expected] of Object.entries(options) as [string, Undefined][]) {
      it(`${name}: ${expected}`, () => {
        if (expected === 'as absent') {
          expect(() => make({ [name]: undefined })).not.toThrow()
          return
        }
        expect(() => make({ [name]: undefined })).toThrow(TypeError)
        expect(() => make({ [name]: undefined })).toThrow(new RegExp(`^${where}: .*${name}" must be .*got undefined`))
      })
      it(`${name}: null is refused`, () => {
        expect(() => make({ [name]: null })).toThrow(TypeError)
        expect(() => make({ [name]: null })).toThrow(new RegExp(`^${where}: .*${name}`))
      })
    }
  })
}

describe('policy: a rule that says nothing about the call', () => {
  for (const kind of ['allow', 'deny'] as const) {
    it(`is refused, and the error says what to write: ${kind}`, () => {
      const table = { allow: [], [kind]: [{ name: 'everybody' }] }
      expect(() => policy(table)).toThrow(TypeError)
      expect(() => policy(table)).toThrow(new RegExp(`policy: ${kind}\\[0\\] "everybody": .*principals: '\\*'`))
      expect(() => policy({ allow: [], [kind]: [{ name: 'everybody', principals: '*' }] })).not.toThrow()
    })
  }
  it('is refused in replace(), and the last table stays', () => {
    const rules = policy({ allow: [{ name: 'alice', principals: 'alice' }] })
    expect(() => rules.replace({ allow: [{ name: 'all' }] })).toThrow(/allow\[0\] "all"/)
    const call = { method: { registered: false } } as never
    expect(['alice', 'bob'].map((subject) => rules({ subject }, call))).toEqual([true, false])
  })
})

describe('mtls(undefined)', () => {
  it('is refused: it would accept every certificate', () => {
    expect(() => mtls(undefined)).toThrow(/mtls: options must be an object, got undefined/)
    expect(() => mtls()).not.toThrow()
  })
})

describe('a list, an object or a text that is empty is refused, as is one with a hole', () => {
  const rule = (members: object) => () => policy({ allow: [{ name: 'readers', ...members }] })
  const empty: [string, () => unknown, RegExp][] = [
    ['policy without rules', () => policy({ allow: [] }), /policy: a policy without rules/],
    ['policy without rules of either kind', () => policy({ deny: [], allow: [] }), /policy: a policy without rules/],
    ['principals', rule({ principals: [] }), /"principals"/],
    ['principals: a hole', rule({ principals: ['a', undefined] }), /"principals/],
    ['principals: an empty text', rule({ principals: '' }), /"principals/],
    ['principals: an empty text in a list', rule({ principals: ['a', ''] }), /"principals/],
    ['authenticators', rule({ authenticators: [] }), /"authenticators"/],
    ['authenticators: an empty text', rule({ authenticators: '' }), /"authenticators/],
    ['claims', rule({ claims: {} }), /"claims"/],
    ['claims: undefined', rule({ claims: { role: undefined } }), /"claims.role"/],
    ['claims: a list', rule({ claims: { role: [] } }), /"claims.role"/],
    ['metadata', rule({ metadata: {} }), /"metadata"/],
    ['metadata: undefined', rule({ metadata: { 'x-region': undefined } }), /"metadata.x-region"/],
    ['metadata: a list', rule({ metadata: { 'x-region': [] } }), /"metadata.x-region"/],
    ['scopes', rule({ scopes: [] }), /"scopes"/],
    ['scopes: an empty text', rule({ scopes: '' }), /"scopes/],
    ['scopes: a hole', rule({ scopes: ['read', undefined] }), /"scopes/],
    ['scopes: two words in one text', rule({ scopes: 'read write' }), /"scopes/],
    ['methods: a hole', rule({ methods: { service: 'a.B', method: undefined } }), /method/],
    ['methods: a hole in a list', rule({ methods: { service: ['a.B', undefined] } }), /service/],
    ['methods: a list', rule({ methods: [] }), /"methods"/],
    ['verify', () => serverAuth({ verify: [] }), /"verify"/],
    ['verify: a hole', () => serverAuth({ verify: [verify, undefined as never] }), /"verify\[1\]"/],
    [
      'public: a hole',
      () => serverAuth({ verify, public: { service: 'a.B', method: undefined as never } }),
      /public.*method/,
    ],
    ['scheme', () => serverAuth({ verify, scheme: '' }), /"scheme"/],
    ['identity', () => mtls({ identity: [] }), /"identity"/],
    ['issuer of jwt', () => jwt({ ...jwtOptions, issuer: [] }), /"issuer"/],
    ['issuer of jwt: a hole', () => jwt({ ...jwtOptions, issuer: ['a', undefined as never] }), /"issuer/],
    ['issuer of jwt: an empty text', () => jwt({ ...jwtOptions, issuer: '' }), /"issuer"/],
    ['audience of jwt', () => jwt({ ...jwtOptions, audience: [] }), /"audience"/],
    ['audience of jwt: a hole', () => jwt({ ...jwtOptions, audience: ['a', undefined as never] }), /"audience/],
    ['algorithms', () => jwt({ ...jwtOptions, algorithms: [] }), /"algorithms"/],
    ['requiredClaims', () => jwt({ ...jwtOptions, requiredClaims: [] }), /"requiredClaims"/],
    ['typ', () => jwt({ ...jwtOptions, typ: '' }), /"typ"/],
    [
      'audience of introspection',
      () => introspection({ endpoint: 'https://id.example/', ...client, audience: [] }),
      /"audience"/,
    ],
    [
      'issuer of introspection',
      () => introspection({ endpoint: 'https://id.example/', ...client, issuer: '' }),
      /"issuer"/,
    ],
    ['scope', () => clientCredentials({ tokenEndpoint: 'https://id.example/', ...client, scope: [] }), /"scope"/],
    [
      'a field that is undefined',
      () =>
        clientCredentials({
          tokenEndpoint: 'https://id.example/',
          ...client,
          fields: { resource: undefined as never },
        }),
      /"fields.resource"/,
    ],
    ['audience of clientAuth', () => clientAuth({ token: 'a', audience: '' }), /"audience"/],
  ]
  for (const [what, make, message] of empty) {
    it(what, () => {
      expect(make).toThrow(TypeError)
      expect(make).toThrow(message)
    })
  }
})

describe('apiKeys: a member of a key that nothing reads', () => {
  it('is refused: a key with a misspelt expiry would never expire', () => {
    const misspelt = { ...key, expires: Date.now() } as ApiKey
    expect(() => apiKeys({ keys: [misspelt] })).toThrow(/apiKeys: option "keys\[0\]": unknown option "expires"/)
  })
  for (const expiresAt of [Number.NaN, '2030-01-01', new Date()]) {
    it(`is refused as an expiry: ${typeof expiresAt} ${String(expiresAt).slice(0, 3)}`, () => {
      expect(() => apiKeys({ keys: [{ ...key, expiresAt: expiresAt as never }] })).toThrow(/"keys\[0\].expiresAt"/)
    })
  }
})
