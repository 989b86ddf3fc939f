"""Holds what write-documents.ts wrote against other implementations; the output is transcript.txt.

    python validate.py FOLDER SPDX-FOLDER

SPDX-FOLDER has schema.json, spdx-context.jsonld and spdx-model.ttl of SPDX 3.0.1.
Needs PyPI: prov, mlcroissant, jsonschema, pyshacl, rdflib.
"""
import importlib.metadata
import json
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])


def version(package):
    return f"{package} {importlib.metadata.version(package)}"


def check_prov():
    import prov.model

    print(version("prov"))
    for file in sorted(folder.glob("*.prov.json")):
        document = prov.model.ProvDocument.deserialize(content=file.read_text(), format="json")
        # Back and forth: nothing is lost that the other implementation knows.
        again = prov.model.ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
        kinds = {}
        for record in document.get_records():
            kinds[record.get_type().localpart] = kinds.get(record.get_type().localpart, 0) + 1
        unified = document.unified()
        print(f"  {file.name}: {dict(sorted(kinds.items()))}, the same after a round trip: {again == document},"
              f" unified: {len(unified.get_records())} records, PROV-N: {len(document.get_provn().splitlines()) > 2}")


if __name__ == "__main__":
    check_prov()
