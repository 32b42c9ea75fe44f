"""The parts of the benchmark: each has `measure`, which yields figures as it finds them."""
