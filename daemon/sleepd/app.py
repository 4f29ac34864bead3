"""The daemon: takes the home's lock, opens the ledger, binds the sockets, keeps a host alive, and stops in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, cast

import msgspec

from sleepd import config as configuration
from sleepd.config import Config
from sleepd.core import Core
from sleepd.errors import HostDied
from sleepd.facts.edit_queue import EditQueue
from sleepd.facts.learning import Learning
from sleepd.facts.recollection import Recollection
from sleepd.facts.revising import Revising
from sleepd.hosting.host_link import HostLink
from sleepd.hosting.pulse import Pulse
from sleepd.hosting.supervisor import Phase, Supervisor
from sleepd.observing import crashes, logs
from sleepd.observing.metrics import Metrics
from sleepd.paths import Home, Lock, remove_sockets, socket_folder
from sleepd.protocol import VERSION, endpoint
from sleepd.protocol.endpoint import CurveKeys, DaemonInfo
from sleepd.protocol.errors import Busy, StorageError
from sleepd.protocol.facts import FactInfo, RefusedText
from sleepd.protocol.messages import Body, MetricsReply, Ping, Pong, Shutdown, ShutdownReply, Unload, UnloadReply
from sleepd.service.notify import Notifier
from sleepd.serving.calls import Call, Handler
from sleepd.serving.events import EventBus
from sleepd.serving.overview import Overview
from sleepd.serving.server import Server
from sleepd.sleep.nights import Nights
from sleepd.sleep.scheduler import Scheduler
from sleepd.storage.exporting import Exporting
from sleepd.storage.keeping import Keeping, make_way
from sleepd.storage.store import Store
from sleepd.talk.conversation import Conversation
from sleepd.talk.listening import Listening
from sleepd.talk.obeying import Obeying
from sleepd.watching.inbox import Inbox
from sleepd.watching.reloading import Reloading
from sleepd.watching.watch import Watch
from sleepengine.host.messages import Mount, Ready
from sleepengine.logs import hide_messages_of_crashes

_log = logging.getLogger(__name__)


def run(home: Home, foreground: bool) -> None:
    """Run a daemon until it is told to stop. Raises Busy where one runs already, and what the ledger raises."""
    notifier = Notifier.take(os.environ)
    home.prepare()
    config = configuration.load(home.config_file)
    lock = Lock.acquire(home)
    try:
        make_way(home)
        logs.set_up(
            home.log_file,
            level=config.log_level,
            max_bytes=config.log_bytes,
            foreground=foreground,
            in_service=notifier.in_service,
        )
        hide_messages_of_crashes(_log)
        asyncio.run(Daemon(home, config, notifier).run())
    finally:
        lock.release()


class Daemon:
    """One life of the control process."""

    def __init__(self, home: Home, config: Config, notifier: Notifier) -> None:
        self._home = home
        self._config = config
        self._notifier = notifier
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Everything, from opening the ledger to removing the sockets."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        store = await Store.open(self._home.ledger)
        try:
            await self._serve(store)
        finally:
            await store.close()

    async def _serve(self, store: Store) -> None:
        config = self._config
        bus = await EventBus.create(store, config.limits.events_kept)
        keeping = Keeping(self._home, config.storage, store, bus)
        await keeping.open()
        supervisor = Supervisor(self._spawn, self._mounted, self._host_changed)
        self._core = core = Core(self._home, config, store, bus, keeping, supervisor)
        self._queue = EditQueue(core)
        self._revising = Revising(core, self._queue)
        self._learning = Learning(core, self._queue)
        self._listening = Listening(core, self._learning)
        self._nights = Nights(core, self._revising.tidy)
        self._scheduler = Scheduler(core, self._nights)
        self._reloading = Reloading(self._home.config_file, config, bus, self._apply)
        self._inbox = inbox = Inbox(self._home.inbox, store, bus, keeping, self._from_inbox)
        inbox.prepare()
        self._pulse = Pulse(supervisor, self._notifier, config.limits, self._describe)
        self._metrics = Metrics()
        self._server = server = Server(self._handlers(), config.limits, self._metrics, self._home.logs)
        folder = socket_folder(self._home)
        keys: CurveKeys | None = None
        if config.network.listen:
            home = self._home
            requests, events, keys = server.bind_network(config.network.listen, home.server_key, home.authorized_keys)
        else:
            requests, events = server.bind(folder)
        bus.attach(server.events)
        info = DaemonInfo(
            pid=os.getpid(), epoch=bus.epoch, protocol=VERSION, requests=requests, events=events, curve=keys
        )
        endpoint.write(self._home.root, info)
        _log.info("pid %d serves %s", info.pid, self._home.root)
        self._notifier.send(READY=1, STATUS="loading the model")
        lasting = (
            server.serve(),
            bus.welcome_subscribers(),
            supervisor.run(),
            self._queue.work(),
            self._listening.work(),
            keeping.run(),
            self._pulse.run(),
            inbox.run(),
            self._scheduler.run(),
        )
        running = [self._background(work) for work in lasting]
        watch = Watch()
        watch.add(self._home.root, lambda name: name == self._home.config_file.name, self._reloading.read)
        watch.add(inbox.folder, lambda name: True, inbox.look)
        try:
            watch.start()
        except OSError as error:  # the system gives no more watches; all else works
            keeping.notice(f"changed settings and the inbox are not noticed: {error.strerror or error}")
        try:
            await self._stopping.wait()
            _log.info("stopping")
            self._notifier.send(STOPPING=1, STATUS="stopping")
            async with asyncio.timeout(config.limits.stop_grace):
                await self._nights.stop()
        except TimeoutError:
            _log.warning("the night did not reach a safe point in time; it is abandoned")
        finally:
            endpoint.remove(self._home.root)
            await watch.close()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await server.close()
            await supervisor.stop(grace=3.0)
            remove_sockets(self._home, folder)

    def _background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task without which the daemon is of no use: where it fails, the daemon stops."""
        task = asyncio.create_task(work)

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.critical("the daemon cannot go on", exc_info=error)
                crashes.report(self._home.logs, f"the daemon stopped: {task.get_name()}", error)
                self._stopping.set()

        task.add_done_callback(ended)
        return task

    def _apply(self, config: Config) -> None:
        """Hand changed settings to those who use them; the model and its process keep theirs until a restart."""
        kept = {name: getattr(self._config, name) for name in configuration.AT_START}
        config = msgspec.structs.replace(config, **kept)
        self._config = self._core.config = config
        self._server.limits = self._pulse.limits = config.limits
        self._core.keeping.settings = config.storage
        logging.getLogger().setLevel(config.log_level.upper())

    async def _from_inbox(self, texts: Sequence[str]) -> tuple[list[FactInfo], list[RefusedText]]:
        return await self._learning.learn(texts, lambda _: None, source="inbox")

    # --- the host -------------------------------------------------------------------------------------------------

    async def _spawn(self) -> HostLink:
        config, home = self._config, self._home
        logs.rotate(home.host_log_file, config.log_bytes)
        command = [sys.executable, "-m", "sleepengine.host", "--backend", config.backend, "--model", config.model]
        command += ["--models-dir", str(home.models), "--blobs", str(home.blobs), "--device", config.device]
        command += ["--dtype", config.dtype]
        command += ["--log-level", config.log_level]
        command += ["--editor", config.editor, "--nice", str(config.nice)]
        return await HostLink.spawn(command, home.host_log_file, config.threads)

    async def _mounted(self, link: HostLink, ready: Ready) -> None:
        """Give a fresh host the memory before anyone may use it."""

        model, keeping = ready.identity, self._core.keeping
        await self._core.store.run(lambda ledger: ledger.use_model(model))
        await keeping.heal_view(model)
        view = await self._core.store.run(lambda ledger: ledger.live_view(model))
        await link.run(Mount(id=link.new_order(), view=view))
        await keeping.tidy()
        await self._revising.tidy()
        await self._queue.catch_up()
        self._inbox.look()
        await self._nights.resume()

    def _describe(self) -> str:
        """A few words for the service manager."""
        if self._nights.cycle is not None:
            return f"asleep: {self._nights.phase or 'beginning'}"
        return self._core.supervisor.doing

    def _host_changed(self) -> None:
        supervisor = self._core.supervisor
        if supervisor.phase is Phase.WAITING and supervisor.error is not None:
            how = str(supervisor.error) if isinstance(supervisor.error, HostDied) else supervisor.error.code
            crashes.report(self._home.logs, "the model process ended", how=how, restarts=supervisor.restarts)
        self._core.bus.publish("host", phase=self._core.supervisor.phase.value)

    # --- requests -------------------------------------------------------------------------------------------------

    def _handlers(self) -> dict[str, Handler]:
        learning, revising, listening = self._learning, self._revising, self._listening
        obeying = Obeying(self._core, learning, revising, listening)
        conversation = Conversation(self._core, obeying, listening)
        recollection = Recollection(self._core)
        overview = Overview(self._core, self._queue, self._nights, self._scheduler, self._reloading, self._pulse)
        nights = self._nights
        return {
            "ping": _plain(self._ping),
            "shutdown": _plain(self._shutdown),
            "status": _plain(lambda _: overview.status()),
            "health": _called(overview.health),
            "snapshot": _plain(overview.snapshot),
            "ask": self._used(_called(conversation.ask)),
            "complete": self._used(_called(conversation.complete)),
            "open_session": _plain(conversation.open_session),
            "sessions": _plain(conversation.sessions),
            "remove_sessions": _plain(conversation.remove_sessions),
            "say": self._used(_called(conversation.say)),
            "remember": self._used(self._with_room(lambda call, body: learning.remember(call.emit, body))),
            "heard": _plain(listening.heard),
            "facts": _plain(recollection.facts),
            "why": _plain(recollection.why),
            "export_facts": _plain(recollection.export_facts),
            "import_facts": self._with_room(lambda call, body: learning.import_facts(call.emit, body)),
            "forget": self._with_reserve(lambda call, body: revising.forget(call.emit, body)),
            "correct": self._used(self._with_room(lambda call, body: revising.correct(call.emit, body))),
            "take_back": _called(lambda call, body: revising.take_back(call.emit, body)),
            "sleep": self._with_room(nights.sleep),
            "nap": self._with_room(nights.nap),
            "undo": _called(nights.undo),
            "export": _called(Exporting(self._core).export),
            "metrics": _plain(lambda _: self._measured(overview)),
            "unload": _plain(self._unload),
            "wake": _plain(lambda _: nights.wake()),
            "report": _plain(nights.report),
        }

    def _used(self, handler: Handler) -> Handler:
        """A handler of what a person waits for: no cycle begins of its own accord soon before or after."""

        async def noted(call: Call, body: Body) -> Body:
            self._scheduler.used()
            try:
                return await handler(call, body)
            finally:
                self._scheduler.used()

        return noted

    def _with_room(self, service: Callable[[Call, Any], Awaitable[Body]]) -> Handler:
        """A handler of what makes the memory grow: refused where the disk is nearly full, before anything is begun."""

        async def handler(call: Call, body: Body) -> Body:
            await self._core.keeping.require_room()
            return await service(call, body)

        return handler

    def _with_reserve(self, service: Callable[[Call, Any], Awaitable[Body]]) -> Handler:
        """A handler of what must go on when the disk is full: it is tried again with the reserve freed."""

        async def handler(call: Call, body: Body) -> Body:
            try:
                return await service(call, body)
            except StorageError:
                if not self._core.keeping.drop_ballast():
                    raise
                return await service(call, body)

        return handler

    async def _ping(self, _: Ping) -> Pong:
        return Pong(pid=os.getpid(), epoch=self._core.bus.epoch)

    async def _measured(self, overview: Overview) -> MetricsReply:
        return MetricsReply(text=self._metrics.text(await overview.status(), self._server.in_work))

    async def _unload(self, _: Unload) -> UnloadReply:
        if self._nights.cycle is not None:
            raise Busy(f"cycle {self._nights.cycle} is under way; `sleepc wake` ends it")
        link = self._core.supervisor.link
        if link is not None and link.idle_seconds == 0:
            raise Busy("the model is at work; try again when it has answered")
        return UnloadReply(unloaded=await self._core.supervisor.unload())

    async def _shutdown(self, _: Shutdown) -> ShutdownReply:
        asyncio.get_running_loop().call_later(0.05, self._stopping.set)  # after the answer went out
        return ShutdownReply(pid=os.getpid())


def _plain(service: Callable[[Any], Awaitable[Body]]) -> Handler:
    """A handler of a service that does not stream."""

    async def handler(call: Call, body: Body) -> Body:
        return await service(body)

    return handler


def _called(service: Callable[[Call, Any], Awaitable[Body]]) -> Handler:
    """A handler of a service that streams or can be cancelled gracefully."""
    return cast(Handler, service)
