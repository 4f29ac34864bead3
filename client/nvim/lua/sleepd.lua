--- sleepd in Neovim (0.7 or later): a client of `sleepc bridge`, which speaks the daemon's protocol as JSON lines.
---
--- The bridge is started by the first request and again after it ended, as it does when the daemon is not there.

local M = {}

--- The command that speaks the protocol on stdin and stdout.
M.command = { "sleepc", "bridge" }

local job, last_id, unfinished = nil, 0, ""
local waiting = {} -- what hears the answers, by request id

local function tell(message, level)
  vim.notify("sleepd: " .. message, level or vim.log.levels.INFO)
end

local function dispatch(line)
  local answer = vim.json.decode(line)
  local heard = waiting[answer.id]
  if heard == nil then
    return
  end
  if answer.type == "done" or answer.type == "error" then
    waiting[answer.id] = nil
  end
  if heard[answer.type] then
    heard[answer.type](answer.body)
  elseif answer.type == "error" then
    tell(answer.body.message, vim.log.levels.ERROR)
  end
end

-- Neovim hands over what was written cut at line feeds; the first piece goes on where the last one ended.
local function read(_, pieces)
  pieces[1] = unfinished .. pieces[1]
  unfinished = table.remove(pieces)
  for _, line in ipairs(pieces) do
    if line ~= "" then
      dispatch(line)
    end
  end
end

local function start()
  if job ~= nil then
    return true
  end
  local said = {}
  local started, id = pcall(vim.fn.jobstart, M.command, {
    on_stdout = read,
    on_stderr = function(_, lines)
      vim.list_extend(said, lines)
    end,
    on_exit = function()
      job, unfinished = nil, ""
      local reason = vim.trim(table.concat(said, " "))
      local lost = waiting
      waiting = {}
      for _, heard in pairs(lost) do
        local body = { code = "unreachable", message = reason ~= "" and reason or "the bridge has ended" }
        if heard.error then
          heard.error(body)
        else
          tell(body.message, vim.log.levels.ERROR)
        end
      end
    end,
  })
  if not started or id <= 0 then
    tell("cannot run " .. M.command[1], vim.log.levels.ERROR)
    return false
  end
  job = id
  return true
end

--- Send a request of docs/protocol.md. `heard` has a function for each kind of answer that is of interest: chunk,
--- progress, event, snapshot, done, error. Returns the request's id, or nil where no bridge could be started.
function M.request(kind, body, heard)
  if not start() then
    return nil
  end
  last_id = last_id + 1
  waiting[last_id] = heard or {}
  local line = { id = last_id, type = kind, body = body or vim.empty_dict() }
  vim.fn.chansend(job, vim.json.encode(line) .. "\n")
  return last_id
end

--- Stop a request; an answer that is being written ends with what it has.
function M.cancel(id)
  if job ~= nil and waiting[id] then
    M.request("cancel", { request = id })
  end
end

local asked -- the request whose answer is being written

local function window()
  local buffer = vim.fn.bufnr("sleepd://answer")
  if buffer < 0 then
    buffer = vim.api.nvim_create_buf(false, true)
    vim.api.nvim_buf_set_name(buffer, "sleepd://answer")
    vim.api.nvim_buf_set_option(buffer, "filetype", "markdown")
  end
  if vim.fn.bufwinid(buffer) < 0 then
    vim.cmd("botright 12split")
    vim.api.nvim_win_set_buf(0, buffer)
    vim.api.nvim_win_set_option(0, "wrap", true)
    vim.cmd("wincmd p")
  end
  return buffer
end

local function append(buffer, text)
  local last = vim.api.nvim_buf_line_count(buffer) - 1
  local column = #vim.api.nvim_buf_get_lines(buffer, last, last + 1, true)[1]
  vim.api.nvim_buf_set_text(buffer, last, column, last, column, vim.split(text, "\n", { plain = true }))
end

--- Ask, and let the answer grow in a window of its own, in the place of the last one. Nothing is learned from the
--- question.
function M.ask(text)
  M.stop()
  local buffer, id = window(), nil
  vim.api.nvim_buf_set_lines(buffer, 0, -1, true, { "" })
  -- What still comes of an answer that was stopped for this one is not shown.
  local function show(new, ended)
    if asked == id then
      append(buffer, new)
      asked = not ended and id or nil
    end
  end
  id = M.request("ask", { text = text, max_tokens = 1024 }, {
    chunk = function(body)
      show(body.text, false)
    end,
    done = function()
      show("", true)
    end,
    error = function(body)
      show(body.message, true)
    end,
  })
  asked = id
  return id
end

--- Stop the answer that is being written.
function M.stop()
  if asked ~= nil then
    M.cancel(asked)
  end
end

--- Learn a statement; says what became of it.
function M.remember(text)
  M.request("remember", { texts = { text } }, {
    done = function(body)
      for _, fact in ipairs(body.facts) do
        tell((fact.state == "active" and "learned: " or "not yet learned: ") .. fact.statement)
      end
      for _, refused in ipairs(body.refused) do
        tell("refused: " .. refused.reason, vim.log.levels.WARN)
      end
    end,
  })
end

--- Say how the daemon is.
function M.status()
  M.request("status", nil, {
    done = function(body)
      tell(body.state .. ": " .. body.why)
    end,
  })
end

return M
