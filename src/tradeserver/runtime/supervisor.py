"""Who owns what runs: one task group for every task, child processes, signals, readiness, the collector's policy.

The watchdog of systemd is fed by completed ticks alone, never by market activity, so that a venue's outage does not
become a restart loop and a frozen loop does. A child's death is a restart with back-off, not a stop. A failure of our
own ends the run by the same orderly stop, and `run` raises it afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any

from tradeserver.net.backoff import Backoff, BackoffSettings
from tradeserver.runtime.notify import notify, watchdog_ns


class Supervisor:
    """Make it inside the loop; `run` is the program."""

    def __init__(self) -> None:
        self.reason = ""  # of the stop; "" while running
        self.hurry = asyncio.Event()  # asked to stop a second time: leave out what may be left out
        self._group: asyncio.TaskGroup | None = None
        self._ending = asyncio.Event()
        self._failure: BaseException | None = None
        self._watchdog_ns = watchdog_ns() // 2
        self._fed_at = 0

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task of the group. Its exception is a failure of our own. After the end, nothing is started any more."""
        if self._group is None:
            coroutine.close()
            return asyncio.get_running_loop().create_task(_nothing(), name=name)
        task = self._group.create_task(self._guarded(coroutine), name=name)
        task.add_done_callback(lambda _: coroutine.close())  # one that was cancelled before its first step
        return task

    async def _guarded(self, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            await coroutine
        except Exception as error:
            self.fail(error)

    def request_stop(self, reason: str) -> None:
        """An orderly stop, from anywhere in the loop's thread. The first reason counts; the second asks for hurry."""
        if self._ending.is_set():
            self.hurry.set()
        else:
            self.reason = reason
            self._ending.set()

    def fail(self, error: BaseException) -> None:
        """Our own code failed: stop, and raise this at the end. Fits `Reactor.on_failure`."""
        if self._failure is None:
            self._failure = error
            if not self._ending.is_set():
                self.request_stop(f"{type(error).__name__}: {error}")

    def ticked(self) -> None:
        """A tick was completed: the watchdog may know. Fits `Ticker.after_tick`."""
        if self._watchdog_ns:
            now = time.monotonic_ns()
            if now - self._fed_at >= self._watchdog_ns:
                self._fed_at = now
                notify("WATCHDOG=1")

    async def run(self, main: Callable[[], Awaitable[None]], stop: Callable[[str], Awaitable[None]]) -> str:
        """`main` sets everything up and returns; then until a signal, `request_stop` or a failure; then `stop(reason)`.

        Every task is cancelled after `stop`. Answers the reason. Raises our own failure, or what `main` or `stop`
        raised; `stop` is called in any case, so it must cope with a `main` that got half-way.
        """
        with _signals(self.request_stop), _garbage_policy() as freeze:
            try:
                async with asyncio.TaskGroup() as group:
                    self._group = group
                    await self._live(main, stop, freeze)
                    self._group = None
                    raise _Over  # makes the group cancel its tasks
            except* _Over:
                pass
        if self._failure is not None:
            raise self._failure
        return self.reason

    async def _live(
        self,
        main: Callable[[], Awaitable[None]],
        stop: Callable[[str], Awaitable[None]],
        freeze: Callable[[], None],
    ) -> None:
        try:
            await main()
            freeze()
            notify("READY=1")
            await self._ending.wait()
        except Exception as error:
            self.fail(error)
        notify("STOPPING=1")
        try:
            await stop(self.reason)
        except Exception as error:
            self.fail(error)


class _Over(Exception):  # noqa: N818  # not an error: it makes the group cancel its tasks
    """The program is done."""


async def _nothing() -> None:
    """A task that is already over."""


class _signals(contextlib.AbstractContextManager[None]):  # noqa: N801  # used like a function
    """SIGTERM and SIGINT ask for an orderly stop while this is open."""

    def __init__(self, ask: Callable[[str], None]) -> None:
        self._ask = ask
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._ask, signal.Signals(number).name)

    def __exit__(self, *error: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.remove_signal_handler(number)


@contextlib.contextmanager
def _garbage_policy() -> Iterator[Callable[[], None]]:
    """Automatic collection off; what start-up made is frozen when told. The ticker collects on idle ticks."""

    def freeze() -> None:
        gc.collect()
        gc.freeze()

    gc.disable()
    try:
        yield freeze
    finally:
        gc.unfreeze()
        gc.enable()


class ChildProcess:
    """A child that is restarted whenever it ends. It must end by itself on EOF of its standard input.

    That pipe is the leash: the kernel closes our end however we die. `greeting` is the first that it reads from it, for
    what neither the command line nor the environment may show; nothing else is ever written. `on_change(up, text)` is
    told of every start and end; a child that is away is a metric and an alert, never a stop.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        dice: Callable[[], float],
        on_change: Callable[[bool, str], None] = lambda up, text: None,
        backoff: BackoffSettings | None = None,
        settled_s: float = 60.0,
        greeting: Callable[[], bytes] = bytes,
    ) -> None:
        self.name = name
        self.up = False
        self.restarts = 0
        self._command = tuple(command)
        self._on_change = on_change
        self._backoff = Backoff(backoff or BackoffSettings(first_s=1.0, cap_s=60.0), dice)
        self._settled_s = settled_s
        self._greeting = greeting
        self._process: Process | None = None
        self._stopping = False

    async def run(self) -> None:
        """Start it, wait for its end, again; until `stop`. Cancelled, it lets go of the leash and does not wait."""
        loop = asyncio.get_running_loop()
        try:
            while not self._is_stopping():
                started = loop.time()
                self._change(False, await self._once())
                if self._is_stopping():
                    return
                self.restarts += 1
                if loop.time() - started >= self._settled_s:
                    self._backoff.reset()
                await asyncio.sleep(self._backoff.next_s())
        finally:
            self._let_go()

    def _is_stopping(self) -> bool:
        return self._stopping

    async def _once(self) -> str:
        try:
            # Our end of the pipe closes when we let go of it, or with us.
            self._process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE)
        except OSError as error:
            return f"{self.name} cannot be started: {error.strerror}"
        if self._process.stdin is not None and (greeting := self._greeting()):
            self._process.stdin.write(greeting)
        self._change(True, f"{self.name} started as process {self._process.pid}")
        return f"{self.name} ended with code {await self._process.wait()}"

    def _let_go(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def stop(self, drain_s: float = 10.0) -> None:
        """Let go of its leash, give it time to drain, then kill it."""
        self._stopping = True
        self._let_go()
        process = self._process
        if process is None or process.returncode is not None:
            return
        try:
            await asyncio.wait_for(process.wait(), drain_s)
        except TimeoutError:
            process.kill()
            await process.wait()

    def _change(self, up: bool, text: str) -> None:
        self.up = up
        self._on_change(up, text)
