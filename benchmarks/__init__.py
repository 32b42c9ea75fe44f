"""Every figure Tidings promises, measured as ratios within one run.

`make bench` runs all of it in an environment of its own, `python -m benchmarks --only emit` one
part of it there. The parts lie in `parts/`; `rounds` is how things are compared on a machine that
is never quiet, `peers` whom we are compared with, `sample` what is emitted, `workplace` where, and
`figures` and `machine` what is told.
"""
