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


def check_spdx(specification):
    """As PyPI spdx3-validate does, with the files of the specification at hand instead of from the network."""
    import jsonschema
    import pyshacl
    import rdflib

    print(", ".join(map(version, ["jsonschema", "pyshacl", "rdflib"])), "- schema, context and SHACL shapes of SPDX 3.0.1")
    schema = json.loads((specification / "schema.json").read_text())
    context = json.loads((specification / "spdx-context.jsonld").read_text())["@context"]
    shapes = rdflib.Graph().parse(specification / "spdx-model.ttl")
    validator = jsonschema.validators.validator_for(schema)(schema)
    for file in sorted(folder.glob("*.spdx.json")):
        data = json.loads(file.read_text())
        faults = [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(data)]
        graph = rdflib.Graph().parse(data=json.dumps({**data, "@context": context}), format="json-ld")
        conforms, _, text = pyshacl.validate(graph, shacl_graph=shapes, ont_graph=shapes)
        print(f"  {file.name}: {len(data['@graph'])} elements, {len(graph)} triples, faults by the schema: {faults},"
              f" conforms to the shapes: {conforms}")
        if not conforms:
            print(text[:3000])
        # Must be found: a step without its type.
        broken = {**data, "@graph": [{k: v for k, v in one.items() if k != "build_buildType"} for one in data["@graph"]]}
        assert list(validator.iter_errors(broken)), "a fault was not found"


def check_croissant():
    import mlcroissant

    print(version("mlcroissant"))
    for file in sorted(folder.glob("*.croissant.json")):
        try:
            dataset = mlcroissant.Dataset(jsonld=json.loads(file.read_text()))
            issues = dataset.metadata.ctx.issues
            fields = sum(len(records.fields) for records in dataset.metadata.record_sets)
            print(f"  {file.name}: {len(dataset.metadata.distribution)} files, {fields} fields,"
                  f" errors: {sorted(issues.errors)}, warnings: {sorted(issues.warnings)}")
        except mlcroissant.ValidationError as error:
            print(f"  {file.name}: REFUSED\n{error}")


if __name__ == "__main__":
    check_prov()
    check_spdx(pathlib.Path(sys.argv[2]))
    check_croissant()
