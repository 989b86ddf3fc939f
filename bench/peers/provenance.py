"""What pymerkle takes for what the log of provenance does: appends of 32 bytes, and inclusion proofs. Prints a line of JSON.

pymerkle keeps its tree in memory; nothing is durable, and nothing is signed.
"""

import importlib.metadata
import json
import os
import sys
import time

from pymerkle import InmemoryTree

entries = int(sys.argv[1])
tree = InmemoryTree(algorithm="sha256")
data = [os.urandom(32) for _ in range(entries)]
start = time.perf_counter()
for entry in data:
    tree.append_entry(entry)
appended = time.perf_counter() - start
tree.get_root()
took = []
for i in range(100):
    start = time.perf_counter()
    tree.prove_inclusion(1 + (i * 7919) % entries)
    took.append(1000 * (time.perf_counter() - start))
took.sort()
print(json.dumps({
    "version": importlib.metadata.version("pymerkle"),
    "perSecond": entries / appended,
    "proof": took[len(took) // 2],
}))
