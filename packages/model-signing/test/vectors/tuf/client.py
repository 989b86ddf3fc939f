"""The reference in Python reads what Parapet published: `client.py FOLDER`, FOLDER by publish.ts. Prints one line a check."""

import os
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp

from tuf import __version__
from tuf.ngclient import Updater

folder = Path(sys.argv[1])


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"
print(f"tuf {__version__}, Python {sys.version.split()[0]}")
failed = 0


def check(name, expected, run):
    global failed
    try:
        found = run()
    except Exception as error:
        found = type(error).__name__
    failed += found != expected
    print(f"{'ok  ' if found == expected else 'FAIL'} {name}: {found}")


def updater(name, state):
    url = f"{base}/{name}"
    root = (folder / name / "metadata/1.root.json").read_bytes()
    return Updater(state, f"{url}/metadata/", mkdtemp(), f"{url}/targets/", bootstrap=root)


def download(name, path, state=None):
    client = updater(name, state or mkdtemp())
    info = client.get_targetinfo(path)
    return None if info is None else Path(client.download_target(info)).read_text()


for name in sorted(os.listdir(folder)):
    if not (folder / name).is_dir():
        continue
    metadata = folder / name / "metadata"
    check(f"{name}, newest release", "signature of 1.2.0", lambda: download(name, "digits/model.sig"))
    check(f"{name}, a team's", "faces", lambda: download(name, "faces/model.sig"))
    check(f"{name}, nobody's", None, lambda: download(name, "faces/other"))
    state = mkdtemp()
    download(name, "digits/model.sig", state)
    timestamp = metadata / "timestamp.json"
    good = timestamp.read_text()
    timestamp.write_text(good.replace('"version": 3', '"version": 4', 1))
    check(f"{name}, changed timestamp", "UnsignedMetadataError", lambda: download(name, "digits/model.sig", state))
    timestamp.write_text(good)
    for file in (folder / name / "targets/digits").iterdir():
        file.write_bytes(file.read_bytes().replace(b"1.2.0", b"1.2.1"))
    check(f"{name}, changed target", "LengthOrHashMismatchError", lambda: download(name, "digits/model.sig"))
print(f"{failed} failed")
sys.exit(failed > 0)
