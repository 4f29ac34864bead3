"""The conversation reducer. No Qt, no socket."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, strategies as st

from sleepc.companion import conversation as chat
from sleepc.companion.conversation import Conversation, Delivery, Kind
from sleepd.protocol.messages import HeardReply, RefusedText, SayReply
from tests.companion.cases import quick
from tests.unit.client_fake import fact

Step = Callable[[Conversation], Conversation]


def reply(text: str = "Hello.", finish: str = "stop", said: str = "") -> SayReply:
    return SayReply(reply=text, prompt="", tokens=1, seconds=0.0, finish=finish, session="s-1", said=said)


def heard(*ids: str, asked: tuple[str, ...] = ()) -> HeardReply:
    facts = tuple(fact(id) for id in ids)
    return HeardReply(facts=facts, refused=(RefusedText(text="x", reason="a question"),), asked=asked, settled=True)


words = st.text(max_size=12)
finishes = st.sampled_from(["stop", "length", "cancelled"])
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda t: lambda c: chat.said(c, t), words),
    st.builds(lambda t: lambda c: chat.streamed(c, t), words),
    st.builds(lambda t: lambda c: chat.doing(c, t), words),
    st.builds(
        lambda t, f: lambda c: chat.answered(c, reply(t, f)), words, st.sampled_from(["stop", "length", "cancelled"])
    ),
    st.builds(lambda t: lambda c: chat.failed(c, t), words),
    st.builds(lambda i: lambda c: chat.heard(c, heard(i, asked=(i,))), st.sampled_from(["f-1", "f-2"])),
    st.builds(lambda t: lambda c: chat.noted(c, t), words),
    st.builds(lambda k: lambda c: chat.settled(c, k), st.integers(0, 50)),
)


@quick
@given(st.lists(steps, max_size=60))
def test_keys_are_never_given_twice_and_at_most_so_many_are_kept(taken: list[Step]) -> None:
    conversation, seen = Conversation(), set[int]()
    for step in taken:
        before = {m.key for m in conversation.messages}
        conversation = step(conversation)
        keys = [m.key for m in conversation.messages]
        assert keys == sorted(set(keys))
        assert not (set(keys) - before) & seen
        seen |= set(keys)
        assert len(keys) <= chat.KEPT


@quick
@given(st.lists(steps, max_size=60))
def test_after_an_answer_or_a_failure_nothing_is_awaited_that_was_asked_once(taken: list[Step]) -> None:
    conversation = Conversation()
    for step in taken:
        conversation = step(conversation)
    while conversation.busy:
        conversation = chat.failed(conversation, "gone")
    assert all(m.delivery not in chat.OPEN for m in conversation.messages)


def test_a_turn_from_the_first_word_to_what_was_learned() -> None:
    conversation = chat.opened(chat.said(Conversation(), "My pin is 1234 and my dog is Bo"), "s-1")
    assert conversation.busy
    conversation = chat.streamed(chat.streamed(conversation, "Hel"), "lo.")
    assert conversation.reply is not None
    assert conversation.reply.text == "Hello."
    conversation = chat.answered(conversation, reply("Hello.", said="My pin is **** and my dog is Bo"))
    assert not conversation.busy
    assert [m.text for m in conversation.messages] == ["My pin is **** and my dog is Bo", "Hello."]
    conversation = chat.heard(conversation, heard("f-1", asked=("Bo is a dog.",)))
    assert [m.kind for m in conversation.messages[2:]] == [Kind.LEARNED, Kind.REFUSED, Kind.ASKED]
    again = chat.heard(conversation, heard("f-1"))
    assert [m.kind for m in again.messages].count(Kind.LEARNED) == 1
    settled = chat.settled(conversation, conversation.messages[-1].key)
    assert settled.messages[-1].kind is Kind.NOTE


def test_what_came_of_a_reply_that_failed_stays() -> None:
    conversation = chat.failed(chat.streamed(chat.said(Conversation(), "Hi"), "Hel"), "the daemon went away")
    assert [(m.text, m.delivery) for m in conversation.messages[1:]] == [
        ("Hel", Delivery.FAILED),
        ("the daemon went away", Delivery.DONE),
    ]


def test_how_a_reply_ended_is_kept() -> None:
    for finish, delivery in (("cancelled", Delivery.STOPPED), ("length", Delivery.CUT), ("stop", Delivery.DONE)):
        ended = chat.answered(chat.said(Conversation(), "Hi"), reply(finish=finish))
        assert ended.messages[-1].delivery is delivery


def test_a_long_conversation_keeps_its_end() -> None:
    conversation = Conversation()
    for number in range(chat.KEPT * 2):
        conversation = chat.noted(conversation, str(number))
    assert len(conversation.messages) == chat.KEPT
    assert conversation.messages[-1].text == str(chat.KEPT * 2 - 1)
