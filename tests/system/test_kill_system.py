"""The kill switch with everything real: processes, sockets, a stopped daemon, a dead one; the simulator has the last
word about what is open."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tradeserver.core.records import Alert, KillReported, StateChanged, TradingState
from tradeserver.guard import arguments
from tradeserver.lab.drill import QUIET, Range, rehearse
from tradeserver.lab.processes import Child, free_port, tradeserver
from tradeserver.runtime.wal_read import read
from tradeserver.services import layout
from tradeserver.services.control import ask
from tradeserver.services.faults import OperatorError
from tradeserver.services.metrics.catalogue import SHELL

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

ORDERS = 20
METRICS = free_port()
ARRIVAL_S = 2.0  # of both venues, by the overrides: the tests need not wait for the defaults
SHORT = {
    **QUIET,
    "TRADESERVER__METRICS__LISTEN": f"127.0.0.1:{METRICS}",
    "TRADESERVER__BREAKERS__CRASH_LIMIT": "0",
    "TRADESERVER__BREAKERS__ONE_SIDED_LIMIT": "0",
    "TRADESERVER__VENUES__BINANCE__SETTINGS__PROCESSING_MS": "1000",
    "TRADESERVER__VENUES__KUCOIN__SETTINGS__PROCESSING_MS": "1000",
    "TRADESERVER__VENUES__KUCOIN__SETTINGS__DEAD_MAN_S": "5",
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Range]:
    with Range(tmp_path_factory.mktemp("kill"), SHORT, ARRIVAL_S + 0.5) as site:
        yield site


@pytest.fixture
def site(shared: Range) -> Iterator[Range]:
    """Trading, with orders of a stranger at rest; trading again afterwards."""
    shared.wait_ready()
    shared.rest(ORDERS)
    assert len(shared.open_orders()) == ORDERS
    yield shared
    shared.thaw()
    layout.stop_file(shared.state).unlink(missing_ok=True)
    if not shared.daemon.running:
        shared.start()
        wait(lambda: status(shared))
    if shared.open_orders():  # the test has failed
        kill(shared)
    if status(shared)["kill_latch"]:
        shared.wait_halted(60)
        shared.clear()


def kill(site: Range, *words: str, where: str = "--state") -> tuple[int, dict[str, Any], str]:
    place = str(site.state if where == "--state" else site.config)
    command = tradeserver("kill", where, place, "--json", *words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, env={**os.environ, **SHORT})
    return done.returncode, json.loads(done.stdout), done.stderr


def status(site: Range) -> dict[str, Any]:
    """{} while nobody answers."""
    try:
        answer: dict[str, Any] = ask(layout.control(site.state), "status", 1.0)
    except OperatorError:
        return {}
    return answer


def halted(site: Range) -> bool:
    return status(site).get("state") == "halted"


def wait(done: Callable[[], object], patience_s: float = 30.0) -> None:
    end = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def reports(site: Range) -> list[KillReported]:
    return [record for _, record in read(layout.wal(site.state)) if isinstance(record, KillReported)]


def accepted(site: Range) -> int:
    return len(site.simulator.get("/log")["rows"])


def page(name: str) -> tuple[int, str]:
    with httpx.Client() as client:
        try:
            answer = client.get(f"http://127.0.0.1:{METRICS}/{name}")
        except httpx.ConnectError:
            return 0, ""
    return answer.status_code, answer.text


def test_the_relay_serves_the_numbers_of_a_real_daemon(site: Range) -> None:
    wait(lambda: page("readyz")[0] == 200)
    assert page("healthz")[0] == 200
    families = {family.name: family for family in text_string_to_metric_families(page("metrics")[1])}
    for name, (_, labels) in SHELL.items():
        samples = families[f"tradeserver_{name}"].samples
        assert samples or name in ("trading_restriction", "exposure_low", "exposure_high"), f"{name}: no value"
        assert all(set(sample.labels) == set(labels) for sample in samples)
    assert families["tradeserver_up"].samples[0].value == 1
    assert all(sample.value == 1 for sample in families["tradeserver_book_trusted"].samples)
    budgets = {
        (s.labels["venue"], s.labels["scope"]): s.value for s in families["tradeserver_rate_budget_used_ratio"].samples
    }
    assert 0 < budgets["binance", "weight"] < 1
    assert {venue for venue, _ in budgets} == {"binance", "kucoin"}
    wait(lambda: all(f'relay_lag_records{{sink="{sink}"}}' in page("metrics")[1] for sink in ("metrics", "log")))


def test_a_living_daemon_proves_it_in_a_second(site: Range) -> None:
    code, outcome, err = kill(site)
    assert (code, err) == (0, "")
    assert (outcome["proven"], outcome["by"], outcome["notes"]) == (True, "daemon", [])
    report = outcome["report"]
    assert (report["found"], report["gone"], report["prover"]) == (ORDERS, ORDERS, "daemon")
    assert [(row["venue"], row["proven"], row["left"]) for row in report["venues"]] == [
        ("binance", True, []),
        ("kucoin", True, []),
    ]
    assert site.open_orders() == []
    assert outcome["elapsed_ms"] < 5_000


def test_a_frozen_loop(site: Range) -> None:
    """The whole story: proof without the daemon, nothing leaves after the thaw, halted over a restart, until clear."""
    site.freeze()
    before = accepted(site)
    code, outcome, _ = kill(site)
    assert code == 0
    assert (outcome["proven"], outcome["by"]) == (True, "guard")
    assert outcome["notes"] == ["the daemon does not answer"]
    report = outcome["report"]
    assert (report["found"], report["cancelled"], report["gone"]) == (ORDERS, ORDERS, ORDERS)
    assert report["elapsed_ms"] >= ARRIVAL_S * 1_000, "no earlier than the last possible arrival"
    assert site.open_orders() == []
    assert accepted(site) == before

    site.thaw()
    wait(lambda: halted(site))
    wait(lambda: reports(site)[-1].prover == "guard" or reports(site)[-2].prover == "guard")
    assert not layout.kill_report(site.state).exists(), "it is in the log"
    time.sleep(1.0)
    assert accepted(site) == before, "what waited for the thawed loop has sent nothing"

    assert site.daemon.stop(30) == 0
    site.start()
    wait(lambda: status(site))
    assert halted(site)
    wait(lambda: all(v["phase"] == "ready" for v in status(site)["venues"]))
    wait(lambda: reports(site)[-1].by == "restart" and reports(site)[-1].proven)
    assert accepted(site) == before

    done = subprocess.run(tradeserver("clear", "nonsense", "--state", str(site.state)), capture_output=True, text=True)
    assert done.returncode == 4
    assert "there is no latch 'nonsense' in scope global; there is 'kill' in scope global" in done.stderr
    site.clear()
    wait(lambda: accepted(site) > before, 60)  # it trades


def test_sigusr1_to_the_daemon(site: Range) -> None:
    site.daemon.process.send_signal(signal.SIGUSR1)
    wait(lambda: halted(site))
    site.wait_halted()
    assert (reports(site)[-1].by, reports(site)[-1].proven) == ("signal", True)
    assert site.open_orders() == []


def test_sigusr1_to_the_guard_of_a_frozen_daemon(site: Range) -> None:
    pid = status(site)["guard"]["pid"]
    site.freeze()
    os.kill(pid, signal.SIGUSR1)
    wait(lambda: site.open_orders() == [], 10)
    wait(lambda: ask(layout.guard(site.state), "killed", 2.0)["under_way"] is False)
    report = ask(layout.guard(site.state), "killed", 2.0)["report"]
    assert (report["proven"], report["by"], report["prover"]) == (True, "signal", "guard")


def test_the_stop_file(site: Range) -> None:
    stop = layout.stop_file(site.state)
    stop.touch()
    wait(lambda: halted(site))
    site.wait_halted()
    assert (reports(site)[-1].by, reports(site)[-1].proven) == ("stop file", True)
    assert site.open_orders() == []
    words = tradeserver("clear", "kill", "--state", str(site.state))
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 1
    assert "remove it first" in done.stderr


def test_a_guard_that_is_killed_is_missed_and_comes_back(site: Range) -> None:
    os.kill(status(site)["guard"]["pid"], signal.SIGKILL)
    wait(lambda: not status(site)["guard_up"], 10)
    now = status(site)
    assert (now["state"], now["state_reason"]) == ("no_new", "guard")
    wait(lambda: status(site)["guard_up"] and status(site)["state"] == "running", 30)
    told = [r for _, r in read(layout.wal(site.state)) if isinstance(r, Alert) and r.code.startswith("GUARD")]
    assert [alert.code for alert in told[-2:]] == ["GUARD_AWAY", "GUARD_BACK"]
    kill(site)


def test_a_dead_daemon_and_a_guard_of_its_own(site: Range) -> None:
    """A guard that is started by hand outlives daemons. What it did is in the log of the next one."""
    site.daemon.kill()
    wait(lambda: not guard_answers(site), 10)
    guard = Child("guard", arguments(site.config), site.folder / "guard.log", SHORT)
    try:
        wait(lambda: guard_answers(site), 20)
        code, outcome, _ = kill(site)
        assert code == 0
        assert (outcome["by"], outcome["notes"]) == ("guard", ["no daemon is running"])
        assert outcome["report"]["found"] == ORDERS
        assert site.open_orders() == []
        assert layout.kill_report(site.state).exists()
    finally:
        guard.stop()
    site.start()
    wait(lambda: status(site))
    assert halted(site)
    wait(lambda: not layout.kill_report(site.state).exists())
    assert [r.prover for r in reports(site)[-2:]].count("guard") == 1


def guard_answers(site: Range) -> bool:
    try:
        ask(layout.guard(site.state), "ping", 1.0)
    except OperatorError:
        return False
    return True


def test_a_daemon_that_dies_under_a_kill_leaves_a_guard_that_finishes_it(site: Range) -> None:
    site.freeze()
    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill, site)
        wait(lambda: ask(layout.guard(site.state), "killed", 2.0)["report"])  # it is at it by itself
        site.daemon.kill()
        code, outcome, _ = killing.result()
    assert (code, outcome["by"], outcome["report"]["found"]) == (0, "guard", ORDERS)
    assert site.open_orders() == []
    wait(lambda: not guard_answers(site), 10)  # its pipe has closed, and it is done


def test_a_rehearsal_does_no_harm(site: Range) -> None:
    before = accepted(site)
    result = rehearse(site.state)
    assert result["good"], result
    assert [row["note"] for row in result["rows"] if "looks" in row["step"]] == [f"{ORDERS // 2} orders open"] * 2
    assert len(site.open_orders()) == ORDERS
    assert not status(site)["kill_latch"]
    assert before <= accepted(site)
    site.freeze()
    with pytest.raises(OperatorError, match="did not answer"):
        rehearse(site.state)
    site.thaw()
    kill(site)


def test_nobody_is_there_and_the_keys_are_at_hand(site: Range) -> None:
    site.daemon.kill()
    wait(lambda: not guard_answers(site), 10)
    code, outcome, _ = kill(site)
    assert (code, outcome["proven"], outcome["by"], outcome["latched"]) == (3, False, "", True)
    assert len(site.open_orders()) >= ORDERS // 2, "nobody could cancel (KuCoin's own switch apart)"
    code, outcome, _ = kill(site, where="--config")
    assert code == 0
    assert (outcome["proven"], outcome["by"]) == (True, "here")
    assert site.open_orders() == []


def test_kucoins_switch_fires_when_nobody_renews_it_and_not_after_an_orderly_stop(site: Range) -> None:
    wait(lambda: status(site)["dead_man"][0]["state"] == "armed")
    assert site.daemon.stop(30) == 0
    time.sleep(6)
    assert len(site.open_orders()) == ORDERS, "switched off"
    site.start()
    site.wait_ready()
    wait(lambda: status(site)["dead_man"][0]["state"] == "armed")
    time.sleep(6)
    assert len(site.open_orders()) == ORDERS, "renewed"
    site.daemon.kill()
    wait(lambda: len(site.open_orders()) == ORDERS // 2, 8)
    kill(site, where="--config")


def test_hedge_then_halt(site: Range) -> None:
    code, outcome, _ = kill(site, "--hedge")
    assert code == 0
    assert (outcome["proven"], outcome["by"]) == (True, "daemon")
    assert site.open_orders() == []
    changes = [r for _, r in read(layout.wal(site.state)) if isinstance(r, StateChanged) and r.reason == "kill"]
    assert [c.state for c in changes[-2:]] == [TradingState.HEDGE_ONLY, TradingState.HALTED]
    assert status(site)["kill_latch"], "halted by itself, and latched"


def test_the_keys_are_in_no_command_line_and_no_environment(site: Range) -> None:
    pid = status(site)["guard"]["pid"]
    for secret in (b"SIMbinance-secret", b"SIMkucoin-secret", b"SIMkucoin-passphrase"):
        assert secret not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert secret not in Path(f"/proc/{pid}/environ").read_bytes()
    for door in (layout.guard(site.state), layout.control(site.state)):
        assert oct(door.stat().st_mode & 0o777) == "0o600"
    kill(site)
