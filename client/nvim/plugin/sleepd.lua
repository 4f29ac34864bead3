--- :SleepdAsk QUESTION      ask; with a range, about those lines
--- :SleepdRemember FACT     teach
--- :SleepdStop              stop the answer
--- :SleepdStatus            how the daemon is

local command = vim.api.nvim_create_user_command

command("SleepdAsk", function(given)
  local text = given.args
  if given.range > 0 then
    local lines = vim.api.nvim_buf_get_lines(0, given.line1 - 1, given.line2, false)
    text = text .. "\n\n" .. table.concat(lines, "\n")
  end
  require("sleepd").ask(text)
end, { nargs = "+", range = true, desc = "Ask sleepd" })

command("SleepdRemember", function(given)
  require("sleepd").remember(given.args)
end, { nargs = "+", desc = "Teach sleepd a fact" })

command("SleepdStop", function()
  require("sleepd").stop()
end, { desc = "Stop sleepd's answer" })

command("SleepdStatus", function()
  require("sleepd").status()
end, { desc = "Show how sleepd is" })
