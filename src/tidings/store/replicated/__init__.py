"""Stores that are replicas: a shared log of commands, applied to a SQLite store on every machine.

`log` says what is needed of the log, `command` what its entries say, `replica` applies them to the
file of this machine, `store` is the `Store` that users hold. Which log it is, and how it is reached,
is said in `store/jetstream` and `store/shared`.
"""
