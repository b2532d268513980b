"""Every error code of both venues' documents: what it means to an order and to anything else, or why we cannot meet it.

`*_MET` are (order, read) classes written from the documents and from the error classifier of our failure modes; `*_NOT`
are the codes of what a spot connector with limit orders never does: they take the safe path. The classifier's own rows
are transcribed in `BINANCE_CLASSIFIER` and `KUCOIN_CLASSIFIER`, short names as there; "-" means that it does not say.
"""

from __future__ import annotations

from tradeserver.venues.errors import Fault

R, U, B, A, S, X, G = (
    Fault.REFUSED,
    Fault.UNKNOWN,
    Fault.BACKOFF,
    Fault.AUTH,
    Fault.SYMBOL,
    Fault.BUG,
    Fault.GONE,
)
Classes = tuple[Fault, Fault]


def each(classes: Classes, *codes: int | str) -> dict[str, Classes]:
    return {str(code): classes for code in codes}


# ---- Binance (errors.md, 2026-07-21) --------------------------------------------------------------------------------

BINANCE_MET: dict[str, Classes] = {
    **each((U, B), -1000, -1001, -1006, -1007, -1008),
    **each((R, B), -1003, -1015, -1034, -1021, -1013),
    **each((A, A), -1002, -1022, -2014, -2015),
    **each((S, S), -1016, -1121, -1122, -1220),
    **each((X, X), -1014, -1020, -1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108, -1111, -1112, -1114, -1115),
    **each((X, X), -1116, -1117, -1118, -1119, -1120, -1125, -1127, -1128, -1130, -1134, -1135, -1145, -1151, -1194),
    **each((R, B), -2010),
    **each((G, G), -2011, -2013, -2026),
    **each((R, R), -2035, -2036),
    **each((R, B), -2042),
}
FIX = "FIX sessions"
SBE = "binary encoding"
LISTS = "order lists"
PEGGED = "pegged orders"
BINANCE_NOT: dict[str, str] = {
    **{str(code): FIX for code in (-1033, -1035, *range(-1191, -1168))},
    **{str(code): SBE for code in (-1152, -1153, -1155, -1161, -1221)},
    **{str(code): LISTS for code in (-1158, -1160, -1165, -1166, -1168, -1196, -1197, -1198, -1199)},
    **{str(code): LISTS for code in (-1222, -1223, -1224, -1225)},
    **{str(code): PEGGED for code in (-1210, -1211)},
    "-1139": "price statistics",
    "-2016": "price statistics",
    "-2039": "a question by both ids at once: ours name one",
    "-2043": "reference prices",
}
# What the matching engine says under -1010, -2010, -2011 and -2038, as an answer to an order (code -2010).
ENGINE_AUTH = (
    "This action is disabled on this account.",
    "This account may not place or cancel orders.",
    'Rest API trading is not enabled." / "WebSocket API trading is not enabled.',
    "FIX API trading is not enabled.",
)
ENGINE_SYMBOL = (
    "Market is closed.",
    "This symbol is not permitted for this account.",
    "This symbol is restricted for this account.",
)
ENGINE_UNKNOWN = ("Duplicate order sent.",)
"""The earlier order of that client id lives. Every other text is a plain refusal."""

BINANCE_CLASSIFIER: tuple[tuple[str, str, str, str], ...] = (
    # (code, text, class for an order command, class for a read)
    ("HTTP 5xx", "", "UNKNOWN", "BACKOFF"),
    ("-1000", "", "UNKNOWN", "BACKOFF"),
    ("-1001", "", "UNKNOWN", "BACKOFF"),
    ("-1006", "", "UNKNOWN", "BACKOFF"),
    ("-1007", "", "UNKNOWN", "BACKOFF"),
    ("-1008", "", "UNKNOWN", "BACKOFF"),
    ("-1003", "", "REFUSED", "BACKOFF"),
    ("-1015", "", "REFUSED", "-"),
    ("HTTP 403", "", "UNKNOWN", "BACKOFF"),
    ("-1013", "", "REFUSED", "-"),
    ("-1021", "", "REFUSED", "BACKOFF"),  # "retry after sync"
    ("-1022", "", "REFUSED/AUTH", "AUTH"),
    ("-1034", "", "-", "BACKOFF"),
    *((str(code), "", "REFUSED/BUG", "BUG") for code in (-1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108)),
    *((str(code), "", "REFUSED/BUG", "BUG") for code in (-1112, -1114, -1115, -1116, -1117, -1118, -1119, -1120)),
    *((str(code), "", "REFUSED/BUG", "BUG") for code in (-1125, -1127, -1128, -1130)),
    ("-1111", "", "REFUSED/BUG", "-"),
    ("-1121", "", "SYMBOL", "SYMBOL"),
    ("-1122", "", "SYMBOL", "SYMBOL"),
    ("-1220", "", "SYMBOL", "SYMBOL"),
    ("-2010", "Account has insufficient balance for requested action.", "REFUSED", "-"),
    ("-2010", "Duplicate order sent.", "UNKNOWN", "-"),  # "means the earlier one is live"
    ("-2010", "Order would immediately match and take.", "REFUSED", "-"),
    ("-2010", "Market is closed.", "SYMBOL", "-"),
    ("-2010", "This account may not place or cancel orders.", "AUTH", "-"),
    ("-2011", "Unknown order sent.", "GONE", "-"),
    ("-2013", "", "GONE", "-"),
    ("-2014", "", "AUTH", "AUTH"),
    ("-2015", "", "AUTH", "AUTH"),
    ("-2021", "", "UNKNOWN", "-"),  # "split outcome": one half done
    ("-2022", "", "REFUSED", "-"),  # "split outcome": both failed
    ("-2026", "", "GONE", "-"),
    ("-2035", "", "-", "-"),
    ("-2036", "", "-", "-"),
    ("-2042", "", "-", "-"),
)

# ---- KuCoin (error code pages, 2025-11; what a widely used client's map adds) ---------------------------------------

KUCOIN_MET: dict[str, Classes] = {
    **each((U, B), "408000", "500000", "126033", "126044"),
    **each((R, B), "429000", "400002", "200003", "200004", "230003", "210021", "300003", "600100"),
    **each((A, A), "400001", "400003", "400004", "400005", "400006", "400007", "400008", "400009", "400010"),
    **each((A, A), "400011", "400012", "400303", "400401", "200009", "400500", "400700", "411100"),
    **each((S, B), "200001", "200002", "400200", "400600"),
    **each((S, X), "900001"),
    **each((R, X), "300000", "400100", "400330", "400350", "400370", "400760", "600101", "210014"),
    **each((R, X), "300009", "300011", "300012"),
    **each((X, X), "400000", "404000", "415000", "401000"),
    **each((G, G), "100001", "126043", "130103", "130108"),
}
MARGIN = "margin and isolated accounts"
HTTP = "an HTTP status without an envelope: `read_code` names it"
FUNDING = "deposits, withdrawals, transfers"
KUCOIN_NOT: dict[str, str] = {
    **dict.fromkeys(("400", "401", "403", "404", "405", "415", "429", "500", "503"), HTTP),
    **{str(code): MARGIN for code in (101030, 103000, 112010, 330005, 330008, 330012, 400800)},
    **{str(code): MARGIN for code in (*range(126000, 126008), 126009, 126010, 126011, 126013, 126015, 126021, 126022)},
    **{str(code): MARGIN for code in (126027, 126028, 126029, 126030, 126034, 126036, 126037, 126038, 126039)},
    **{str(code): MARGIN for code in (126041, 126042, 126045, 126046, 126047, 126048)},
    **{str(code): MARGIN for code in (130101, 130102, 130104, 130105, 130106, 130107, 130201, 130202, 130203, 130204)},
    **{str(code): MARGIN for code in (*range(130301, 130316), 135005, 135018)},
    **dict.fromkeys(("260000", "260100", "260210", "260220", "900014"), FUNDING),
    **dict.fromkeys(("400201", "400202"), "partners' headers: ours carry none"),
    "100004": "cancels of futures",
    "400400": "not said what it is: the safe path is right",
}
_GONE = (
    "Order not exist or not allow to be cancelled",
    "The order does not exist.",
    "order not exist",
    "order not exist.",
    "order_not_exist",
    "order_not_exist_or_not_allow_to_cancel",
)
_WRONG = (
    "Order size below the minimum requirement.",
    "Order size increment invalid.",
    "The withdrawal amount is below the minimum requirement.",
    "Unsuccessful! Exceeded the max. funds out-transfer limit",
    "The amount increment is invalid.",
    "The quantity is below the minimum requirement.",
    "not in the given range!",
    "recAccountType not in the given range",
    "Unsupported trading pair.",
)
KUCOIN_TEXTS: dict[str, Classes] = {**each((G, G), *_GONE), **each((R, X), *_WRONG)}
"""Texts under 400100."""

KUCOIN_CLASSIFIER: tuple[tuple[str, str, str], ...] = (
    # (code, text, class)
    ("200001", "", "SYMBOL"),
    ("200002", "Order cancel for this pair suspended", "SYMBOL"),
    ("200002", "Too many requests", "BACKOFF"),
    ("200003", "", "REFUSED"),
    ("200004", "", "REFUSED"),
    ("400100", "account.available.amount", "REFUSED"),
    ("600100", "", "REFUSED"),
    *((code, "", "AUTH") for code in ("200009", "400303", "400500", "400700", "411100")),
    *((code, "", "REFUSED") for code in ("300000", "400100", "400330", "400350", "400370", "400760", "600101")),
    *((code, "", "AUTH") for code in ("400001", "400003", "400004", "400005", "400006", "400007", "400008", "400009")),
    ("400002", "", "REFUSED"),
    *((code, "", "SYMBOL") for code in ("400200", "400600", "900001", "600203")),
    *((code, "", "UNKNOWN") for code in ("408000", "500000", "HTTP_5XX")),
    *((code, "", "REFUSED") for code in ("429000", "HTTP_429")),
    ("1015", "", "UNKNOWN"),
    *((code, "", "UNKNOWN") for code in ("126033", "126044")),  # "earlier one exists: adopt"
    ("126043", "", "GONE"),
    ("400100", "order_not_exist_or_not_allow_to_cancel", "GONE"),
)
