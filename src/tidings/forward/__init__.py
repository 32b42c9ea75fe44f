"""The cloud forward: each event POSTed to one address, with one key, as scitex-events does it.

    posting     one POST, and what its answer means
    waiting     the records of what was not forwarded yet: claimed, sent, put off
    forwarding  the thread that sends what a bus has just emitted

Keeps: it never fails or holds up who emits, and nothing is lost. Each event is marked in the
transaction that keeps it (`tidings.spool.marks`), and the mark goes away only once the address has
taken it. At least once, in no promised order; an address tells repetitions by `Idempotency-Key`.
Standard library only: it is part of emitting.
"""

from __future__ import annotations

from tidings.forward.forwarding import Forwarding, finish
from tidings.forward.waiting import Forwarded, resend_refused, send_waiting, state_of

__all__ = ["Forwarded", "Forwarding", "finish", "resend_refused", "send_waiting", "state_of"]
