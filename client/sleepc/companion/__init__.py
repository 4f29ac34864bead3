"""`sleepc companion`: a tray icon and a window, for people who want no terminal.

Without Qt, and pure but for the last three:

state, conversation            reducers: what is known of the daemon, and a conversation
views, fact_views, night_views what is shown of it
texts                          every word, ready for translation
autostart                      starting with the session
feed                           follows the daemon, whatever becomes of it
talk                           one turn, from the words to what was learned of them
control                        the `sleepd` command, for what has to work without a daemon

With Qt:

app                            everything put together
bridge                         an event loop in a thread of its own; carries news into Qt's thread
window, pages/, tray, actions  what is seen, and what may be asked for
theme, widgets, rows, painting/ how it looks
preferences, instance, watcher its own settings, one for each home, the daemon's file

Imports `sleepd.protocol` and the client library; Qt only where `sleepc companion` was asked for.
"""
