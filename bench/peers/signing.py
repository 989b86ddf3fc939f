"""Hashes a model as the reference in Python does before it signs, for bench/src/signing.ts: PyPI model-signing and pyopenssl.

argv: folder, workers. The first line that is printed says the version, each line on stdin asks for one run, each answer is its seconds.
"""
import importlib.metadata
import sys
import time

from model_signing import hashing

folder, workers = sys.argv[1], int(sys.argv[2])
config = hashing.Config().use_file_serialization(hashing_algorithm="sha256", max_workers=workers)
print(importlib.metadata.version("model-signing"), flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    config.hash(folder)
    print(time.perf_counter() - start, flush=True)
