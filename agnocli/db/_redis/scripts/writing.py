"""Scripts that write, each wholly or not at all."""

from __future__ import annotations

from agnocli.db._redis.scripts import Script

RELEASE = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")
"""Let go of a lock, if it is still ours."""

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
