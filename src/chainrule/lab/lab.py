"""A lab: its folder, the pages that look at it, and the process that trains."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chainrule.errors import ArgumentError, ChainruleError
from chainrule.lab import protocol
from chainrule.lab.hub import Hub, Page
from chainrule.lab.process import Process
from chainrule.lab.settings import NAME, check_data, uploaded
from chainrule.lab.uploads import Called, Drops, Room, made
from chainrule.text import _
from chainrule.util import atomic_files

#: Messages of a process that a page gets when it opens.
KEPT = (
    *("opened", "built", "changed", "data", "status", "curves", "maps", "confusion"),
    "saved",
)
#: Messages that other processes may send.
ANSWERS = ("unbuilt", "refused", "examined", "diagnosed", "explored")
#: Messages of what went wrong: they name uploads as people call them.
ERRORS = ("unbuilt", "refused", "warned")
#: Answers to one page; where it is gone, nobody gets them.
FOR_ONE = (
    *("sampled", "path", "salient", "rows", "read", "understood", "file"),
    *("written", "foreseen", "examined", "diagnosed", "explored"),
)
#: Questions that have a process of their own, at a time; and seconds for each.
ERRANDS, PATIENCE = 2, 180
#: Pages that may have a process of their own, in which they explore.
EXPLORERS = 4
#: A process that was lost is told to pages by this message, and kept too.
LOST = "lost"


class Lab:
    """A lab: one network at a time, which all of its pages see.

    Args:
        folder: its own; nothing is written outside of it.
        failed: gets the error of each network that cannot be built, for the terminal.
    """

    def __init__(
        self, folder: Path, failed: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self._failed = failed
        self.folder, self.hub, self.room = folder, Hub(), Room(folder)
        self.drops, self.called = Drops(folder), Called(folder)
        self.process: Process | None = None
        self._coming: Process | None = None
        #: A process that has imported all, and waits for what it is to build.
        self._spare: Process | None = None
        self._built: dict[str, Any] | None = None
        #: What the command line has named, which pages may name too.
        self._own: dict[str, Any] | None = None
        #: The network of a file that is opened, as a page is told of it.
        self._opened: tuple[int, bytes] | None = None
        #: Where the network that is shown is saved, and where one was saved last.
        self._here: Path | None = None
        self.saved: Path | None = None
        self._tickets: dict[int, tuple[Page, int | None]] = {}
        self._numbers = itertools.count(1)
        self._runs = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._errands: set[Process] = set()
        self._explorers: dict[Page, Process] = {}

    # -- what pages ask ----------------------------------------------------------------

    def asked(self, page: Page, text: str | bytes) -> None:
        """Do what a page asks, or tell it why not."""
        id: int | None = None
        try:
            message = protocol.asked(text)
            id = message.id
            if isinstance(message, protocol.Painted):
                page.painted(message.count)
            elif isinstance(message, protocol.Build):
                self._build(page, message)
            elif isinstance(message, protocol.Examine):
                check_data({"source": message.source}, self.folder)
                self._errand(page, message, {})
            elif isinstance(message, protocol.Explore):
                self._explore(page, message)
            elif isinstance(message, protocol.Doctor) and self._built is not None:
                run = self._built["run"]
                self._errand(page, message, {"run": run, "own": self._own})
            elif isinstance(message, protocol.Cancel):
                self._cancel()
            elif self.process is None:
                self._without_process(page, message)
            else:
                said = message.model_dump(exclude={"v", "id"})
                self.process.ask({**said, "id": self._ticket(page, id)})
        except ChainruleError as error:
            self._refuse(page, id, error)

    def _refuse(self, page: Page, id: int | None, error: ChainruleError) -> None:
        said = self.called.said(protocol.error_of(error))
        payload = protocol.said("refused", id=id, error=said)
        page.answer((protocol.TEXT, payload))

    def _ticket(self, page: Page, id: int | None) -> int:
        ticket = next(self._numbers)
        self._tickets[ticket] = page, id
        while len(self._tickets) > 10_000:
            del self._tickets[next(iter(self._tickets))]
        return ticket

    def _build(self, page: Page, message: protocol.Build) -> None:
        self._one_at_a_time()
        content = {"run": message.run, "id": self._ticket(page, message.id)}
        self._start({**content, "out": str(self._new_out()), "own": self._own})

    def _one_at_a_time(self) -> None:
        if self._coming is not None:
            raise ArgumentError(
                _("A network is being built."), fix=_("wait until it is there")
            )

    def _cancel(self) -> None:
        """End the process that builds, whatever it does; what was there stays."""
        process = self._coming
        if process is None:
            raise ArgumentError(
                _("No network is being built."),
                expected=_("one that is not there yet"),
                got=_("none"),
            )
        error = ArgumentError(
            _("The build was cancelled."), fix=_("change the settings, and build")
        )
        payload = protocol.said(
            "unbuilt", id=process.ticket, error=protocol.error_of(error)
        )
        self._heard(process, protocol.TEXT, payload)
        process.kill()

    def open(self, target: str) -> None:
        """Open what the command line names: a run file, a recipe or a run."""
        self._start({"open": target, "out": str(self._new_out())})

    def _without_process(self, page: Page, message: protocol.Asked) -> None:
        """Go on training from the last checkpoint, where a process was lost."""
        if message.type == "again" and self._can_go_on():
            assert self._built is not None
            assert self._here is not None
            self._one_at_a_time()
            known = {"run": self._built["run"], "own": self._own}
            known["id"] = self._ticket(page, message.id)
            self._start({**known, "out": str(self._here), "restore": True})
            return
        raise ArgumentError(
            _("Nothing is there to do this."),
            expected=_("a network that was built"),
            got=_("none"),
            fix=_("build one"),
        )

    def _can_go_on(self) -> bool:
        return self._here is not None and (self._here / "last.ckpt").exists()

    def _new_out(self) -> Path:
        outs = (self.folder / f"{i}" for i in self._runs)
        return next(out for out in outs if not out.exists())

    def _errand(
        self, page: Page, message: protocol.Asked, more: dict[str, Any]
    ) -> None:
        """Have a process of its own answer a question that takes long."""
        if len(self._errands) >= ERRANDS:
            raise ArgumentError(
                _("The lab is busy with other questions."),
                expected=_("at most {n} at a time", n=ERRANDS),
                got=str(len(self._errands)),
                fix=_("ask again in a while"),
            )
        process = Process(self._heard, self._ended)
        process.ticket = ticket = self._ticket(page, message.id)
        self._errands.add(process)
        content = {**message.model_dump(exclude={"v", "id"}), **more, "id": ticket}
        content["folder"] = str(self.folder.resolve())
        self._do(self._run_errand(process, content))

    async def _run_errand(self, process: Process, content: dict[str, Any]) -> None:
        if await self._begin(process, content):
            await process.over(PATIENCE)

    # -- explorations ------------------------------------------------------------------

    def _explore(self, page: Page, message: protocol.Explore) -> None:
        """Have the page's own process explore; what it is at still is outdated."""
        explorer = self._explorers.get(page)
        if explorer is not None and explorer.ticket in self._tickets:
            __, id = self._tickets.pop(explorer.ticket)
            self._refuse(
                page, id, ArgumentError(_("A newer question has taken its place."))
            )
            self._leave(page)
            explorer = None
        content = message.model_dump(exclude={"v", "id"})
        if explorer is not None:
            explorer.ticket = content["id"] = self._ticket(page, message.id)
            explorer.ask(content)
            return
        self._room_to_explore()
        explorer = self._explorers[page] = self._fresh()
        explorer.ticket = content["id"] = self._ticket(page, message.id)
        self._do(self._begin_exploring(explorer, content))

    async def _begin_exploring(self, process: Process, content: dict[str, Any]) -> None:
        await self._begin(process, content)
        await self.prepare()

    def _room_to_explore(self) -> None:
        """End a process that has answered, where there are many; or refuse."""
        if len(self._explorers) < EXPLORERS:
            return
        for page, explorer in self._explorers.items():
            if explorer.ticket not in self._tickets:
                self._leave(page)
                return
        raise ArgumentError(
            _("The lab is busy with other questions."),
            expected=_("at most {n} at a time", n=EXPLORERS),
            got=str(len(self._explorers)),
            fix=_("ask again in a while"),
        )

    def _leave(self, page: Page) -> None:
        """End the process in which a page explores, at once."""
        explorer = self._explorers.pop(page, None)
        if explorer is not None:
            explorer.kill()

    def left(self, page: Page) -> None:
        """Forget a page that is gone, and end its process."""
        self.hub.close(page)
        self._leave(page)

    # -- processes ---------------------------------------------------------------------

    def _start(self, first: dict[str, Any]) -> None:
        """Start a process; it takes the place of the one before once it has built."""
        process = self._fresh()
        process.ticket, process.out = first.get("id"), Path(first["out"])
        self._come(process)
        folder = str(self.folder.resolve())
        message = {"type": "begin", **first, "folder": folder}
        self._do(self._begin(process, message))

    def _come(self, process: Process | None) -> None:
        """Note which process builds, and tell pages; None: none any more."""
        self._coming = process
        payload = protocol.said("building", active=process is not None)
        self.hub.tell("building", protocol.TEXT, payload)
        if process is None:
            self.hub.kept.pop("building")  # a page that opens sees no build

    async def prepare(self) -> None:
        """Start a process that the next network is built in at once."""
        if self._spare is None:
            spare = Process(self._heard, self._ended)
            with contextlib.suppress(OSError):  # said where one is needed
                await spare.start()
                self._spare = spare

    def _fresh(self) -> Process:
        """Return the process that waits, or one that is yet to start."""
        spare, self._spare = self._spare, None
        if spare is not None and spare.returncode is None:
            return spare
        return Process(self._heard, self._ended)

    async def _begin(self, process: Process, message: dict[str, Any]) -> bool:
        """Start a process with its first message; return whether it has started."""
        try:
            if process.pid is None:
                await process.start()
        except OSError as error:
            process.words = str(error)
            self._ended(process)
            return False
        if process.asked_to_end:  # cancelled while it started
            process.kill()
            return False
        process.ask(message)
        return True

    def _do(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _heard(self, process: Process, kind: int, payload: bytes) -> None:
        head = protocol.head_of(kind, payload)
        type = head["type"]
        if type in ERRORS:
            head = self.called.said(head)
            content = {k: v for k, v in head.items() if k not in ("v", "type")}
            payload = protocol.said(type, **content)
        if process is self._coming and type == "opened":
            self._own, self._opened = head["own"], (kind, payload)
            if not head["data"]:
                self._come(None)  # it is all that this process says
        elif process is self._coming and type == "built":
            before, self.process = self.process, process
            self.hub.forget()
            self._come(None)
            if self._opened is not None:
                self.hub.tell("opened", *self._opened)
            self._built, self._own, self._here = head, head["own"], process.out
            self._keep_text(head)
            self._do(self.prepare())
            page, id = self._tickets.pop(process.ticket or 0, (None, None))
            if page is not None:
                page.answer((protocol.TEXT, protocol.said("begun", id=id)))
            if before is not None:
                self._do(before.end())
        elif process is self._coming and type == "unbuilt":
            self._come(None)  # another one may come while it ends
            if self._failed is not None:
                self._failed(head["error"])
            if process.ticket is None and self.process is None:
                self.hub.tell(type, kind, payload)  # no page has asked, or is open
                return
        elif process is not self.process and type not in ANSWERS:
            return  # of a network that was there before
        if type == "changed":
            self._changed(head)
        if type in KEPT:
            self.hub.tell(type, kind, payload)
            if type == "saved":
                self.saved = Path(head["path"]).parent
            return
        page, id = self._tickets.pop(head.get("id") or 0, (None, None))
        if page is None and type not in FOR_ONE:
            for each in self.hub.pages:
                each.answer((kind, payload))
        elif page is not None and page in self.hub.pages:
            page.answer((kind, _with_id(kind, payload, id)))

    def _changed(self, head: dict[str, Any]) -> None:
        """Keep what a run is after a change: pages that open later are told of it."""
        assert self._built is not None
        self._built = {**self._built, "run": head["run"], "text": head["text"]}
        content = {k: v for k, v in self._built.items() if k not in ("v", "type")}
        self.hub.kept["built"] = protocol.TEXT, protocol.said("built", **content)
        self._keep_text(self._built)

    def _keep_text(self, built: dict[str, Any]) -> None:
        """Write the run file beside uploaded data, where checkpoints look for it.

        Where it cannot be written, pages are told, and the run is there all the same.
        """
        if not built.get("text") or built.get("name") != NAME:
            return
        try:
            made(self.folder)
            text = built["text"].encode()
            atomic_files.replace(self.folder / NAME, text, _("run file"))
        except ChainruleError as error:
            payload = protocol.said("refused", error=protocol.error_of(error))
            for page in self.hub.pages:
                page.answer((protocol.TEXT, payload))

    def _ended(self, process: Process) -> None:
        self._errands.discard(process)
        for page in [p for p, each in self._explorers.items() if each is process]:
            del self._explorers[page]
        if process is self._spare:
            self._spare = None
        coming = process is self._coming
        if coming:
            self._come(None)
        what = ArgumentError(
            _("The process that was to answer has ended."),
            expected=_("an answer"),
            got=process.words[-500:] or str(process.returncode),
        )
        if process.ticket in self._tickets:
            page, id = self._tickets.pop(process.ticket)
            self._refuse(page, id, what)
        elif coming and not process.asked_to_end:
            error = protocol.error_of(what)
            self.hub.tell(
                "unbuilt", protocol.TEXT, protocol.said("unbuilt", error=error)
            )
            if self._failed is not None:
                self._failed(error)
        if process is not self.process:
            return
        self.process = None
        if process.asked_to_end:
            return
        # What has ended it may have ended the one that waits, of which we hear later.
        if self._spare is not None:
            self._spare.kill()
            self._spare = None
        payload = protocol.said(
            LOST,
            code=process.returncode,
            words=process.words[-1000:],
            goes_on=self._can_go_on(),
            path=str(self._here) if self._can_go_on() else "",
        )
        self.hub.tell(LOST, protocol.TEXT, payload)

    def hello(self) -> dict[str, Any]:
        """Return what a page is told first."""
        return {
            "uploads": uploaded(self.folder),
            "folder": str(self.folder),
            # Or something could not be opened: the page says so, and builds nothing.
            "busy": self._built is not None
            or self._coming is not None
            or self._opened is not None
            or "unbuilt" in self.hub.kept,
        }

    async def end(self) -> None:
        """End the processes; what was trained is saved."""
        for explorer in self._explorers.values():
            explorer.kill()
        for process in (
            *(self.process, self._coming, self._spare),
            *(*self._errands, *self._explorers.values()),
        ):
            if process is not None:
                await process.end()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)


def _with_id(kind: int, payload: bytes, id: int | None) -> bytes:
    """Return an answer with the number that its page gave to the question."""
    head = protocol.head_of(kind, payload)
    type, content = head["type"], {**head, "id": id}
    for key in ("v", "type", "arrays"):
        content.pop(key, None)
    if kind == protocol.BINARY:
        return protocol.packed(type, protocol.unpacked(payload), **content)
    return protocol.said(type, **content)
