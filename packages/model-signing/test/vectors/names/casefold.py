"""Full case folding, as Python has it: writes casefold.json beside this file, each letter with what it folds to."""
import json
import pathlib
import unicodedata

pairs = {}
for point in range(0x110000):
    letter = chr(point)
    if not 0xD800 <= point < 0xE000 and letter.casefold() != letter:
        pairs[f"{point:x}"] = " ".join(f"{ord(one):x}" for one in letter.casefold())
path = pathlib.Path(__file__).parent / "casefold.json"
path.write_text(json.dumps({"unicode": unicodedata.unidata_version, "pairs": pairs}, indent=0) + "\n")
