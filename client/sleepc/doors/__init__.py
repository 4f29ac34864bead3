"""Doors for programs that do not speak the daemon's protocol. Each is a client of the socket like any other.

serve         `sleepc serve-openai`: binds, prints where it listens, serves until it is stopped
http_app      the routes, and what every one of them shares
guard         who may come in over HTTP: Host, Origin, token, size
token         the bearer token's file
openai_api    OpenAI's models and chat completions
ollama_api    the few of Ollama's endpoints by which editors find models and chat with them
chat          a list of messages becomes a request; a reply becomes text up to a stop sequence
mcp_server    `sleepc mcp`: memory as tools, over stdio
bridge        `sleepc bridge`: the protocol as JSON lines over stdio

Learning through a door is off unless it is asked for: by the model's name with `:learn`, or by the tool `remember`.
What other programs send is mostly not the user's own word.
"""
