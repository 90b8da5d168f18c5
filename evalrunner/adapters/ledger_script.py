"""What a ledger's server does in one step: settle and reserve, exactly and together or not at all.

Lua's numbers are binary floats, so that money never becomes one: amounts are texts, added by the server's
own 64-bit integers and compared digit by digit. Everything that could be refused is looked at before the
first change, since a script that fails keeps the changes that it has made.
"""

from __future__ import annotations

from typing import Final

EXCHANGE: Final = r"""
local base, token = KEYS[1], ARGV[1]
local done = redis.call('GET', base .. ':batch:' .. token)
if done then return done end
local batch = cjson.decode(ARGV[2])
local attempts, ends = base .. ':attempts', base .. ':ends'

local function above(left, right)
  if #left ~= #right then return #left > #right end
  return left > right
end

local function sum(left, right)
  local scratch = base .. ':scratch'
  redis.call('SET', scratch, left)
  local fits = redis.pcall('INCRBY', scratch, right)
  local result = redis.call('GET', scratch)
  redis.call('DEL', scratch)
  if type(fits) == 'table' then return false end
  return result
end

local function scopes(of)
  local month = string.sub(of.day, 1, 7)
  return {'run/' .. of.run, 'suite/' .. of.run .. '/' .. of.suite, 'month/' .. month, 'day/' .. of.day}
end

local function count(scope, field, amount)
  redis.call('HINCRBY', base .. ':sums:' .. scope, field, amount)
end

local function learn(of, length)
  local kind, usual = cjson.encode({of.endpoint, of.role}), base .. ':usual:' .. of.suite
  redis.call('SADD', base .. ':usual_suites', of.suite)
  for number, figure in ipairs(length) do redis.call('HINCRBY', usual, kind .. number, figure) end
  if tonumber(redis.call('HGET', usual, kind .. '1')) <= batch.forget_from then return end
  local known = redis.call('HGETALL', usual)
  for at = 1, #known, 2 do
    redis.call('HSET', usual, known[at], string.format('%.0f', math.floor(tonumber(known[at + 1]) / 2)))
  end
end

for _, ended in ipairs(batch.ends) do
  if redis.call('HEXISTS', attempts, ended.id) == 0 then return '!strange ' .. ended.id end
end
local seen = {}
for _, asked in ipairs(batch.attempts) do
  if seen[asked.id] or redis.call('HEXISTS', attempts, asked.id) == 1 then
    return '!again ' .. asked.id
  end
  seen[asked.id] = true
end

for _, ended in ipairs(batch.ends) do
  if redis.call('HSETNX', ends, ended.id, ended.row) == 1 and ended.status ~= 'possibly_paid' then
    local of = cjson.decode(redis.call('HGET', attempts, ended.id))
    local paid = ended.status == 'ok'
    for _, scope in ipairs(scopes(of)) do
      if of.worst == '' then count(scope, 'open_unknown', -1) end
      if not paid then count(scope, 'calls', -1) end
      if paid and not ended.metered then count(scope, 'unmetered', 1) end
      if paid and ended.cost == '' then
        count(scope, 'spent_unknown', 1)
      else
        local cost = ended.cost == '' and '0' or ended.cost
        if of.worst ~= '' and of.worst ~= '0' then count(scope, 'held', '-' .. of.worst) end
        count(scope, 'held', cost)
        count(scope, 'spent', cost)
      end
    end
    if #ended.length > 0 then learn(of, ended.length) end
  end
end

local answer, reserved = {}, false
for _, asked in ipairs(batch.attempts) do
  local where, fits = scopes(asked), true
  local limits = {batch.limits.run, batch.limits.suites[asked.suite] or '', batch.limits.month, ''}
  local worst = asked.worst == '' and '0' or asked.worst
  for number, scope in ipairs(where) do
    local total = sum(redis.call('HGET', base .. ':sums:' .. scope, 'held') or '0', worst)
    if not total then return '!large ' .. asked.id end
    local limit = batch.unlimited and '' or limits[number]
    if limit ~= '' and (asked.worst == '' or above(total, limit)) then fits = false end
  end
  answer[#answer + 1] = fits and '1' or '0'
  if fits then
    reserved = true
    redis.call('HSET', attempts, asked.id, asked.row)
    redis.call('RPUSH', base .. ':run:' .. asked.run, asked.id)
    redis.call('ZADD', base .. ':days', asked.number, asked.day)
    for _, scope in ipairs(where) do
      count(scope, 'held', worst)
      count(scope, 'calls', 1)
      if asked.worst == '' then count(scope, 'open_unknown', 1) end
    end
  end
end
for _, origin in ipairs(batch.origins) do
  if reserved or batch.unlimited then
    redis.call('HSETNX', base .. ':origins', origin.run, origin.row)
    redis.call('ZADD', base .. ':began', 'LT', origin.at, origin.run)
  end
end
local result = table.concat(answer)
redis.call('SET', base .. ':batch:' .. token, result, 'EX', 900)
return result
"""
