"""KuCoin's signed calls on orders: placing, cancelling, asking, the dead man's switch.

Neutral as to how a call arrived: REST and order entry by WebSocket answer the same. Rules: the HF order pages of the
classic spot API, 2025-11. The asynchronous forms only say "heard" although the exchange has already matched: what came
of it is told by the push streams, by a query, or by the `sync` forms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any

import msgspec

from tradeserver.simulator.accounts import Account
from tradeserver.simulator.exchange import Exchange
from tradeserver.simulator.faults import Faults
from tradeserver.simulator.kucoin import errors, shapes
from tradeserver.simulator.kucoin.ticket import Body, Ticket, decode, read_ticket
from tradeserver.simulator.types import Order, OrderState, OrderType, Reject, Symbol
from tradeserver.wire import kucoin as wire

SECOND_NS = 1_000_000_000
SHORTEST_TIMEOUT_S, LONGEST_TIMEOUT_S = 5, 86_400
MOST_BATCH = 20

REJECTS: dict[Reject, Callable[[], errors.Refused]] = {
    Reject.UNKNOWN_SYMBOL: errors.no_symbol,
    Reject.NO_PERMISSION: errors.no_permission,
    Reject.HALTED: errors.placing_suspended,
    Reject.CANCEL_ONLY: errors.placing_suspended,
    Reject.DUPLICATE_CLIENT_ID: errors.duplicate_client_id,
    Reject.PRICE_TICK: errors.price_increment,
    Reject.PRICE_LIMIT: errors.price_out_of_range,
    Reject.QUANTITY_MIN: errors.below_minimum,
    Reject.QUANTITY_MAX: errors.above_maximum,
    Reject.QUANTITY_STEP: errors.size_increment,
    Reject.NOTIONAL_MAX: errors.above_maximum,
    Reject.TOO_MANY_OPEN: errors.too_many_open,
    Reject.INSUFFICIENT_BALANCE: errors.insufficient,
    Reject.WOULD_MATCH: partial(errors.bad_parameter, "The order is post only and would be matched immediately."),
}


class Switch(msgspec.Struct, frozen=True):
    """One account's dead man's switch; no symbols: all."""

    timeout_s: int
    armed_ns: int
    symbols: tuple[str, ...]

    @property
    def fires_ns(self) -> int:
        return self.armed_ns + self.timeout_s * SECOND_NS


class Trading:
    """The order calls over one exchange."""

    def __init__(self, exchange: Exchange, faults: Faults, rng: Random) -> None:
        self._exchange = exchange
        self._faults = faults
        self._rng = rng
        self._switches: dict[str, Switch] = {}

    # ---- placing ----------------------------------------------------------------------------------------------------

    def place(self, account: Account, body: Body, now_ns: int) -> wire.OrderIds:
        """{"orderId":"673f..","clientOid":"c-1"}"""
        order = self._place(account, body, now_ns)
        return wire.OrderIds(order_id=shapes.order_id(order.id), client_oid=order.client_id)

    def place_sync(self, account: Account, body: Body, now_ns: int) -> wire.OrderResult[str]:
        return shapes.order_result(self._place(account, body, now_ns))

    def place_many(self, account: Account, bodies: list[Body], now_ns: int, *, sync: bool) -> list[Any]:
        """Each row succeeds or fails by itself."""
        if not 0 < len(bodies) <= MOST_BATCH:
            raise errors.bad_parameter(f"orderList: 1 to {MOST_BATCH} orders.")
        return [self._row(account, body, now_ns, sync=sync) for body in bodies]

    def _row(self, account: Account, body: Body, now_ns: int, *, sync: bool) -> Any:
        try:
            answer = self.place_sync(account, body, now_ns) if sync else self.place(account, body, now_ns)
        except errors.Refused as refused:
            return wire.OrderIds(success=False, fail_msg=refused.text)
        return msgspec.structs.replace(answer, success=True)

    def test(self, account: Account, body: Body, now_ns: int) -> wire.OrderIds:
        """Everything is checked but the balance, nothing is placed."""
        ticket = read_ticket(body, now_ns)
        symbol = self.symbol(ticket.symbol)
        client_id = ticket.client_id or self.new_id()
        draft = Order(
            id=0,
            account=account.name,
            symbol=symbol.name,
            client_id=client_id,
            side=ticket.side,
            type=ticket.type,
            time_in_force=ticket.time_in_force,
            price=ticket.price,
            quantity=ticket.size,
            funds=ticket.funds,
            self_trade=ticket.self_trade,
            created_ns=now_ns,
            updated_ns=now_ns,
        )
        reject = self._exchange.check(account, draft)
        if reject is not None:
            raise _refused(reject, symbol)
        return wire.OrderIds(order_id=shapes.order_id(0), client_oid=client_id)

    def _place(self, account: Account, body: Body, now_ns: int) -> Order:
        refusal = self._faults.refusal("kucoin", str(body), now_ns)
        if refusal is not None:
            raise errors.Refused(refusal.code, refusal.msg or "Refused.")
        order = self._submit(account, read_ticket(body, now_ns), now_ns)
        second = self._faults.afterthought("kucoin", str(body), now_ns)
        if second is not None:
            raise errors.Refused(second.code, second.msg or "Refused.")
        return order

    def _submit(self, account: Account, ticket: Ticket, now_ns: int) -> Order:
        symbol = self.symbol(ticket.symbol)
        placement = self._exchange.place(
            account,
            symbol.name,
            ticket.side,
            ticket.type,
            now_ns,
            client_id=ticket.client_id or self.new_id(),
            time_in_force=ticket.time_in_force,
            price=ticket.price,
            quantity=ticket.size,
            funds=ticket.funds,
            self_trade=ticket.self_trade,
            expires_ns=ticket.expires_ns,
        )
        if placement.reject is not None:
            raise _refused(placement.reject, symbol)
        assert placement.order is not None
        return placement.order

    def alter(self, account: Account, change: wire.AlterOrder, now_ns: int) -> wire.AlteredIds:
        """Cancel and place anew with another price or size; the new order has its own ids."""
        symbol = self.symbol(change.symbol)
        order = self.find(account, symbol, change.order_id or "", change.client_oid or "")
        if order is None or order.state is not OrderState.OPEN or order.type is OrderType.MARKET:
            raise errors.not_cancellable()
        wanted = wire.NewOrder(
            symbol=change.symbol,
            side=shapes.SIDES[order.side],
            price=change.new_price or shapes.plain(order.price),
            size=change.new_size or shapes.plain(order.remaining),
        )
        body = decode(msgspec.json.encode(wanted))
        read_ticket(body, now_ns)  # refuses what is malformed before anything is cancelled
        self._exchange.cancel(order.id, now_ns)
        new = self._place(account, body, now_ns)
        return wire.AlteredIds(new_order_id=shapes.order_id(new.id), client_oid=new.client_id)

    # ---- cancelling -------------------------------------------------------------------------------------------------

    def cancel(self, account: Account, symbol: str, order_id: str, client_id: str, now_ns: int) -> wire.OrderIds:
        """Repeats the id it was asked by: {"orderId":"673f.."} or {"clientOid":"c-1"}"""
        self._cancel(account, symbol, order_id, client_id, now_ns)
        return wire.OrderIds(order_id=order_id) if order_id else wire.OrderIds(client_oid=client_id)

    def cancel_sync(
        self, account: Account, symbol: str, order_id: str, client_id: str, now_ns: int
    ) -> wire.OrderResult[str]:
        """{"orderId":"673f..","originSize":"2","dealSize":"0","remainSize":"0","canceledSize":"2","status":"done"}"""
        order = self._cancel(account, symbol, order_id, client_id, now_ns)
        full = shapes.order_result(order)
        return wire.OrderResult(
            origin_size=full.origin_size,
            deal_size=full.deal_size,
            remain_size=full.remain_size,
            canceled_size=full.canceled_size,
            status=full.status,
            order_id=order_id or msgspec.UNSET,
            client_oid=client_id if not order_id else msgspec.UNSET,
        )

    def _cancel(self, account: Account, native: str, order_id: str, client_id: str, now_ns: int) -> Order:
        order = self.find(account, self.symbol(native), order_id, client_id)
        if order is None or self._exchange.cancel(order.id, now_ns) is None:
            raise errors.not_cancellable()
        return order

    def cancel_symbol(self, account: Account, native: str, now_ns: int) -> str:
        self._exchange.cancel_all(account.name, self.symbol(native).name, now_ns)
        return "success"

    def cancel_all(self, account: Account, now_ns: int) -> wire.CancelledAll:
        canceled = self._exchange.cancel_all(account.name, "", now_ns)
        symbols = dict.fromkeys(self._exchange.symbols[order.symbol].native for order in canceled)
        return wire.CancelledAll(succeed_symbols=list(symbols))

    # ---- the dead man's switch --------------------------------------------------------------------------------------

    def arm(self, account: Account, wanted: wire.DeadMan, now_ns: int) -> wire.DeadManSet:
        """{"timeout":5,"symbols":"XRP-USDT"} -> {"currentTime":1700000000,"triggerTime":1700000005}; -1: off."""
        now_s = now_ns // SECOND_NS
        if wanted.timeout == -1:
            self._switches.pop(account.name, None)
            return wire.DeadManSet(current_time=now_s, trigger_time=0)
        if not SHORTEST_TIMEOUT_S <= wanted.timeout <= LONGEST_TIMEOUT_S:
            raise errors.bad_parameter("timeout: 5 to 86400 seconds, or -1.")
        names = tuple(self.symbol(native).name for native in (wanted.symbols or "").split(",") if native)
        self._switches[account.name] = Switch(wanted.timeout, now_ns, names)
        return wire.DeadManSet(current_time=now_s, trigger_time=now_s + wanted.timeout)

    def armed(self, account: Account, now_ns: int) -> dict[str, Any] | None:
        """How the switch stands; null when it is off."""
        switch = self._switches.get(account.name)
        if switch is None:
            return None
        return {
            "timeout": switch.timeout_s,
            "symbols": ",".join(self._exchange.symbols[name].native for name in switch.symbols),
            "currentTime": now_ns // SECOND_NS,
            "triggerTime": switch.fires_ns // SECOND_NS,
        }

    def tick(self, now_ns: int) -> None:
        """Cancel for those whose switch has not been set again in time."""
        for account, switch in list(self._switches.items()):
            if now_ns >= switch.fires_ns:
                del self._switches[account]
                for symbol in switch.symbols or ("",):
                    self._exchange.cancel_all(account, symbol, now_ns)

    # ---- asking -----------------------------------------------------------------------------------------------------

    def query(self, account: Account, native: str, order_id: str, client_id: str) -> wire.Order[str]:
        symbol = self.symbol(native)
        order = self.find(account, symbol, order_id, client_id)
        if order is None:
            raise errors.no_order()
        return shapes.order_row(order, symbol)

    def active(self, account: Account, native: str) -> list[wire.Order[str]]:
        symbol = self.symbol(native)
        return [shapes.order_row(order, symbol) for order in self._exchange.open_orders(account.name, symbol.name)]

    def active_symbols(self, account: Account) -> wire.ActiveSymbols:
        names = dict.fromkeys(order.symbol for order in self._exchange.open_orders(account.name))
        natives = [self._exchange.symbols[name].native for name in names]
        return wire.ActiveSymbols(symbol_size=len(natives), symbols=natives)

    def done(self, account: Account, native: str, wanted: Mapping[str, str]) -> wire.Page[wire.Order[str]]:
        """Ended orders, newest first; `lastId` of a page is where the next one goes on."""
        symbol = self.symbol(native)
        after, limit, start_ns, end_ns = _page(wanted)
        orders = [
            order
            for order in reversed(self._exchange.orders(account.name, symbol.name))
            if order.state is not OrderState.OPEN
            and (not after or order.id < after)
            and start_ns <= order.created_ns <= end_ns
            and wanted.get("side", "") in ("", shapes.SIDES[order.side])
            and wanted.get("type", "") in ("", "market" if order.type is OrderType.MARKET else "limit")
        ][:limit]
        return wire.Page(
            last_id=orders[-1].id if orders else 0, items=[shapes.order_row(order, symbol) for order in orders]
        )

    def fills(self, account: Account, native: str, wanted: Mapping[str, str]) -> wire.Page[wire.Fill[str]]:
        """Trades, newest first."""
        symbol = self.symbol(native)
        after, limit, start_ns, end_ns = _page(wanted)
        number = shapes.order_number(wanted["orderId"]) if wanted.get("orderId") else 0
        if wanted.get("orderId") and not number:
            return wire.Page(last_id=0, items=[])
        rates = account.rates_of(symbol.name)
        rows = []
        for fill in reversed(self._exchange.fills(account.name, symbol.name, number)):
            order = self._exchange.order(fill.order_id)
            if order is None or not start_ns <= fill.time_ns <= end_ns:
                continue
            row = shapes.fill_row(fill, order, symbol, rates)
            matches = wanted.get("side", "") in ("", row.side) and wanted.get("type", "") in ("", row.type)
            if matches and (not after or row.id < after):
                rows.append(row)
        rows = rows[:limit]
        return wire.Page(last_id=rows[-1].id if rows else 0, items=rows)

    def symbol(self, native: str) -> Symbol:
        """The symbol; 400100 when none was named, 900001 for an unknown one."""
        if not native:
            raise errors.bad_parameter("The parameter symbol is required.")
        symbol = self._exchange.by_native.get(native)
        if symbol is None:
            raise errors.no_symbol()
        return symbol

    def find(self, account: Account, symbol: Symbol, order_id: str, client_id: str) -> Order | None:
        """By the venue's id, else by the client's."""
        if order_id:
            order = self._exchange.order(shapes.order_number(order_id))
        else:
            order = self._exchange.order_by_client(account.name, client_id)
        if order is None or order.account != account.name or order.symbol != symbol.name:
            return None
        return order

    def new_id(self) -> str:
        """An id that the venue gives to an order without one."""
        return f"{self._rng.getrandbits(96):024x}"


def _refused(reject: Reject, symbol: Symbol) -> errors.Refused:
    if reject is Reject.NOTIONAL_MIN:
        return errors.funds_below(shapes.plain(symbol.min_notional), symbol.quote)
    return REJECTS[reject]()


def _page(wanted: Mapping[str, str]) -> tuple[int, int, int, int]:
    """(lastId or 0, limit, start, end): at most 100 rows, 20 by default; times in ms here, ns in the answer."""
    try:
        after, limit = int(wanted.get("lastId") or 0), int(wanted.get("limit") or 20)
        start, end = int(wanted.get("startAt") or 0), int(wanted.get("endAt") or 0)
    except ValueError:
        raise errors.bad_parameter("lastId, limit, startAt and endAt are numbers.") from None
    return after, max(1, min(limit, 100)), start * 1_000_000, (end + 1) * 1_000_000 - 1 if end else 2**63
