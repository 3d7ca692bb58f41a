import { createHash } from 'node:crypto'
import type { LogRecord } from '@entitycast/sse-server'
import { decodeRecords, type Found, foundIn } from '../seams/record-text'

/*
 * A project's log in Redis, and the two scripts that touch it. Each is one step for everybody: nobody sees an offset without its
 * record, or a record without its message.
 *
 *   head   hash     e epoch · o offset of the newest record · t tag of its append · b bytes of the records kept · r history
 *   log    stream   `<offset>-0` → r record · t tag · a time of the append, in milliseconds · s bytes that it counts for
 *
 * A tag is the random name of one append, and each message carries the tag of the append before it. So whoever has seen offset 7
 * can tell whether the 8 that comes belongs to the same log, also where a failover has taken the old 7 away and given out another.
 *
 * The history is the server's name for its own past (`master_replid`): new after a restart and after a failover, which may have lost
 * the newest records. Then the log begins anew under a new epoch, unless the team says that its Redis is durable.
 */

/** The error of a server that is like Redis, and does not name its past. */
export const NO_PAST = 'NOPAST'
/** The error of an append that was sent behind another one, which is not there. */
export const NOT_BEHIND = 'NOTBEHIND'

/** ARGV 1 to 5, the same for both: a new random name, whether Redis is durable, how long the head lives, how and where to publish. */
const PRELUDE = `
local head, log = KEYS[1], KEYS[2]
local id, durable, ttl, publish, channel = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local function text(n) return string.format('%.0f', n) end
local found = redis.call('HMGET', head, 'e', 'o', 't', 'b', 'r')
local epoch, last, tag, bytes = found[1], tonumber(found[2]), found[3], tonumber(found[4])
local history = found[5] or ''
if durable ~= '1' then
  history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
  if not history then return redis.error_reply('${NO_PAST} INFO replication has no master_replid') end
end
local function begin()
  epoch, last, tag, bytes = id, 0, '-', 0
  redis.call('DEL', log)
  redis.call('HSET', head, 'e', id, 'o', '0', 't', '-', 'b', '0', 'r', history)
  redis.call('PEXPIRE', head, ttl)
  redis.call(publish, channel, id .. ' 0 0 - -')
end
if not epoch or not last or found[5] ~= history then begin() end
`

/**
 * ARGV 6 to 8: retention by age, number and bytes. 9: the tag of the append that this one was sent behind, without waiting for its answer, or
 * nothing. From 10 on, in turn: a record, and the bytes it counts for.
 */
const APPEND = `${PRELUDE}
local age, events, most, behind = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9]
local count = (#ARGV - 9) / 2
if count == 0 then return { epoch, text(last) } end
if behind ~= '' and behind ~= tag then
  -- Others may have appended since. Not found among so many, it is said to be missing: whoever asks then waits for its answer.
  local there
  for _, entry in ipairs(redis.pcall('XRANGE', log, text(math.max(last - 99, 0)) .. '-0', '+')) do
    there = there or entry[2][4] == behind
  end
  if not there then return redis.error_reply('${NOT_BEHIND} the append before this one is not there') end
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local records = {}
local function add(call, i)
  records[i] = ARGV[8 + 2 * i]
  return call('XADD', log, text(last + 1) .. '-0', 'r', records[i], 't', id, 'a', text(now), 's', ARGV[9 + 2 * i])
end
local added = add(redis.pcall, 1)
if type(added) == 'table' and added.err then
  -- Something else was written there: what it was cannot be told from what is missing.
  if not string.find(added.err, 'equal or smaller', 1, true) and not string.find(added.err, 'WRONGTYPE', 1, true) then
    return added
  end
  begin()
  add(redis.call, 1)
end
local first, size = last + 1, redis.call('XLEN', log)
if size == 1 then bytes = 0 end
for i = 1, count do
  if i > 1 then add(redis.call, i) end
  last, bytes = last + 1, bytes + tonumber(ARGV[9 + 2 * i])
end
size = size + count - 1
local done
while not done do
  local page = redis.call('XRANGE', log, '-', '+', 'COUNT', count + 1)
  local cut
  done = #page <= count
  for _, entry in ipairs(page) do
    local at, weight = tonumber(entry[2][6]) or 0, tonumber(entry[2][8]) or 0
    if size > events or (bytes > most and size > 1) or at < now - age then
      size, bytes, cut = size - 1, bytes - weight, entry[1]
    else
      done = true
      break
    end
  end
  if cut then redis.call('XTRIM', log, 'MINID', (string.gsub(cut, '-%d+$', '-1'))) end
end
redis.call('HSET', head, 'o', text(last), 't', id, 'b', text(bytes))
redis.call('PEXPIRE', head, ttl)
redis.call('PEXPIRE', log, ARGV[6])
local line = table.concat({ epoch, text(first), count, tag, id }, ' ')
redis.call(publish, channel, line .. '\\n[' .. table.concat(records, ',') .. ']')
return { epoch, text(last) }
`

/**
 * ARGV 6 to 10: epoch, offset and tag of what was seen last, how many records at most, and about how many bytes. With the tag `*` nothing
 * is changed; with any other a log that does not hold what was seen begins anew.
 */
const READ = `${PRELUDE}
-- A Redis that takes no writes, as one whose disk is full, is read all the same.
redis.pcall('PEXPIRE', head, ttl)
local after, seen, most, mostBytes = tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])
local function answer(what) return { what, epoch, text(last), tag } end
if ARGV[6] ~= epoch then return answer('epoch') end
if seen == '*' then
  if after > last then return answer('ahead') end
else
  local there = '-'
  if after > last then
    there = ''
  elseif after == last then
    there = tag
  elseif after > 0 then
    local entry = redis.call('XRANGE', log, text(after) .. '-0', text(after) .. '-0')[1]
    if not entry then return answer('expired') end
    there = entry[2][4]
  end
  if there ~= seen then
    begin()
    return answer('epoch')
  end
end
local reply = { 'ok', epoch, text(last), tag, tag }
local size, at = 0, after
while at < last and at - after < most and size < mostBytes do
  local page = redis.call('XRANGE', log, text(at + 1) .. '-0', '+', 'COUNT', math.min(64, most - (at - after)))
  if #page == 0 then break end
  for _, entry in ipairs(page) do
    if entry[1] ~= text(at + 1) .. '-0' or size >= mostBytes then
      page = {}
      break
    end
    at = at + 1
    reply[5] = entry[2][4]
    reply[#reply + 1] = entry[2][2]
    size = size + #entry[2][2]
  end
  if #page == 0 then break end
end
if at == after and after < last then return answer('expired') end
return reply
`

/** A script and the name that Redis knows it by. */
export interface Script {
  readonly text: string
  readonly sha: string
}

function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

export const scripts = { append: script(APPEND), read: script(READ) }

/** What an append tells every instance. With no records: a log has begun. */
export interface Message {
  readonly epoch: string
  /** Offset of its first record. */
  readonly first: number
  /** The tag of the append before it, and its own. */
  readonly before: string
  readonly tag: string
  readonly records: readonly LogRecord[]
}

const MESSAGE = /^([\w-]{1,100}) (0|[1-9]\d{0,15}) (\d{1,9}) ([\w-]{1,100}) ([\w-]{1,100})(?:\n|$)/

/** `undefined` for garbage. */
export function decodeMessage(text: string): Message | undefined {
  const match = MESSAGE.exec(text)
  if (!match) return undefined
  const [all, epoch = '', first, count, before = '', tag = ''] = match
  const records = count === '0' ? [] : decodeRecords(text.slice(all.length))
  if (!records || records.length !== Number(count)) return undefined
  return { epoch, first: Number(first), before, tag, records }
}

export function decodeFound(reply: unknown): Found {
  const [what, epoch = '', last, tag = '', seen = tag, ...texts] = (reply as unknown[]).map(String)
  return foundIn({ what: what as Found['what'], epoch, last: Number(last), tag, seen }, `[${texts.join(',')}]`)
}
