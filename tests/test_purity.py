"""What an import contract cannot see: the deterministic packages must not be impure by other means.

An `ast` walk over core, strategies, venues and wire: no `async def` or `await`, no clock, no iteration over a set
(string hashing is salted per process, so its order differs from run to run), no `hash` or `id` as a value. And over
all of src: `SubmitOrder` is constructed in one place, behind risk's approval.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import tradeserver

SRC = Path(tradeserver.__file__).parent
PURE = ("core", "strategies", "venues", "wire")
CLOCKS = {"asyncio", "random", "secrets", "threading", "time", "uuid"}
CLOCK_CALLS = {"now", "utcnow", "today", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"}


def is_set(node: ast.expr) -> bool:
    """A set as far as syntax shows it: a display, a comprehension, a call, or an operator between such."""
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    if isinstance(node, ast.BinOp):
        return is_set(node.left) or is_set(node.right)
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("set", "frozenset")


def bound_sets(tree: ast.AST) -> set[str]:
    """What is bound to or annotated as a set below this node: "name" for locals, ".name" for attributes."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            targets, value, annotation = node.targets, node.value, None
        elif isinstance(node, ast.AnnAssign):
            targets, value, annotation = [node.target], node.value, node.annotation
        else:
            continue
        annotated = annotation is not None and ast.unparse(annotation).startswith(("set[", "frozenset["))
        if annotated or (value is not None and is_set(value)):
            found.update(name for target in targets if (name := last_name(target)))
    return found


def scopes(tree: ast.Module) -> Iterator[tuple[ast.AST, set[str]]]:
    """Each function and then the rest of the module, with the names and attributes that are sets there."""
    common = {name for name in bound_sets(tree) if name.startswith(".")}
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            common |= bound_sets(statement)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        yield function, bound_sets(function) | common
    for function in functions:
        function.body = []
    yield tree, common


def last_name(node: ast.expr) -> str:
    """`a.b.c` is ".c", `c` is "c"."""
    if isinstance(node, ast.Attribute):
        return f".{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def iterated(tree: ast.AST) -> Iterator[ast.expr]:
    """Every expression whose elements are taken in its own order."""
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.comprehension):
            yield node.iter
        elif isinstance(node, ast.Starred):
            yield node.value
        elif isinstance(node, ast.Call):
            name = last_name(node.func).lstrip(".")
            if name in ("list", "tuple", "iter", "next", "enumerate", "map", "filter", "zip", "sum", "join", "extend"):
                yield from node.args
            elif name == "pop" and not node.args and isinstance(node.func, ast.Attribute):
                yield node.func.value


def impurities(source: str) -> list[str]:
    tree = ast.parse(source)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            found.append(f"{node.lineno}: {type(node).__name__}")
        elif isinstance(node, ast.Import):
            found += [f"{node.lineno}: import {a.name}" for a in node.names if a.name.split(".")[0] in CLOCKS]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in CLOCKS:
            found.append(f"{node.lineno}: from {node.module} import")
        elif isinstance(node, ast.Call):
            name = last_name(node.func).lstrip(".")
            if isinstance(node.func, ast.Attribute) and name in CLOCK_CALLS:
                found.append(f"{node.lineno}: .{name}()")
            elif isinstance(node.func, ast.Name) and name in ("hash", "id", "open", "print", "input"):
                found.append(f"{node.lineno}: {name}()")
    for scope, sets in scopes(tree):
        for node in iterated(scope):
            if is_set(node) or last_name(node) in sets:
                found.append(f"{node.lineno}: iteration over a set: {ast.unparse(node)}")
    return found


def modules(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (SRC / package).rglob("*.py"))


def test_the_deterministic_packages_are_pure() -> None:
    found = [f"{p.relative_to(SRC)}:{what}" for p in modules(*PURE) for what in impurities(p.read_text())]
    assert found == []


def test_submit_order_is_constructed_in_one_place() -> None:
    """`core/risk.py` makes it from an approval. Patterns (`case SubmitOrder()`) are no constructions."""
    found = []
    for path in sorted(SRC.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and last_name(node.func).endswith("SubmitOrder"):
                found.append(f"{path.relative_to(SRC)}:{node.lineno}")
    assert len(found) == 1, found
    assert found[0].startswith("core/risk.py:")


@pytest.mark.parametrize(
    "source",
    [
        "async def f(): ...",
        "import time",
        "from random import choice",
        "from datetime import datetime\nx = datetime.now()",
        "for x in {1, 2}: ...",
        "y = [x for x in set(z)]",
        "seen: set[str] = set()\nfor x in seen: ...",
        "class A:\n def __init__(self): self.seen = set()\n def f(self): return list(self.seen)",
        "seen = {1}\nseen.pop()",
        "SEEN = {1}\ndef f(): return list(SEEN)",
        "x = ','.join({'a', 'b'})",
        "x = hash('a')",
        "x = [*{1, 2}]",
    ],
)
def test_the_walk_finds(source: str) -> None:
    assert impurities(source) != []


@pytest.mark.parametrize(
    "source",
    [
        "def f(a):\n x = set(a)\n return 1 in x\ndef g(x): return list(x)",
        "seen: set[str] = set()\nif 'a' in seen: seen.add('b')\nfor x in sorted(seen): ...",
        "for x in {'a': 1}: ...",
        "def f(ts: int) -> int: return ts",
        "d = {}\nd.pop('a')",
    ],
)
def test_the_walk_allows(source: str) -> None:
    assert impurities(source) == []
