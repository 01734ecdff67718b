import { describe, expect, it } from 'vitest'
import { readArguments } from './arguments.ts'

describe('readArguments', () => {
  it('has defaults for all of them', () => {
    expect(readArguments([])).toEqual({ once: false, json: false, help: false, story: true, port: 4600, paceMs: 3000 })
  })

  it('reads them', () => {
    const given = readArguments(['--once', '--json', '--no-story', '--port', '0', '--pace', '10'])
    expect(given).toEqual({ once: true, json: true, help: false, story: false, port: 0, paceMs: 10 })
  })

  it.for([['--port', 'x'], ['--port', ''], ['--port', '70000'], ['--pace', '1.5'], ['--pase', '1'], ['once']])(
    'says what is wrong with %s %s',
    (args) => {
      expect(readArguments(args).problem).toContain(args[0] === 'once' ? 'once' : args[0])
    },
  )
})
