import { readValue } from '@grpc-stack/grpc-core/authoring'
import { expect, it } from 'vitest'
import { bucketBounds } from './recorder-options.ts'

it.each([[undefined], [[]], [[0, 1]], [[1, 1]], [[2, 1]], [[1, Number.POSITIVE_INFINITY]], [['1']], [new Array(2)]])(
  'buckets have no bounds %j',
  (bounds) => {
    expect(() => readValue('prometheus', 'buckets', bounds, bucketBounds)).toThrow(
      'prometheus: option "buckets" must be a list of ascending positive numbers',
    )
  },
)

it('bounds are copied: what is given may be changed later', () => {
  const given = [1, 2]
  const bounds = readValue('prometheus', 'buckets', given, bucketBounds)
  given[1] = 0
  expect(bounds).toEqual([1, 2])
})
