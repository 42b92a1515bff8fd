-- wrk -s wrk.lua URL -- FILE
-- Sends the requests of a file one after another, each with its length before it in two
-- octets, and counts the answers that are no signed OCSP response with status 200.

local requests, last = {}, 0
local threads = {}

function setup(thread)
   threads[#threads + 1] = thread
end

function init(words)
   bad = 0
   local file = assert(io.open(words[1], "rb"))
   while true do
      local length = file:read(2)
      if not length then break end
      requests[#requests + 1] = file:read(length:byte(1) * 256 + length:byte(2))
   end
   file:close()
end

function request()
   last = last % #requests + 1
   return requests[last]
end

function response(status, _, body)
   -- An unsigned error, tryLater say, has five octets.
   if status ~= 200 or #body < 100 then bad = bad + 1 end
end

function done(summary)
   local errors, bad = summary.errors, 0
   for _, thread in ipairs(threads) do bad = bad + thread:get("bad") end
   io.write(string.format("RESULT %d %d %d %d %d %d %d\n", summary.requests, bad, errors.status,
      errors.connect, errors.read, errors.write, errors.timeout))
end
