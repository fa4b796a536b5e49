"""streamer: contact center metrics in real time, from Kafka to numbers one can trust."""

import os

# Read by numpy when it is imported. Matrices here are small, and a thread of OpenBLAS that waits for the next
# one takes a processor meanwhile.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
