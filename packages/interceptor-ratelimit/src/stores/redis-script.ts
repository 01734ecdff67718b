import { createHash } from 'node:crypto'

/**
 * One decision, atomically, by the clock of the server: the same arithmetic as `gcra.ts`, in the same whole numbers.
 *
 *     KEYS     one per limit
 *     ARGV     per limit: leakPerUs, capacity, cost in units
 *     returns  { 1 if admitted, now in µs, then per limit the debt before this call }
 *
 * A key holds `lastUs debt leakPerUs` and expires when the debt is gone. The leak is there for a limit whose numbers
 * change while it is in use: what a key owes is carried over by the time it takes to leak away. After the clock of the
 * server stepped back the debt leaks from then on, not once the clock has caught up.
 */
export const TAKE_SCRIPT: string = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local reply = { 1, now }
local debts = {}

local function remember(key, debt, leak)
  local ttl = math.ceil(debt / leak / 1000) + 1
  redis.call('SET', key, string.format('%.0f %.0f %.0f', now, debt, leak), 'PX', string.format('%.0f', ttl))
end

for i, key in ipairs(KEYS) do
  local leak, capacity, cost = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local debt = 0
  local state = redis.call('GET', key)
  local last, owed, was
  if state then last, owed, was = string.match(state, '^(%d+) (%d+) (%d+)$') end
  if last then
    debt = tonumber(owed)
    was = tonumber(was)
    if was ~= leak then debt = math.min(capacity, math.ceil(debt / was * leak)) end
    if now < tonumber(last) then
      remember(key, debt, leak)
    else
      local leaked = (now - last) * leak
      debt = leaked >= debt and 0 or debt - leaked
    end
  end
  if debt + cost > capacity then reply[1] = 0 end
  debts[i] = debt
  reply[i + 2] = debt
end
if reply[1] == 1 then
  for i, key in ipairs(KEYS) do
    local leak, cost = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i])
    if cost > 0 then remember(key, debts[i] + cost, leak) end
  end
end
return reply
`

export const TAKE_SHA: string = createHash('sha1').update(TAKE_SCRIPT).digest('hex')
