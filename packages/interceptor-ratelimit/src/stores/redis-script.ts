import { createHash } from 'node:crypto'

/** Elements of ARGV per limit. */
export const ARGS_PER_LIMIT = 5

/** The first number of a reply. */
export const REFUSED = 0
export const ADMITTED = 1
/** The script ran after the deadline: nothing was decided and nothing charged. */
export const LATE = 2

/**
 * One decision, atomically, by the clock of the server: the same arithmetic as `gcra.ts`, in the same whole numbers.
 *
 *     KEYS     one per caller
 *     ARGV     the deadline in µs by the clock of the server, or 0; then per limit: index of its caller in KEYS, name,
 *              leakPerUs, capacity, cost in units
 *     returns  { ADMITTED, REFUSED or LATE, now in µs, then per limit the debt before this call }
 *
 * A key holds all that a caller owes: the time in µs, then ` name debt leakPerUs` for each limit that is owed something. It
 * expires when nothing is owed. The leak is there for a limit whose numbers change while it is in use: what a caller owes is
 * carried over by the time it takes to leak away, and for the limits that are not part of this decision. After the clock of the
 * server stepped back the debt leaks from then on, not once the clock has caught up.
 */
export const TAKE_SCRIPT: string = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local deadline = tonumber(ARGV[1])
if deadline > 0 and now > deadline then return { ${LATE}, now } end

-- What most decisions are, one limit of a caller who owes it alone, takes the short way.
if #ARGV == 6 then
  local key, name, leak, capacity, cost = KEYS[1], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  local state = redis.call('GET', key)
  local last, debt = 0, 0
  local alone = not state
  if state then
    local at, whose, owed, was = string.match(state, '^(%d+) (%S+) (%d+) (%d+)$')
    if whose == name and was == ARGV[4] then
      last, debt, alone = tonumber(at), tonumber(owed), now >= tonumber(at)
    end
  end
  if alone then
    local leaked = (now - last) * leak
    debt = leaked >= debt and 0 or debt - leaked
    if debt + cost > capacity then return { ${REFUSED}, now, debt } end
    if cost > 0 then
      local ttl = math.ceil((debt + cost) / leak / 1000) + 1
      redis.call('SET', key, string.format('%.0f %s %.0f %s', now, name, debt + cost, ARGV[4]), 'PX', string.format('%.0f', ttl))
    end
    return { ${ADMITTED}, now, debt }
  end
end

local reply = { ${ADMITTED}, now }
local debts, leaks, changed = {}, {}, {}
for i, key in ipairs(KEYS) do
  debts[i], leaks[i] = {}, {}
  local state = redis.call('GET', key)
  local last = state and tonumber(string.match(state, '^(%d+) '))
  if last then
    local elapsed = now - last
    if elapsed < 0 then elapsed, changed[i] = 0, true end
    for name, debt, leak in string.gmatch(state, ' (%S+) (%d+) (%d+)') do
      debt, leak = tonumber(debt), tonumber(leak)
      local leaked = elapsed * leak
      if leaked < debt then debts[i][name], leaks[i][name] = debt - leaked, leak end
    end
  end
end

for i = 2, #ARGV, ${ARGS_PER_LIMIT} do
  local caller, name = tonumber(ARGV[i]), ARGV[i + 1]
  local leak, capacity, cost = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
  local debt = debts[caller][name] or 0
  local was = leaks[caller][name]
  if was and was ~= leak then debt = math.min(capacity, math.ceil(debt / was * leak)) end
  if debt + cost > capacity then reply[1] = ${REFUSED} end
  reply[#reply + 1] = debt
end

if reply[1] == ${ADMITTED} then
  for i = 2, #ARGV, ${ARGS_PER_LIMIT} do
    local caller, name, cost = tonumber(ARGV[i]), ARGV[i + 1], tonumber(ARGV[i + 4])
    if cost > 0 then
      debts[caller][name], leaks[caller][name] = reply[(i - 2) / ${ARGS_PER_LIMIT} + 3] + cost, tonumber(ARGV[i + 2])
      changed[caller] = true
    end
  end
end

for i in pairs(changed) do
  local parts, longest = { string.format('%.0f', now) }, 0
  for name, debt in pairs(debts[i]) do
    local leak = leaks[i][name]
    parts[#parts + 1] = string.format('%s %.0f %.0f', name, debt, leak)
    longest = math.max(longest, debt / leak)
  end
  redis.call('SET', KEYS[i], table.concat(parts, ' '), 'PX', string.format('%.0f', math.ceil(longest / 1000) + 1))
end
return reply
`

export const TAKE_SHA: string = createHash('sha1').update(TAKE_SCRIPT).digest('hex')
