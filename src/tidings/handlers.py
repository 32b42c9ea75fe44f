"""Handlers: what a bus was told to call for which events, and how.

Declarations only. One without a name is a *listener*: it is called in this process for what this
bus keeps (`listeners`). One with a name is a subscription, run by `subscriptions` in any number of
processes.
"""

from __future__ import annotations
