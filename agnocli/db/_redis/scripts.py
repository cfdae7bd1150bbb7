"""Lua that a server runs as one step. It names keys by their prefix, so it is for one server, not for a cluster."""

from __future__ import annotations

from typing import NewType

Script = NewType("Script", str)

NOTHING = Script("return 1")

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

RELEASE = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")
"""Let go of a lock, if it is still ours."""

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

LIST = Script("""
local P, TTL, parts = ARGV[1], tonumber(ARGV[2]), cjson.decode(ARGV[4])
if redis.call('DEL', ARGV[3]) == 0 then return 0 end
local function order(part) return P .. ':runs:by_session:' .. part.id end
local function each_key(part, visit)
  if part.record >= 0 then visit(P .. ':sessions:' .. part.id, part.ends) end
  for n, run in ipairs(part.runs) do visit(P .. ':runs:' .. run, part.moments[n] or '') end
end
local function undo()
  for _, part in ipairs(parts) do each_key(part, function(key) redis.call('DEL', key) end) end
end
for _, part in ipairs(parts) do
  if redis.call('EXISTS', order(part)) == 1 then undo() return 0 end
end

local function live(key, at)
  if at ~= '' then redis.call('PEXPIREAT', key, at) elseif TTL then redis.call('PEXPIRE', key, TTL) end
end
local function many(command, key, members)
  for n = 1, #members, 4000 do
    redis.call(command, key, unpack(members, n, math.min(n + 3999, #members)))
  end
end
local sets = {}
local function list(names, members, first, last)
  for _, name in ipairs(names) do
    local set = sets[name]
    if not set then set = {} sets[name] = set end
    local behind = #set + 1 - first
    for n = first, last do set[n + behind] = members[n] end
  end
end
local function place(part)
  local ranks, first = {}, 1
  list(part.lists, {part.id}, 1, 1)
  for n, run in ipairs(part.runs) do ranks[2 * n - 1], ranks[2 * n] = part.places[n], run end
  for _, sort in ipairs(part.sorts) do
    list(sort[1], part.runs, first, first + sort[2] - 1)
    first = first + sort[2]
  end
  many('ZADD', order(part), ranks)
  if TTL or part.ends ~= '' or #part.moments > 0 then
    each_key(part, live)
    live(order(part), part.ends)
  end
end
local done, failure = pcall(function()
  for _, part in ipairs(parts) do place(part) end
  for name, members in pairs(sets) do many('SADD', name, members) end
end)
if done then return 1 end
undo()
for _, part in ipairs(parts) do redis.call('DEL', order(part)) end
return type(failure) == 'table' and failure or redis.error_reply(failure)
""")
"""What makes records that are set already sessions: their order and the sets that list them. 0 when they were not set,
or when runs are there that an earlier session left behind; they are not there any more then.

ARGV: key prefix, milliseconds to live or '', a key that is there if the records were set, parts.
"""

STAGE = Script("""
local stage, life, ids = ARGV[1], ARGV[2], ARGV[1] .. '::ids'
for n = 3, #ARGV, 3 do
  local part, place, own = cjson.decode(ARGV[n + 1])[1], 1, stage .. ':' .. ARGV[n]
  local function put(name, length)
    redis.call('SET', name, string.sub(ARGV[n + 2], place, place + length - 1), 'EX', life)
    place = place + length
  end
  if part.record >= 0 then put(own .. ':session', part.record) end
  for m, run in ipairs(part.runs) do
    if redis.call('HSETNX', ids, run, ARGV[n]) == 0 then return {ARGV[n], run} end
    put(own .. ':run:' .. run, part.lengths[m])
    redis.call('ZADD', own .. ':order', part.places[m], run)
  end
  redis.call('RPUSH', own .. ':parts', ARGV[n + 1])
  for _, name in ipairs({own .. ':parts', own .. ':order', ids}) do redis.call('EXPIRE', name, life) end
end
return false
""")
"""Keep parts of sessions under names that go by themselves; answers with number and run id of a run that the batch has
already.

ARGV: what the batch is called, seconds, then number of the session in it, the part, its texts one after another.
"""

COMMIT = Script("""
local P, TTL = ARGV[1], tonumber(ARGV[2])
local function run_key(id) return P .. ':runs:' .. id end
local function runs_key(id) return P .. ':runs:by_session:' .. id end
local function scored(text) return string.match(text, '^(%S+) (.*)$') end

local check = {}
function check.same(key, sha) return redis.sha1hex(redis.call('GET', key) or '') == sha end
function check.absent(key) return redis.call('EXISTS', key) == 0 end
function check.there(key) return redis.call('EXISTS', key) == 1 end
function check.order(key, sha)
  return redis.sha1hex(table.concat(redis.call('ZRANGE', key, 0, -1), '\\0')) == sha
end
function check.last(key, wanted)
  local top = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  local count, score, member = string.match(wanted, '^(%d+) (%S+) (.*)$')
  return redis.call('ZCARD', key) == tonumber(count)
    and (not top[1] or (top[1] == member and tonumber(top[2]) == tonumber(score)))
end
function check.free(run, session)
  return redis.call('EXISTS', run_key(run)) == 0 or redis.call('ZSCORE', runs_key(session), run)
end
local forgotten = {}
function check.forget(session) forgotten[session] = true return true end

local apply = {}
function apply.set(key, text)
  if TTL then redis.call('SET', key, text, 'PX', TTL) else redis.call('SET', key, text, 'KEEPTTL') end
end
function apply.ends(key, at)
  if at ~= '' then redis.call('PEXPIREAT', key, at)
  elseif TTL then redis.call('PEXPIRE', key, TTL)
  else redis.call('PERSIST', key) end
end
function apply.del(key) redis.call('DEL', key) end
function apply.zadd(key, text)
  local score, member = scored(text)
  redis.call('ZADD', key, score, member)
end
function apply.zrem(key, member) redis.call('ZREM', key, member) end
function apply.sadd(key, member) redis.call('SADD', key, member) end
function apply.srem(key, member) redis.call('SREM', key, member) end
function apply.like(key, other)
  local left = redis.call('PTTL', other)
  if not TTL and left > 0 and redis.call('PTTL', key) == -1 then redis.call('PEXPIRE', key, left) end
end
function apply.clean(index, session)
  for _, run in ipairs(redis.call('ZRANGE', runs_key(session), 0, -1)) do
    redis.call('SREM', index, run)
  end
end
function apply.forget(session)
  for _, run in ipairs(redis.call('ZRANGE', runs_key(session), 0, -1)) do
    redis.call('DEL', run_key(run))
  end
  redis.call('DEL', runs_key(session))
end
function apply.touch(session)
  if not TTL then return end
  redis.call('PEXPIRE', P .. ':sessions:' .. session, TTL)
  redis.call('PEXPIRE', runs_key(session), TTL)
  for _, run in ipairs(redis.call('ZRANGE', runs_key(session), 0, -1)) do
    redis.call('PEXPIRE', run_key(run), TTL)
  end
end
function apply.number(run, index)
  local text = redis.call('GET', run_key(run))
  local _, before = string.find(text, '"run_index": ', 1, true)
  local behind = string.find(text, '[,}]', before)
  local changed = string.sub(text, 1, before) .. index .. string.sub(text, behind)
  redis.call('SET', run_key(run), changed, 'KEEPTTL')
end

local function each(visit, first)
  for n = first, #ARGV, 3 do
    if visit(ARGV[n], ARGV[n + 1], ARGV[n + 2]) == false then return ARGV[n + 1] end
  end
end

local function each_part(visit)
  for n = 4, 3 + tonumber(ARGV[3]) do
    local parts = ARGV[n] .. ':parts'
    for place = 0, redis.call('LLEN', parts) - 1 do
      local failed = visit(cjson.decode(redis.call('LINDEX', parts, place))[1], ARGV[n])
      if failed then return failed end
    end
  end
end

local function unfit(part, stage)
  local key, order, again = P .. ':sessions:' .. part.id, runs_key(part.id), forgotten[part.id]
  if not again and redis.call('EXISTS', key, order) > 0 then return key end
  for _, id in ipairs(part.runs) do
    if redis.call('EXISTS', run_key(id)) == 1 and not (again and redis.call('ZSCORE', order, id)) then return id end
    if redis.call('EXISTS', stage .. ':run:' .. id) == 0 then return stage end
  end
  if part.record >= 0 and redis.call('EXISTS', stage .. ':session') == 0 then return stage end
end

local function place(key, stage, at)
  redis.call('RENAME', stage, key)
  apply.ends(key, at)
end
local function put(part, stage)
  local id = part.id
  if part.record >= 0 then
    place(P .. ':sessions:' .. id, stage .. ':session', part.ends)
    for _, name in ipairs(part.lists) do redis.call('SADD', name, id) end
    if redis.call('EXISTS', stage .. ':order') == 1 then place(runs_key(id), stage .. ':order', part.ends) end
  end
  for n, run in ipairs(part.runs) do
    place(run_key(run), stage .. ':run:' .. run, part.moments[n] or '')
  end
  local first = 1
  for _, sort in ipairs(part.sorts) do
    for n = first, first + sort[2] - 1 do
      for _, name in ipairs(sort[1]) do redis.call('SADD', name, part.runs[n]) end
    end
    first = first + sort[2]
  end
end

local steps = 4 + tonumber(ARGV[3])
local failed = each(function(step, key, value)
  return not check[step] or (check[step](key, value) and true or false)
end, steps) or each_part(unfit)
if failed then return failed end
each(function(step, key, value) if apply[step] then apply[step](key, value) end end, steps)
each_part(put)
for n = 4, steps - 1 do redis.call('DEL', ARGV[n] .. ':parts') end
return false
""")
"""Check everything, then change everything, or answer with what a check failed on and change nothing.

ARGV: key prefix, milliseconds to live or '', number of staged sessions, their names, then steps. A step is three texts:
what, on which key or id, with what. A session that is staged is not there, or a step forgets it.
"""
