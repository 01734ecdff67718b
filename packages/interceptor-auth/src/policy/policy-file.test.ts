import { spawnSync } from 'node:child_process'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { status as Code } from '@grpc/grpc-js'
import { FakeClock, metadataOf, patterns, runRpc, type TestServer } from '@grpc-stack/grpc-testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { clientOf, startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { callOf } from '../../test/call-of.ts'
import { bearer, type Principal } from '../index.ts'
import { type PolicyChange, type PolicyFile, policyFile } from '../policy.ts'

let folder: string
let path: string
let clock: FakeClock
let changes: PolicyChange[]
const opened: PolicyFile[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'policy-file-'))
  path = join(folder, 'policy.json')
  clock = new FakeClock()
  changes = []
})
afterEach(async () => {
  for (const rules of opened.splice(0)) rules.close()
  await stopAuthServers()
  await rm(folder, { recursive: true })
})

/** As it should be replaced: never half a file. */
async function write(text: string | Buffer): Promise<void> {
  await writeFile(`${path}.next`, text)
  await rename(`${path}.next`, path)
}

const allowing = (...principals: string[]) =>
  JSON.stringify({ name: 'test', allow_rules: [{ name: principals.join(), source: { principals } }] })

async function open(options: Parameters<typeof policyFile>[1] = {}): Promise<PolicyFile> {
  const rules = policyFile(path, { clock, onChange: (change) => void changes.push(change), ...options })
  opened.push(rules)
  return rules
}

const allows = (rules: PolicyFile, ...subjects: string[]) =>
  subjects.filter((subject) => rules({ subject }, callOf('/a.B/C')))

/** The next look at the file, which sets the timer of the one after it when it is done. */
const look = async (): Promise<void> => {
  await clock.advance(60_000)
  await clock.timerSet()
}

describe('policyFile', () => {
  it.each(patterns)('is in force for the calls that come after a change: %s', async (pattern) => {
    await write(allowing('ann'))
    const rules = await open()
    const server = await startAuthServer({ verify: bearer((subject) => ({ subject })), authorize: rules })
    const answers = async () => [await codeOf(server, 'ann'), await codeOf(server, 'bob')]
    const codeOf = async (at: TestServer, name: string) =>
      (await runRpc(clientOf(at), pattern, { metadata: metadataOf({ authorization: `Bearer ${name}` }) })).status?.code
    expect(await answers()).toEqual([Code.OK, Code.PERMISSION_DENIED])
    await write(allowing('bob'))
    expect(await answers()).toEqual([Code.OK, Code.PERMISSION_DENIED])
    await look()
    expect(await answers()).toEqual([Code.PERMISSION_DENIED, Code.OK])
    expect(changes).toEqual([{ path, error: undefined }])
  })

  it('keeps the last good policy, and tells once of each change that is refused', async () => {
    await write(allowing('ann'))
    const rules = await open()
    await startAuthServer({ verify: () => ({ subject: 'ann' }), authorize: rules })
    const bad: [string, string | Buffer, RegExp][] = [
      ['no JSON', '{', /policy\.json: policyFromJson: a policy must be JSON/],
      ['half a policy', '{"name":"test"}', /"allow_rules" must be a list/],
      ['nothing', '', /must be JSON/],
      ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), /encoded data was not valid/],
      [
        'a path that the server does not have',
        JSON.stringify({
          name: 'p',
          allow_rules: [{ name: 'r', request: { paths: ['/grpcstack.testing.Test/Unarry'] } }],
        }),
        /names none of its methods/,
      ],
    ]
    for (const [what, text, message] of bad) {
      changes = []
      await write(text)
      await look()
      await look()
      expect(changes, what).toHaveLength(1)
      expect(changes[0]?.error?.message).toMatch(message)
      expect(changes[0]?.error?.message).toContain(`policyFile: ${path}: `)
      expect(allows(rules, 'ann', 'bob')).toEqual(['ann'])
    }
    changes = []
    await rm(path)
    await look()
    await look()
    expect(changes.map(({ error }) => error?.message)).toEqual([expect.stringContaining('ENOENT')])
    expect(allows(rules, 'ann', 'bob')).toEqual(['ann'])
    await write(allowing('bob'))
    await look()
    expect(changes.slice(1)).toEqual([{ path, error: undefined }])
    expect(allows(rules, 'ann', 'bob')).toEqual(['bob'])
  })

  it('refuses a change that names an authenticator which the server does not have', async () => {
    await write(allowing('ann'))
    await expect(
      startAuthServer({
        verify: () => ({ subject: 'ann' }),
        authorize: policyFile(path, { authenticators: 'mtls', clock }),
      }),
    ).rejects.toThrow('"mtls" is none of the authenticators')
    const rules = await open({ authenticators: 'bearer' })
    await startAuthServer({ verify: () => ({ subject: 'ann' }), authorize: rules })
    expect(rules({ subject: 'ann', authenticator: 'bearer' }, callOf('/a.B/C'))).toBe(true)
    expect(rules({ subject: 'ann', authenticator: 'other' }, callOf('/a.B/C'))).toBe(false)
  })

  it('reads at once by reload(), one look at a time', async () => {
    await write(allowing('ann'))
    const rules = await open({ everyMs: Number.POSITIVE_INFINITY })
    expect(clock.pending).toBe(0)
    await write(allowing('bob'))
    await Promise.all([rules.reload(), rules.reload()])
    expect(changes).toHaveLength(1)
    expect(allows(rules, 'ann', 'bob')).toEqual(['bob'])
  })

  it('reads no more after close(), not even what it was reading', async () => {
    await write(allowing('ann'))
    const rules = await open()
    await write(allowing('bob'))
    const reading = rules.reload()
    // The file has been asked for, and is not there yet.
    for (let turn = 0; turn < 5; turn++) await Promise.resolve()
    rules.close()
    await reading
    await rules.reload()
    expect(clock.pending).toBe(0)
    expect(changes).toEqual([])
    expect(allows(rules, 'ann', 'bob')).toEqual(['ann'])
  })

  it('judges a call by one table from beginning to end', async () => {
    await write(allowing('ann', 'bob'))
    const rules = await open()
    await write(allowing('other'))
    // Its name is looked at while the rules of the first file are gone through.
    const principal = {
      get subject(): string {
        rules.replace({ allow: [{ name: 'other', principals: 'other' }] })
        return 'bob'
      },
    } as Principal
    expect(rules(principal, callOf('/a.B/C'))).toBe(true)
    expect(rules(principal, callOf('/a.B/C'))).toBe(false)
  })

  it('goes on when onChange throws', async () => {
    await write(allowing('ann'))
    const warned = new Promise<Error & { code?: string }>((resolve) => process.once('warning', resolve))
    const rules = await open({
      onChange: () => {
        throw new Error('audit log is full')
      },
    })
    await write(allowing('bob'))
    await rules.reload()
    expect(allows(rules, 'bob')).toEqual(['bob'])
    expect((await warned).code).toBe('GRPC_STACK_CALLBACK_FAILED')
  })

  it('says what is wrong with the first file, and with options', async () => {
    expect(() => policyFile(path)).toThrow(`policyFile: ${path}: ENOENT`)
    await write('{}')
    expect(() => policyFile(path)).toThrow(TypeError)
    expect(() => policyFile(path)).toThrow(`policyFile: ${path}: policyFromJson: option "name" must be`)
    expect(() => policyFile('')).toThrow('policyFile: option "path"')
    expect(() => policyFile(path, { everyMs: 0 })).toThrow('policyFile: option "everyMs"')
    expect(() => policyFile(path, { authenticators: undefined as never })).toThrow(
      'leave it out if any of them may vouch',
    )
  })

  it('keeps no process alive, and warns of a bad file once without onChange', async () => {
    await write(allowing('ann'))
    const entry = pathToFileURL(join(import.meta.dirname, '../../dist/policy.js')).href
    const script = `
      import { writeFileSync } from 'node:fs'
      const { policyFile } = await import(${JSON.stringify(entry)})
      const rules = policyFile(${JSON.stringify(path)})
      writeFileSync(${JSON.stringify(path)}, '{')
      await rules.reload()
      await rules.reload()`
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
    })
    expect(status).toBe(0)
    expect(stderr.match(/\[GRPC_STACK_POLICY_FILE\]/g)).toHaveLength(1)
    expect(stderr).toContain('The last good policy is still in force.')
  })
})
