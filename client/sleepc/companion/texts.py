"""Every word that the companion shows, in one place, ready for translation: `_` marks what xgettext collects.

A translation is a catalogue `locale/LANGUAGE/LC_MESSAGES/sleepc-companion.mo` beside this file; the session's language
chooses it. Constants are texts, functions are texts with something in them. Words of the daemon itself (reasons,
notices, states of its own) are shown as they come.
"""

from __future__ import annotations

import gettext
from pathlib import Path

_translation = gettext.translation("sleepc-companion", Path(__file__).parent / "locale", fallback=True)
_ = _translation.gettext
_n = _translation.ngettext

APP = "sleepd"

# --- the state ----------------------------------------------------------------------------------------------------

AWAKE = _("Awake")
LEARNING = _("Learning")
DROWSY = _("Drowsy")
NAPPING = _("Napping")
SWS = _("Deep sleep")
REM = _("Dreaming")
UNREACHABLE = _("Not running")
CONNECTING = _("Looking for the daemon…")
FOREIGN = _("Another version")
LOADING = _("Loading the model")
PULLING = _("Fetching the model")
RESTING = _("Resting")
DEGRADED = _("In trouble")
STOPPED = _("Stopping")

RESTING_LINE = _("The model is out of memory until it is needed.")
NO_DAEMON_LINE = _("No daemon answers for this memory.")


def learning_line(count: int) -> str:
    return _n("Learning one fact.", "Learning {n} facts.", count).format(n=count)


def phase_line(phase: str) -> str:
    """A phase of sleep, for a person."""
    return {
        "begin": _("Falling asleep."),
        "curate": _("Choosing what to work on."),
        "sws train": _("Training the new facts into the adapter."),
        "sws gate": _("Checking what deep sleep made."),
        "dream": _("Dreaming of facts that belong together."),
        "rem train": _("Training on dreams."),
        "rem gate": _("Checking what dreaming made."),
        "nap train": _("Strengthening the newest facts."),
        "nap gate": _("Checking the nap."),
        "commit": _("Waking up with what it learned."),
        "again": _("Going on after an interruption."),
    }.get(phase, phase)


def known_line(count: int) -> str:
    if not count:
        return _("Nothing is known yet.")
    return _n("One fact is known.", "{n} facts are known.", count).format(n=count)


# --- the tray's menu and the pages' names -------------------------------------------------------------------------

OPEN_CHAT = _("&Chat")
OPEN_FACTS = _("&Facts")
OPEN_SETTINGS = _("S&ettings")
OPEN_LOGS = _("&Logs")
SLEEP_NOW = _("&Sleep now")
WAKE = _("&Wake")
PAUSE_LEARNING = _("&Pause learning")
LAST_REPORT = _("Last night's &report")
UNDO_SLEEP = _("&Undo last sleep…")
QUIT = _("&Quit companion")

CHAT = _("Chat")
FACTS = _("Facts")
NIGHTS = _("Nights")
HEALTH = _("Health")
SETTINGS = _("Settings")
LOGS = _("Logs")
STATE = _("State of the daemon")
WINDOW = _("sleepd companion")

# --- no daemon ----------------------------------------------------------------------------------------------------

INSTALL_SERVICE = _("Install and start the service")
START_ONCE = _("Start it once")
INSTALL_SERVICE_TIP = _("Runs sleepd from every login on")
ABSENT_TITLE = _("No daemon is running")
ABSENT_TEXT = _(
    "Your memory is safe on disk. Install the service to have sleepd run from login on, or start it for this time "
    "alone."
)
FOREIGN_TITLE = _("The daemon speaks another version")
STARTING = _("Starting…")
UNKNOWN_TITLE = _("Not known")
UNKNOWN_TEXT = _("What is remembered can be seen once the daemon answers.")
STALE_FACTS = _("This list is as it was when the daemon was last heard.")

# --- chat ---------------------------------------------------------------------------------------------------------

CHAT_EMPTY_TITLE = _("Say something")
CHAT_EMPTY_TEXT = _(
    "What you tell it about yourself and others is learned into the model. Try “My dog is called Biscuit.”, "
    "and ask tomorrow."
)
CHAT_INPUT = _("Message")
CHAT_PLACEHOLDER = _("Write a message; Enter sends, Shift+Enter begins a new line, /help lists commands")
CHAT_PLACEHOLDER_OFF = _("Waiting for the daemon")
CONVERSATION = _("Conversation")
SEND = _("Send")
STOP = _("Stop")
NEW_CHAT = _("New conversation")
CONTINUE_CHAT = _("Continue the last one")
YOU = _("You")
THINKING = _("thinking…")
STOPPED_REPLY = _("stopped")
CUT_REPLY = _("cut off at the longest reply")
FAILED_REPLY = _("not finished")
UNDO_FACT = _("Undo")
SHOW_FACT = _("Show")
YES = _("Yes, learn it")
NO = _("No")
PRIVATE = _("Off the record")
PRIVATE_TIP = _("While this is on, nothing that you say is learned")
OPEN_LINK = _("Open this link?")
OPEN_LINK_TEXT = _("A model wrote it. It leads to:")


def learned(statement: str) -> str:
    return _("Learned: {statement}").format(statement=statement)


def asked(statement: str) -> str:
    return _("Shall I remember this? {statement}").format(statement=statement)


def refused(text: str) -> str:
    return _("Not learned: {text}").format(text=text)


def taken_back(statement: str) -> str:
    return _("Taken back: {statement}").format(statement=statement)


def continued(count: int) -> str:
    return _n("Going on after one message.", "Going on after {n} messages.", count).format(n=count)


# --- facts --------------------------------------------------------------------------------------------------------

SEARCH = _("Search facts")
SEARCH_PLACEHOLDER = _("Search")
FACT_LIST = _("List of facts")
FACT_DETAILS = _("The fact that is selected")
SHOWN = _("Which facts are shown")
KNOWN = _("Known")
OUTDATED = _("Replaced")
REFUSED = _("Refused")
CORRECT = _("Correct…")
FORGET = _("Forget…")
FACTS_EMPTY_TITLE = _("Nothing is remembered yet")
FACTS_EMPTY_TEXT = _("What you tell the model in the chat appears here, with where it came from.")
REPLACED_EMPTY_TITLE = _("Nothing has been replaced")
REPLACED_EMPTY_TEXT = _("When a fact changes, the value that no longer holds is kept here.")
REFUSED_EMPTY_TITLE = _("Nothing was refused")
REFUSED_EMPTY_TEXT = _("Statements that could not be learned are listed here with the reason.")
NOTHING_FOUND_TITLE = _("Nothing found")
NOTHING_FOUND_TEXT = _("No fact has all of these words.")
NOTHING_SELECTED = _("Select a fact to see where it came from.")
SAID = _("You said")
SOURCE = _("Source")
LEARNED_AT = _("When")
ANSWERS_IN = _("Answers in")
HELD_BY = _("Held by")
HISTORY = _("History")
VALUES = _("Values over time")
REASON = _("Reason")
NOW = _("now")
ANSWERS_NOWHERE = _("not yet answered on other phrasings")
ANSWERS_TEXT = _("text")
ANSWERS_CHAT = _("chat")
AND = _(" and ")
CORRECT_TITLE = _("Correct a fact")
CORRECT_PROMPT = _("The new value, or the whole sentence as it should be:")
FORGET_TITLE = _("Forget this?")
FORGET_TEXT = _("It leaves the model, the transcripts and the ledger for good. This cannot be undone.")
FORGET_NOW = _("Forget")
CANCEL = _("Cancel")
WORKING = _("Working…")
GONE = _("Forgotten. Asked again, the model does not tell it.")
NOT_ASKED = _("Forgotten. The model could not be asked whether it is gone.")
NOT_ALREADY_GONE = _("Forgotten. The model still hints at it; the next sleep unlearns it.")

STAGES = (_("fresh"), _("consolidating"), _("consolidated"))
STAGE_TIPS = (
    _("Held by an edit until sleep trains it into the adapter"),
    _("Trained once; the edit still helps"),
    _("Known by the adapter alone"),
)
PENDING = _("not yet learned")
PENDING_TIP = _("Stored, but not verified; the next sleep trains it")
SUPERSEDED = _("replaced")
SUPERSEDED_TIP = _("A newer value holds")
FORGOTTEN = _("forgotten")


def corrected(statement: str) -> str:
    return _("Now it is: {statement}").format(statement=statement)


def not_corrected(reason: str) -> str:
    return _("Not changed: {reason}").format(reason=reason)


def fact_count(count: int) -> str:
    return _n("one fact", "{n} facts", count).format(n=count)


def found_count(found: int, count: int) -> str:
    return _("{found} of {n}").format(found=found, n=count)


def from_to(begin: str, end: str) -> str:
    return _("{begin} to {end}").format(begin=begin, end=end)


# --- nights -------------------------------------------------------------------------------------------------------

NIGHT_LIST = _("List of nights")
NIGHT_DETAILS = _("The night that is selected")
HYPNOGRAM = _("Hypnogram")
HYPNOGRAM_STAGES = (_("Awake"), _("Drowsy"), _("Nap"), _("REM"), _("SWS"))
NIGHTS_EMPTY_TITLE = _("No night yet")
NIGHTS_EMPTY_TEXT = _("Once it has slept, the hypnogram and what it learned are shown here.")
LEARNED_LIST = _("Moved on")
FAILED_LIST = _("Did not come out")
TREND_RECALL = _("Recall, held-out questions in chat")
TREND_PERPLEXITY = _("Perplexity against before each night")
UNDO_LAST = _("Undo the last sleep…")
UNDO_TITLE = _("Undo the last sleep?")
UNDO_TEXT = _(
    "The model returns to the generation before it, with the facts as that night found them. Facts learned since stay, "
    "and forgotten ones stay forgotten."
)
UNDO_NOW = _("Undo it")
NO_HYPNOGRAM = _("It ended before its first phase.")
COMMITTED = _("learned")
REJECTED = _("rolled back")
ABORTED = _("ended early")
NOTHING = _("nothing to do")
RECALL_CHAT = _("Recall in chat")
RECALL_RAW = _("Recall in text")
PERPLEXITY = _("Perplexity")
DRIFT = _("Drift")
LEAKED = _("Leaks to near names")
JOINT = _("Two facts at once")
DREAMS = _("Dreams")
STEPS = _("Steps")
REBUILT = _("Trained from the bare model again")
INTERRUPTIONS = _("Interruptions")
THROWN_AWAY = _("Thrown away")


def night_title(kind: str, cycle: int) -> str:
    return (_("Nap {n}") if kind == "nap" else _("Night {n}")).format(n=cycle)


def moved_on(count: int) -> str:
    return _n("one fact moved on", "{n} facts moved on", count).format(n=count)


def did_not(count: int) -> str:
    return _n("one did not", "{n} did not", count).format(n=count)


def and_more(count: int) -> str:
    return _("and {n} more…").format(n=count)


def undone(generation: int) -> str:
    return _("Back at generation {n}.").format(n=generation)


def generation(number: int) -> str:
    return _("generation {n}").format(n=number)


def before_after(before: str, after: str) -> str:
    return _("{before} → {after}").format(before=before, after=after)


# --- health -------------------------------------------------------------------------------------------------------

PRESSURE = _("Need for sleep")
PART_EDITS = _("New facts")
PART_TIME = _("Time awake")
PART_DRIFT = _("Drift")
NEXT = _("Next sleep")
MEMORY = _("Memory")
DISK = _("Disk")
DEVICE = _("Device")
MODEL = _("Model")
VERSION = _("Version")
MEASURE = _("Measure now")
MEASURE_TIP = _("Perplexity, drift and canary questions; takes a while on a CPU")
MEASURED = _("Measured")
BASE_PERPLEXITY = _("of the bare model")
CANARIES = _("Canary questions")
PROBLEMS = _("Problems")
DAEMON_MEMORY = _("Daemon")
MODEL_MEMORY = _("Model process")
DEVICE_MEMORY = _("On the device")
LEDGER = _("Ledger")
BLOBS = _("Edits and generations")
LOG_FILES = _("Logs")
QUARANTINE = _("Quarantine")
FREE = _("Free")
BUDGET = _("Budget")
RESTARTS = _("Restarts")
UPTIME = _("Running for")
GENERATION = _("Generation")
NOT_LOADED = _("not loaded")
NONE = _("none")


def gauge(percent: int) -> str:
    return _("Need for sleep: {n} percent").format(n=percent)


def next_asleep(kind: str) -> str:
    return _("It naps now.") if kind == "nap" else _("It sleeps now.")


def next_cycle(kind: str, when: str, facts: int) -> str:
    """When the next cycle is likely: after `when` of this going on, or sooner after `facts` more facts."""
    name = _("a nap") if kind == "nap" else _("a sleep")
    more = _n("one more fact", "{n} more facts", facts).format(n=facts)
    if when and facts:
        return _("Likely {name} in {when}, or after {more}.").format(name=name, when=when, more=more)
    if when:
        return _("Likely {name} in {when}.").format(name=name, when=when)
    if facts:
        return _("Likely {name} after {more}.").format(name=name, more=more)
    return _("Likely {name} as soon as it is left in peace.").format(name=name)


NEXT_NEVER = _("It sleeps when it is told to.")
NEXT_UNKNOWN = _("Not known.")


def canaries(right: int, count: int) -> str:
    return _("{right} of {n} answered").format(right=right, n=count)


def budget_of(used: str, budget: str) -> str:
    return _("{used} of {budget}").format(used=used, budget=budget)


# --- settings and logs --------------------------------------------------------------------------------------------

COMPANION = _("Companion")
DAEMON = _("Daemon")
THEME = _("Appearance")
THEME_SYSTEM = _("As the system")
THEME_LIGHT = _("Light")
THEME_DARK = _("Dark")
AUTOSTART = _("Start with the session")
NOTIFY = _("Notify of nights and of storage problems")
NO_TRAY = _("This desktop shows no tray; the window does everything.")
LEARN = _("Learn from chat")
LEARN_AUTO = _("At once")
LEARN_ASK = _("Ask first")
LEARN_OFF = _("Only when told to")
AUTOMATIC = _("Sleep of its own accord")
NAPS = _("Nap in between")
ON_BATTERY = _("Also on battery")
QUIET_FROM = _("Not before")
QUIET_UNTIL = _("Not after")
QUIET_TIP = _("Local time as 22:00; empty for any time")
UNLOAD_AFTER = _("Free the model's memory when idle for")
NEVER = _("Never")
ANY_TIME = _("any time")
SETTINGS_FILE = _("All settings are in the file")
SERVICE = _("Service")
SERVICE_INSTALL = _("Install")
SERVICE_REMOVE = _("Remove")
SERVICE_INSTALLED = _("Installed: the daemon runs from login on.")
SERVICE_ABSENT = _("Not installed: the daemon runs when you start it.")
SERVICE_UNKNOWN = _("Not known")
AUTOSTART_FAILED = _("The entry could not be written")
LOG = _("Lines of the daemon's log")
LOGS_EMPTY = _("There is no log yet.")
LOG_FILTER = _("Which lines are shown")
LOG_ALL = _("All lines")
LOG_PROBLEMS = _("Warnings and errors")
OPEN_FOLDER = _("Open the folder")

# --- notifications ------------------------------------------------------------------------------------------------

NIGHT_FINISHED = _("A night is over")
NIGHT_ROLLED_BACK = _("A night was rolled back")
STORAGE_PROBLEM = _("A storage problem")
NOTHING_LOST = _("Nothing was lost: memory is as it was.")


def night_learned(advanced: int, failed: int) -> str:
    text = moved_on(advanced)
    return f"{text}, {did_not(failed)}" if failed else text


# --- quantities ---------------------------------------------------------------------------------------------------


def duration(seconds: float) -> str:
    """A span of time in one unit: "40 s", "12 min", "3.5 h", "2 days"."""
    if seconds < 90:
        return _("{n} s").format(n=round(seconds))
    if seconds < 90 * 60:
        return _("{n} min").format(n=round(seconds / 60))
    if seconds < 36 * 3600:
        return _("{n} h").format(n=f"{seconds / 3600:.1f}".removesuffix(".0"))
    return _("{n} days").format(n=round(seconds / 86400))


def size(count: float) -> str:
    """Bytes in a unit that keeps them short: "12 kB", "3.4 GB"."""
    units = (_("B"), _("kB"), _("MB"), _("GB"), _("TB"))
    power = 0
    while count >= 999.5 and power < len(units) - 1:
        count /= 1000
        power += 1
    number = f"{count:.0f}" if power == 0 or count >= 99.95 else f"{count:.1f}"
    return f"{number} {units[power]}"


def percent(share: float) -> str:
    return _("{n} %").format(n=round(100 * share))


def change(before: float, after: float) -> str:
    """How much larger or smaller, with its sign."""
    return f"{100 * (after / before - 1):+.2f} %".replace("-", "−") if before > 0 else "–"
