"""What clients were told, and whether the daemon, the disk and the backups still say so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from sleepc import Client, requests
from sleepd.paths import Home
from sleepengine.memory import archive, recovery
from sleepengine.memory.facts import FactState
from sleepengine.memory.ledger import Ledger

PATIENCE = 300.0  # seconds; on a machine that others keep busy, nothing that is slow is wrong for that


class Truth:
    """Acknowledged facts by id, what was acknowledged as forgotten, and what was asked to be and not answered."""

    def __init__(self, home: Home) -> None:
        self.statements: dict[str, str] = {}
        self.gone: set[str] = set()
        self.unsure: set[str] = set()
        self.generation = 0
        self.backup = home.root.parent / "backup.tar"
        self.backed_up: set[str] | None = None  # facts that the backup must hold; None: none was finished
        self._home = home

    def describe(self) -> str:
        return (
            f"{len(self.statements)} facts acknowledged, {len(self.gone)} of them forgotten;"
            f" generation {self.generation}"
        )

    @contextmanager
    def forgetting(self, fact_id: str) -> Iterator[None]:
        """The fact is forgotten for sure only once the block ends."""
        self.unsure.add(fact_id)
        yield
        self.gone.add(fact_id)

    def look_for_all(self, client: Client) -> None:
        """Everything that was acknowledged, as a client sees it."""
        stored = {fact.id: fact for fact in client.call(replace(requests.facts(all=True), deadline=PATIENCE)).facts}
        for fact_id, statement in self.statements.items():
            assert fact_id in stored, f"{statement} was acknowledged and is gone"
            fact = stored[fact_id]
            if fact_id in self.gone:
                assert fact.state == "forgotten", fact
            elif fact_id not in self.unsure:
                assert fact.state in ("active", "superseded"), fact
                assert fact.statement == statement
        status = client.call(replace(requests.status(), deadline=PATIENCE))
        assert status.generation >= self.generation or status.host.pid is None

    def check_disk(self) -> None:
        """The ledger is whole, every blob it names is, and its view holds exactly what is active."""
        assert recovery.check(self._home.ledger, self._home.blobs) == []
        half_written = list(self._home.root.glob(".*.tmp"))
        assert len(half_written) <= 2, "what one death leaves is swept up by the next start"
        with closing(Ledger.open(self._home.ledger)) as ledger:
            assert ledger.lost_commits == 0
            stored = {fact.id: fact for fact in ledger.facts(list(FactState))}
            assert self.statements.keys() <= stored.keys()
            for model in ledger.models():
                ledger.use_model(model)
                number, _ = ledger.generation(model)
                assert number >= self.generation
                shown = {edit.fact_id for edit in ledger.live_view(model).edits}
                waiting = {fact.id for fact in ledger.needing_edit(model)}
                for fact in ledger.facts([FactState.ACTIVE]):
                    assert (fact.id in shown) == (fact.scale > 0 and fact.id not in waiting), fact
                others = {stored[fact_id].state for fact_id in shown} - {FactState.ACTIVE}
                assert others <= {FactState.SUPERSEDED, FactState.FORGOTTEN}

    def check_backup(self) -> None:
        """The backup that was finished last is whole: a death while the next is written does not touch it."""
        if self.backed_up is None:
            return
        aside = self.backup.with_name("restored")
        aside.mkdir()
        try:
            archive.restore(self.backup, aside / "ledger.db", aside / "blobs", aside / "config.toml", "now")
            with closing(Ledger.open(aside / "ledger.db")) as ledger:
                assert self.backed_up <= {fact.id for fact in ledger.facts(list(FactState))}
            assert recovery.check(aside / "ledger.db", aside / "blobs") == []
        finally:
            shutil.rmtree(aside)
