"""How Python reads CSV: `python3 generate.py > tables.json`."""

import csv
import io
import json
import platform

texts = [
    "a,b\r\n1,2\r\n",
    "a,b\n1,2\n",
    "a,b\n1,2",
    "a\n",
    ",\n,\n",
    '"a","b"\r\n',
    '"a,b",c\n',
    '"a\nb",c\n',
    '"a\r\nb",c\n',
    '"a ""b"" c",d\n',
    '"""",""\n',
    '"",""\n',
    " a , b \n",
    "\u00e9,\U0001f600\n",
    "a,'b'\n",
    '"a"\n"b"',
    "1,2,3\r\n4,5,6\n7,8,9",
]
tables = [{"text": text, "rows": list(csv.reader(io.StringIO(text, newline=""), strict=True))} for text in texts]
made = f"Python {platform.python_version()}, module csv, strict"
print(json.dumps({"made": made, "tables": tables}, indent=2))
