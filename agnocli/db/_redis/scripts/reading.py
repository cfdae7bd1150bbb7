"""Scripts that change nothing."""

from __future__ import annotations

from agnocli.db._redis.scripts import Script

PAGE = Script("""
local found = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local names, lengths, texts, size, rest = {}, {}, {}, 0, {}
for _, key in ipairs(found[2]) do
  if string.sub(key, 1, #ARGV[4]) ~= ARGV[4] then
    local text = size < tonumber(ARGV[5]) and redis.call('MGET', key)[1]
    if text then
      names[#names + 1], lengths[#lengths + 1], texts[#texts + 1] = key, #text, text
      size = size + #text
    elseif size >= tonumber(ARGV[5]) then
      rest[#rest + 1] = key
    end
  end
end
local function json(list) return #list == 0 and '[]' or cjson.encode(list) end
return {found[1], json(names), json(lengths), table.concat(texts, ','), json(rest)}
""")
"""One step over the records whose key matches: cursor, names, lengths and texts, and names of those left unread.

ARGV: cursor, pattern, count, what no key may begin with, bytes to send at most.
"""

TIMES = Script("""
local found = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local updated, floor = ARGV[5] == 'updated', tonumber(ARGV[6])
local names, late, times, odd = {}, {}, {}, {}
local function time(key)
  local tail = redis.pcall('GETRANGE', key, -80, -1)
  if type(tail) ~= 'string' then return nil end
  local made, changed = string.match(tail, '[ {]"created_at": (%d+), "updated_at": (%w+)}$')
  local text = updated and changed ~= 'null' and changed or made
  if not text or #text > 15 or string.find(text, '%D') then odd[#odd + 1] = key return nil end
  return text
end
for _, key in ipairs(found[2]) do
  if string.sub(key, 1, #ARGV[4]) ~= ARGV[4] then
    local text = time(key)
    if text then
      names[#names + 1] = key
      if not floor or tonumber(text) >= floor then
        late[#late + 1], times[#times + 1] = key, text
      end
    end
  end
end
local function json(list) return #list == 0 and '[]' or cjson.encode(list) end
return {found[1], json(names), json(late), '[' .. table.concat(times, ',') .. ']', json(odd)}
""")
"""One step over the session records whose key matches: cursor, names, names and times of those listed under a time
from a floor on, and names of those that do not end as Agno writes them.

ARGV: cursor, pattern, count, what no key may begin with, which time, the floor or ''.
"""

_ENDS = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local exact = type(redis.pcall('PEXPIRETIME', '')) == 'number'
local function ends(key)
  local left = redis.call(exact and 'PEXPIRETIME' or 'PTTL', key)
  if left < 0 then return '' end
  return string.format('%.0f', exact and left or now + left)
end
"""

GATHER = Script(f"""
{_ENDS}
local P, most, held = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local known = redis.pcall('INFO', 'keyspace')
local expiring = type(known) ~= 'string' or string.find(known, 'expires=[1-9]')
local ids, moments, counts, runs, texts, size, asked = {{}}, {{}}, {{}}, {{}}, {{}}, 0, 3
local function take(text, kind, id)
  texts[#texts + 1] = text
  size = size + #text
  if expiring then moments[#texts] = ends(P .. kind .. id) end
end
local function read(id)
  local text = redis.call('MGET', P .. ':sessions:' .. id)[1]
  if not text then return end
  local found, bodies, weight = redis.call('ZRANGE', P .. ':runs:by_session:' .. id, 0, -1), {{}}, 0
  for n, run in ipairs(found) do
    local body = redis.call('GETRANGE', P .. ':runs:' .. run, 0, held - weight)
    bodies[n], weight = body, weight + #body
    if weight > held then break end
    if size > 0 and size + #text + weight > most then return true end
  end
  take(text, ':sessions:', id)
  ids[#ids + 1] = id
  if weight > held then counts[#ids] = -1 return end
  local count = 0
  for n, run in ipairs(found) do
    if bodies[n] ~= '' then
      take(bodies[n], ':runs:', run)
      count, runs[#runs + 1] = count + 1, run
    end
  end
  counts[#ids] = count
end
while asked < #ARGV and size < most do
  if read(ARGV[asked + 1]) then break end
  asked = asked + 1
end
local function json(list) return #list == 0 and '[]' or cjson.encode(list) end
return {{asked - 3, json(ids), json(counts), json(runs), json(moments), texts}}
""")
"""Whole sessions by id, as many as fit: how many were looked at, ids of those that are there, how many runs each has,
ids of all runs, ends of life of all records in epoch milliseconds or '', none where no key of the server has one, and
the text of every record.

-1 runs are more than is to be held. ARGV: key prefix, bytes to send, bytes of runs to be held, ids.
"""

FETCH = Script(f"""
{_ENDS}
local most, found, texts, size = tonumber(ARGV[1]), {{}}, {{}}, 0
for n = 2, #ARGV do
  if size >= most then break end
  local text = redis.call('GET', ARGV[n])
  texts[n - 1], found[n - 1] = text, ends(ARGV[n])
  if text then size = size + #text end
end
return {{cjson.encode(found), texts}}
""")
"""Texts by key, as many as fit: their ends of life, and the texts. ARGV: bytes to send, keys."""

PRESENT = Script("""
local keys, found = {}, {}
for n = 2, #ARGV do
  keys[2 * n - 3] = ARGV[1] .. ':sessions:' .. ARGV[n]
  keys[2 * n - 2] = ARGV[1] .. ':runs:by_session:' .. ARGV[n]
end
if #keys == 0 or redis.call('EXISTS', unpack(keys)) == 0 then return string.rep('-', #ARGV - 1) end
for n = 1, #keys, 2 do
  local there, runs = redis.call('EXISTS', keys[n]) == 1, redis.call('EXISTS', keys[n + 1]) == 1
  found[#found + 1] = there and 's' or runs and 'r' or '-'
end
return table.concat(found)
""")
"""One letter for each of up to 3,000 ids: a session of it is there, or only runs that one left behind, or nothing."""

CENSUS = Script("""
local P, found = ARGV[5], redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local names, counts, odd, stamps, others = {}, {}, {}, {}, {}
for _, key in ipairs(found[2]) do
  local kind, id = string.match(string.sub(key, #P + 2), '^([^:]+):(.*)$')
  if not kind or string.sub(id, 1, 6) == 'index:' then
    kind = nil
  elseif kind == 'sessions' then
    local text = redis.call('MGET', key)[1]
    if text then
      names[#names + 1] = key
      counts[#counts + 1] = redis.call('ZCARD', P .. ':runs:by_session:' .. id)
      if string.find(text, '"runs"%s*:%s*[%[{"]') then odd[#odd + 1] = #names end
    end
  elseif kind == ARGV[4] then
    stamps[#stamps + 1] = key
  elseif kind ~= 'runs' and kind ~= 'agnocli' then
    others[kind] = (others[kind] or 0) + 1
  end
end
local function json(list) return next(list) == nil and '[]' or cjson.encode(list) end
return {found[1], json(names), json(counts), json(odd), json(stamps), json(others)}
""")
"""One step over all keys: cursor, session keys, how many runs each lists, the numbers (from 1) of those that may hold
runs themselves, keys of version stamps, and the number of records of every other kind.

ARGV: cursor, pattern, count, what version stamps are called, key prefix.
"""
