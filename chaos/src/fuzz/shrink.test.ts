import { expect, it } from 'vitest'
import { type Script, type Step, scriptOf } from './script.ts'
import { shrink } from './shrink.ts'

it('a failing script is cut down to what makes it fail', async () => {
  const last: Step = { client: 'cancel' }
  const long: Script = { ...scriptOf(3), steps: [...scriptOf(3).steps, { wait: 'ms', count: 1 }, last] }
  const runs: Script[] = []
  const fails = (script: Script): Promise<boolean> => {
    runs.push(script)
    return Promise.resolve(script.steps.some((step) => 'client' in step && step.client === 'cancel'))
  }
  const small = await shrink(long, fails, 5000)
  expect(small.steps).toEqual([last])
  expect([small.metadata, small.headers, small.trailers, small.options]).toEqual([[], [], [], {}])
  expect(runs.length).toBeLessThan(200)
})
