"""All text for people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sleepd.protocol import messages
from sleepd.protocol.facts import ForgottenFact

_BAR_WIDTH = 40
_STAGES = ("active", "consolidating", "consolidated")


def fact_line(fact: messages.FactInfo) -> str:
    """One fact: id, where it stands, statement."""
    where = _STAGES[fact.stage] if fact.state == "active" else fact.state
    return f"{fact.id}  {where:<13}  {fact.statement}".rstrip()


def learned(reply: messages.RememberReply | messages.SayReply) -> str:
    """What was learned and what was not."""
    lines = []
    for fact in reply.facts:
        if fact.state == "active":
            ways = [name for name, good in (("text", fact.verified.raw), ("chat", fact.verified.chat)) if good]
            how = f"answered in {' and '.join(ways)}" if ways else "not yet answered on other phrasings"
            lines.append(f"learned  {fact.id}  {fact.statement}  ({how})")
        else:
            lines.append(f"not yet learned  {fact.id}  {fact.statement}  (it will be trained in the next sleep)")
    lines += [f"refused  {refused.text}  ({refused.reason})" for refused in reply.refused]
    return "\n".join(lines)


def facts(reply: messages.FactsReply) -> str:
    """The list of facts, and of refusals where they were asked for."""
    lines = [fact_line(fact) for fact in reply.facts]
    lines += [f"refused       {refused.text}  ({refused.reason})" for refused in reply.refused]
    return "\n".join(lines) or "nothing is remembered yet"


def why(reply: messages.WhyReply) -> str:
    """A fact's origin and history."""
    source = reply.provenance
    lines = [fact_line(reply), f"said: “{source['text']}” ({source['source']}, {source['at']})"]
    lines += [f"  {entry.at}  {entry.event}  {entry.detail}".rstrip() for entry in reply.history]
    if len(reply.values) > 1:
        lines.append("values over time:")
        lines += [f"  {v.valid_from} to {v.until or 'now'}  {v.id}  {v.statement}" for v in reply.values]
    return "\n".join(lines)


def forgotten(reply: messages.ForgetReply) -> str:
    """What was forgotten, and what the model answered when it was asked."""
    return "\n".join(_forgotten(fact) for fact in reply.facts) or "there was nothing to forget"


def _forgotten(fact: ForgottenFact) -> str:
    match fact.gone:
        case None:
            how = "the model could not be asked whether it is gone"
        case True:
            how = "asked again, the model does not tell it"
        case False:
            answers = [p.answer.strip() for p in fact.probes if p.recalled and not p.base]
            how = f"the model still answers “{answers[0]}”; the next sleep unlearns it"
    return f"forgotten  {fact.id}  {fact.statement}  ({how})"


def corrected(reply: messages.CorrectReply) -> str:
    """What took the place of what."""
    lines = [f"superseded  {fact_id}" for fact_id in reply.superseded]
    lines.append(learned(messages.RememberReply(facts=reply.facts, refused=reply.refused, seconds=reply.seconds)))
    return "\n".join(lines)


def taken_back(reply: messages.TakeBackReply) -> str:
    """What is no longer remembered, and what holds again."""
    lines = [_forgotten(reply.fact)]
    if reply.restored is not None:
        lines.append(f"holds again  {reply.restored.id}  {reply.restored.statement}")
    return "\n".join(lines)


def sessions(reply: messages.SessionsReply) -> str:
    """A conversation a line, the latest last."""
    lines = [f"{row.id}  {row.at}  {row.messages} messages" for row in reply.sessions]
    return "\n".join(lines) or "no conversations are kept"


def status(reply: messages.StatusReply) -> str:
    """The daemon's state in a few lines."""
    counts = reply.facts
    host = reply.host
    device = f", {host.backend} on {host.device} ({host.dtype})" if host.device else ""
    return "\n".join(
        (
            f"{reply.state}: {reply.why}",
            f"model      {reply.model}{device}, generation {reply.generation}",
            f"facts      {counts.active} active, {counts.consolidating} consolidating, "
            f"{counts.consolidated} consolidated, {counts.pending} pending",
            f"pressure   {_bar(reply.pressure)} {reply.pressure:.0%}",
            *([f"host       {reply.host.error}"] if reply.host.error else []),
        )
    )


def undone(reply: messages.UndoReply) -> str:
    """What an undo returned to."""
    lines = [f"back at generation {reply.generation}"]
    if reply.learned:
        lines.append(f"edited in again there: {', '.join(reply.learned)}")
    if reply.suppressed:
        lines.append(f"kept from coming back: {', '.join(reply.suppressed)}")
    return "\n".join(lines)


def report(reply: messages.SleepReply) -> str:
    """A cycle: what came of it, its hypnogram, its measurements, its failures."""
    lines = [f"cycle {reply.cycle} ({reply.kind}): {reply.outcome}" + (f", {reply.reason}" if reply.reason else "")]
    if reply.rebuilt:
        lines.append(f"trained from the bare model again: {reply.rebuilt}")
    if reply.attempts > 1:
        lines.append(f"it went on after {reply.attempts - 1} interruptions")
    if reply.hypnogram:
        lines += ["", *hypnogram(reply.hypnogram)]
    names = ("nap" if reply.kind == "nap" else "SWS", "REM")
    for name, phase in zip(names, (reply.sws, reply.rem), strict=True):
        if phase is not None:
            lines += ["", *_phase(name, phase)]
    if reply.peak_bytes:
        lines += ["", f"the model's process held at most {reply.peak_bytes / 1e6:,.0f} MB"]
    if reply.outcome == "committed":
        counts = f"{len(reply.advanced)} facts advanced, {len(reply.failed)} did not; " if reply.kind == "sleep" else ""
        lines += ["", f"{counts}generation {reply.generation}"]
    lines += [f"  {failed.id}  {failed.statement}  ({failed.reason})" for failed in reply.failures]
    return "\n".join(lines)


def _phase(name: str, phase: messages.PhaseReport) -> list[str]:
    lines = [
        f"{name}: perplexity {phase.ppl_before:.3f} -> {phase.ppl_after:.3f} "
        f"({_change(phase.ppl_before, phase.ppl_after)}), "
        f"recall {phase.recall_chat:.0%} in chat, {phase.recall_raw:.0%} in text, "
        f"{phase.steps} steps in {phase.seconds:.0f} s",
        f"     drift {phase.drift:.3f} nats a token, {phase.leaked:.0%} of near names got a taught answer",
    ]
    if phase.joint is not None:
        before = "" if phase.joint_before is None else f", {phase.joint_before:.0%} before"
        lines.append(f"     {phase.dreams} dreams; two facts at once: {phase.joint:.0%}{before}")
    if phase.refusal:
        lines.append(f"     thrown away: {phase.refusal}")
    return lines


def hypnogram(spans: Iterable[messages.PhaseSpan]) -> list[str]:
    """One line a phase, drawn to scale."""
    spans = list(spans)
    total = max((span.end for span in spans), default=0.0) or 1.0
    lines = []
    for span in spans:
        left = round(_BAR_WIDTH * span.start / total)
        width = max(1, round(_BAR_WIDTH * span.end / total) - left)
        bar = " " * left + "█" * width
        lines.append(f"{span.phase:<10} {bar:<{_BAR_WIDTH + 1}} {span.end - span.start:6.1f} s")
    return lines


def exported(reply: messages.ExportReply) -> str:
    """What was written where."""
    what = "a checkpoint" if reply.merged else "an adapter"
    held = f"generation {reply.generation}" if reply.generation else "no generation"
    edits = f" and {_count(reply.edits, 'edit')}" if reply.edits else ""
    return f"{reply.path}: {what} of {held}{edits}, {reply.bytes / 1e6:,.1f} MB"


def left_out(reply: messages.ExportReply) -> str:
    """The warning about what is not in an export."""
    held = [one for one in reply.left_out if one.statement]
    lines = []
    if held:
        lines.append(f"{_count(len(held), 'fact')} left out: gated edits cannot be exported (see NOT_EXPORTED.json)")
        lines += [f"  {one.id}  {one.statement}" for one in held]
    if silent := len(reply.left_out) - len(held):
        lines.append(
            f"the export may tell what no longer holds: {_count(silent, 'edit')} that kept the adapter silent about it "
            "cannot be exported; sleep first, which trains the adapter anew without it"
        )
    return "\n".join(lines)


def health(reply: messages.HealthReply) -> str:
    """Perplexity beside the base's, drift, canaries."""
    right = sum(canary.accepted for canary in reply.canaries)
    return "\n".join(
        (
            f"perplexity  {reply.perplexity:.3f}, the bare model's {reply.base_perplexity:.3f} "
            f"({_change(reply.base_perplexity, reply.perplexity)}), "
            f"over {reply.tokens} tokens",
            f"drift       {reply.drift:.4f} nats a token from the bare model's own answers",
            f"canaries    {right} of {len(reply.canaries)} answered",
        )
    )


def event(event: messages.Event) -> str:
    """One event a line."""
    data = "  ".join(f"{name}={value}" for name, value in event.data.items())
    return f"{event.at}  {event.seq}  {event.type:<7}  {data}"


def as_event(reply: messages.SnapshotReply) -> messages.Event:
    """A snapshot among events: some were lost, and this is the state as of now."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    state = {"state": reply.status.state, "generation": reply.status.generation, "lost": True}
    return messages.Event(epoch=reply.epoch, seq=reply.seq, type="snapshot", at=at, data=state)


def prompt(text: str) -> str:
    """The exact text that the model was given, between two rules."""
    return f"--- prompt ---\n{text}\n--- end ---"


def progress(step: messages.Progress) -> str:
    """A phase, and how far it is as a bar and in numbers."""
    of = f" {_bar(step.done / step.total)} {step.done}/{step.total}" if step.total > 1 else ""
    return f"{step.phase}{of}" + (f": {step.detail}" if step.detail else "")


def _change(before: float, after: float) -> str:
    return f"{after / before - 1:+.2%}" if before > 0 else "no comparison"


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


def _bar(share: float) -> str:
    full = round(20 * min(1.0, max(0.0, share)))
    return "█" * full + "·" * (20 - full)
