"""What loads a server: `wrk` with many POSTs, one process with many streams, a steady sender."""
