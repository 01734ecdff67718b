import { status as Code } from '@grpc/grpc-js'
import { metadataOf, patterns, runRpc } from '@grpc-stack/grpc-testing'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { clientOf, startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { callOf } from '../../test/call-of.ts'
import { bearer, type PolicyTable, policy } from '../index.ts'
import { type DryRunOptions, dryRun, type PolicyDifference } from '../policy.ts'

afterEach(stopAuthServers)

const allowing = (...principals: string[]): PolicyTable => ({ allow: [{ name: principals.join(), principals }] })

describe('dryRun', () => {
  it.each(patterns)('tells what would change, and changes nothing: %s', async (pattern) => {
    const told: unknown[] = []
    const authorize = dryRun({
      policy: policy(allowing('ann', 'bob')),
      candidate: policy({ deny: [{ name: 'bob', principals: 'bob' }], ...allowing('ann', 'cid') }),
      onDifference: ({ call, principal, now, candidate }) =>
        told.push([call.method.path, principal.subject, now, candidate]),
    })
    const server = await startAuthServer({ verify: bearer((subject) => ({ subject })), authorize })
    const codeOf = async (name: string) =>
      (await runRpc(clientOf(server), pattern, { metadata: metadataOf({ authorization: `Bearer ${name}` }) })).status
        ?.code
    const codes = [await codeOf('ann'), await codeOf('bob'), await codeOf('cid'), await codeOf('dan')]
    expect(codes).toEqual([Code.OK, Code.OK, Code.PERMISSION_DENIED, Code.PERMISSION_DENIED])
    const path = expect.stringMatching(/^\/grpcstack\.testing\.Test\//)
    expect(told).toEqual([
      [path, 'bob', { allowed: true, rule: 'ann,bob' }, { allowed: false, rule: 'bob' }],
      [path, 'cid', { allowed: false, rule: undefined }, { allowed: true, rule: 'ann,cid' }],
    ])
    expect(authorize.counters()).toEqual({ calls: 4, wouldAllow: 1, wouldDeny: 1, failed: 0 })
  })

  it('decides as the policy in force whatever the candidate and the report do', async () => {
    const warnings: string[] = []
    const listen = (warning: Error) => void warnings.push(warning.message)
    process.on('warning', listen)
    const authorize = dryRun({
      policy: policy(allowing('ann')),
      candidate: policy({
        allow: [
          {
            name: 'odd',
            methods: ({ name }) => {
              if (name === 'Throws') throw new Error('a matcher of mine')
              return true
            },
          },
        ],
      }),
      onDifference: (async () => {
        throw new Error('audit log is full')
      }) as DryRunOptions['onDifference'],
    })
    for (const path of ['/a.B/Throws', '/a.B/C', '/a.B/C']) {
      expect(authorize({ subject: 'ann' }, callOf(path))).toBe(true)
      expect(authorize({ subject: 'bob' }, callOf(path))).toBe(false)
    }
    expect(authorize.counters()).toEqual({ calls: 6, wouldAllow: 2, wouldDeny: 0, failed: 2 })
    await new Promise(setImmediate)
    process.off('warning', listen)
    expect(warnings).toEqual([
      expect.stringMatching(/^dryRun: "candidate" failed: a matcher of mine/),
      expect.stringMatching(/^dryRun: "onDifference" failed: audit log is full/),
    ])
  })

  it('fails the call as the policy in force does, and asks no candidate then', () => {
    const throwing: PolicyTable = {
      allow: [
        {
          name: 'throws',
          methods: () => {
            throw new Error('a matcher in force')
          },
        },
      ],
    }
    const authorize = dryRun({
      policy: policy(throwing),
      candidate: policy(allowing('*')),
      onDifference: () => undefined,
    })
    expect(() => authorize({ subject: 'ann' }, callOf('/a.B/C'))).toThrow('a matcher in force')
    expect(authorize.counters().calls).toBe(0)
  })

  it('follows both when they are replaced, and checks both against the server', async () => {
    const [inForce, candidate] = [policy(allowing('ann')), policy(allowing('ann'))]
    const told: PolicyDifference[] = []
    const authorize = dryRun({ policy: inForce, candidate, onDifference: (difference) => void told.push(difference) })
    await startAuthServer({ verify: () => ({ subject: 'ann' }), authorize })
    candidate.replace(allowing('bob'))
    expect(authorize({ subject: 'bob' }, callOf('/a.B/C'))).toBe(false)
    inForce.replace(allowing('bob'))
    expect(authorize({ subject: 'bob' }, callOf('/a.B/C'))).toBe(true)
    expect(told).toHaveLength(1)
    for (const rules of [inForce, candidate]) {
      const misspelt = { allow: [{ name: 'r', methods: '/grpcstack.testing.Test/Unarry' }] }
      expect(() => rules.replace(misspelt)).toThrow(/names none of/)
      expect(() => rules.replace({ allow: [{ name: 'r', authenticators: 'mtls' }] })).toThrow(
        /none of the authenticators/,
      )
    }
  })

  it('is refused at set-up where the candidate would be', async () => {
    const options = { policy: policy(allowing('ann')), onDifference: () => undefined }
    const misspelt = policy({ allow: [{ name: 'r', methods: '/grpcstack.testing.Test/Unarry' }] })
    const server = (candidate: typeof misspelt) =>
      startAuthServer({ verify: () => ({ subject: 'ann' }), authorize: dryRun({ ...options, candidate }) })
    await expect(server(misspelt)).rejects.toThrow('authorize.candidate.allow["r"].methods')
    const certificates = policy({ allow: [{ name: 'r', authenticators: 'mtls' }] })
    await expect(server(certificates)).rejects.toThrow('option "authorize.candidate.allow["r"].authenticators"')
    expect(() => dryRun({ ...options, candidate: allowing('ann') as never })).toThrow(
      'dryRun: option "candidate" must be a policy, as policy() or policyFile() returns it, got an object',
    )
    expect(() => dryRun({ ...options, candidate: undefined as never })).toThrow(TypeError)
  })

  it('counts what differs, whatever the tables', () => {
    const table = fc.record({
      deny: fc.uniqueArray(fc.constantFrom('a', 'b', 'c')).map(named('d')),
      allow: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }).map(named('a')),
    })
    fc.assert(
      fc.property(table, table, fc.array(fc.constantFrom('a', 'b', 'c')), (now, next, subjects) => {
        const [inForce, candidate] = [policy(now), policy(next)]
        let told = 0
        const authorize = dryRun({ policy: inForce, candidate, onDifference: () => void told++ })
        const call = callOf('/a.B/C')
        for (const subject of subjects) expect(authorize({ subject }, call)).toBe(inForce({ subject }, call))
        const differing = subjects.filter((subject) => inForce({ subject }, call) !== candidate({ subject }, call))
        const { wouldAllow, wouldDeny } = authorize.counters()
        expect([told, wouldAllow + wouldDeny]).toEqual([differing.length, differing.length])
      }),
    )
  })
})

const named = (kind: string) => (principals: readonly string[]) =>
  principals.map((principal) => ({ name: `${kind} ${principal}`, principals: principal }))
