"""What the server is measured against: small ASGI apps, each one the plain way to do one thing.

`python -m benchmarks.references NAME DIRECTORY` serves one of them by the server software that
`tidings serve` stands on, with the same settings, and prints its address as the first line.
"""
