"""systemd's notification protocol (sd_notify(3)): one datagram to $NOTIFY_SOCKET. Silent where there is none."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> bool:
    """Send "READY=1", "WATCHDOG=1", "STOPPING=1" or "STATUS=..."; False where nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):  # Linux's abstract namespace
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sender:
        try:
            sender.sendto(state.encode(), address)
        except OSError:
            return False
    return True


def watchdog_ns() -> int:
    """How often systemd wants to hear WATCHDOG=1 at the latest, in ns; 0 where it does not."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0
    text = os.environ.get("WATCHDOG_USEC", "")
    return int(text) * 1000 if text.isdigit() else 0
