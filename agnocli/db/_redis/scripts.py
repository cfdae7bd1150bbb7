"""Lua that a server runs as one step. It names keys by their prefix, so it is for one server, not for a cluster."""

from __future__ import annotations

from typing import NewType

Script = NewType("Script", str)

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

local apply = {}
function apply.set(key, text)
  if TTL then redis.call('SET', key, text, 'PX', TTL) else redis.call('SET', key, text, 'KEEPTTL') end
end
function apply.move(key, source)
  if redis.call('EXISTS', source) == 0 then return end
  redis.call('RENAME', source, key)
  if TTL then redis.call('PEXPIRE', key, TTL) else redis.call('PERSIST', key) end
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

local function each(visit)
  local staged = tonumber(ARGV[3])
  for place = 4, 3 + staged do
    for start = 0, redis.call('LLEN', ARGV[place]) - 1, 3000 do
      local steps = redis.call('LRANGE', ARGV[place], start, start + 2999)
      for n = 1, #steps, 3 do
        if visit(steps[n], steps[n + 1], steps[n + 2]) == false then return steps[n + 1] end
      end
    end
  end
  for n = 4 + staged, #ARGV, 3 do
    if visit(ARGV[n], ARGV[n + 1], ARGV[n + 2]) == false then return ARGV[n + 1] end
  end
end

local failed = each(function(step, key, value)
  return not check[step] or (check[step](key, value) and true or false)
end)
if failed then return failed end
each(function(step, key, value) if apply[step] then apply[step](key, value) end end)
for place = 4, 3 + tonumber(ARGV[3]) do redis.call('DEL', ARGV[place]) end
return false
""")
"""Check everything, then change everything, or answer with what a check failed on and change nothing.

ARGV: key prefix, milliseconds to live or '', number of staged lists, their keys, then steps. A step is three
texts: what, on which key or id, with what.
"""
