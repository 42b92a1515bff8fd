-- The load: wrk -s ocsp.lua URL -- get|post DIR/plain|DIR/nonced random|walk
-- Ready-made requests, drawn at random, or one after another, so that all are asked.
-- See benches/src/bin/make-index.rs for the files.

local messages = {}
local thread, walk, last = 0, false, 0

-- wrk tries the address with a connection that asks for nothing, after which
-- `openssl ocsp` uses a whole processor. The address is known to be right.
function wrk.resolve(host, service)
   wrk.addrs = wrk.lookup(host, service)
end

function setup(it)
   thread = thread + 1
   it:set("number", thread)
end

function init(words)
   local method, base = words[1], words[2]
   walk = words[3] == "walk"
   if method == "get" then
      for path in io.lines(base .. ".get") do
         messages[#messages + 1] = wrk.format("GET", path)
      end
   else
      local file = assert(io.open(base .. ".post", "rb"))
      while true do
         local length = file:read(2)
         if not length then break end
         local body = file:read(length:byte(1) * 256 + length:byte(2))
         messages[#messages + 1] = wrk.format("POST", "/", { ["Content-Type"] = "application/ocsp-request" }, body)
      end
      file:close()
   end
   math.randomseed(number)
end

function request()
   if not walk then return messages[math.random(#messages)] end
   last = last % #messages + 1
   return messages[last]
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests, summary.duration, summary.bytes,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout,
      latency:percentile(50), latency:percentile(99)))
end
