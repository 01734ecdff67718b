import { describe, expect, it } from 'vitest'
import { FakeClock } from './fake-clock.ts'

describe('FakeClock', () => {
  it('stands still until it is advanced', async () => {
    const clock = new FakeClock(1000)
    expect(clock.now()).toBe(1000)
    await clock.advance(5)
    expect(clock.now()).toBe(1005)
  })

  it('runs timers when they are due, in order, each at its own time', async () => {
    const clock = new FakeClock()
    const ran: [string, number][] = []
    for (const [name, ms] of [
      ['c', 30],
      ['a', 10],
      ['b', 10],
    ] as const) {
      clock.setTimeout(() => ran.push([name, clock.now()]), ms)
    }
    await clock.advance(29)
    expect(ran).toEqual([
      ['a', 10],
      ['b', 10],
    ])
    expect(clock.pending).toBe(1)
    expect(clock.untilNext).toBe(1)
    await clock.advance(1)
    expect(ran.at(-1)).toEqual(['c', 30])
  })

  it('runs timers that timers set, also after asynchronous work', async () => {
    const clock = new FakeClock()
    const ran: number[] = []
    const again = async (): Promise<void> => {
      ran.push(clock.now())
      await new Promise((resolve) => setImmediate(resolve))
      clock.setTimeout(() => void again(), 10)
    }
    clock.setTimeout(() => void again(), 10)
    await clock.advance(35)
    expect(ran).toEqual([10, 20, 30])
  })

  it('never runs a cleared timer', async () => {
    const clock = new FakeClock()
    let ran = false
    clock.clearTimeout(
      clock.setTimeout(() => {
        ran = true
      }, 10),
    )
    expect(clock.pending).toBe(0)
    await clock.advance(20)
    expect(ran).toBe(false)
    clock.clearTimeout(undefined)
  })

  it('tells when a timer is set', async () => {
    const clock = new FakeClock()
    const set = clock.timerSet()
    clock.setTimeout(() => undefined, 70)
    expect(await set).toBe(70)
    expect(await clock.timerSet()).toBe(70)
  })

  it('jumps without running anything, backwards too', async () => {
    const clock = new FakeClock(100)
    let ran = false
    clock.setTimeout(() => {
      ran = true
    }, 10)
    clock.jump(50)
    expect([clock.now(), ran]).toEqual([150, false])
    await clock.advance(0)
    expect([clock.now(), ran]).toEqual([150, true])
    clock.jump(-120)
    expect(clock.now()).toBe(30)
  })

  it('refuses to go back by advancing', async () => {
    await expect(new FakeClock().advance(-1)).rejects.toThrow(TypeError)
    await expect(new FakeClock().advance(Number.NaN)).rejects.toThrow(TypeError)
    expect(() => new FakeClock(Number.NaN)).toThrow('start')
  })
})
