-- For wrk: POSTs the lines of a file in turn, as JSON, and writes how many requests it made, in
-- how many microseconds, and how many of them failed.

local requests, number = {}, 0

function init(arguments)
   local headers = { ["Content-Type"] = "application/json" }
   for line in io.lines(arguments[1]) do
      requests[#requests + 1] = wrk.format("POST", nil, headers, line)
   end
end

function request()
   number = number % #requests + 1
   return requests[number]
end

function done(summary)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
   io.write(string.format("wrk: %d %d %d\n", summary.requests, summary.duration, failed))
end
