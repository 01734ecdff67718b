import { beforeEach, describe, expect, it } from 'vitest'
import { ReceivedMessages } from './received-messages.ts'

describe('the messages that a call of an interceptor object has received', () => {
  let asked: number
  let messages: ReceivedMessages
  beforeEach(() => {
    asked = 0
    messages = new ReceivedMessages(() => asked++)
  })

  /** Gives a message for each that is asked for, until no more is asked for. */
  function answer(): number {
    for (let given = 0; ; given++) {
      if (given === asked) return given
      messages.push(given)
    }
  }

  it('are not asked for as long as it is not known what becomes of them', () => {
    expect(answer()).toBe(0)
  })

  it('are read ahead up to a bound, that of a stream of grpc-js', () => {
    messages.readAhead()
    expect(answer()).toBe(16)
    expect(messages.readableLength).toBe(16)
  })

  it('are read as they are taken in a loop, with two more', () => {
    messages.readAhead()
    answer()
    const taken = Array.from({ length: 15 }, () => messages.read())
    expect(taken).toEqual(Array.from({ length: 15 }, (_, n) => n))
    expect([messages.readableLength, asked]).toEqual([1, 17])
    messages.push('next')
    expect([messages.readableLength, asked]).toEqual([2, 17])
  })

  it('are asked for one at a time on demand', () => {
    messages.readAhead()
    messages.onDemand()
    messages.push('first')
    expect(asked).toBe(1)
    expect(messages.take()).toBe('first')
    messages.ask()
    messages.ask()
    expect(asked).toBe(2)
  })
})
