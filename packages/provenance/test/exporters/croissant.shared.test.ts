import { describe, expect, it } from "vitest";
import { type CroissantOptions, croissant, type DatasetManifest } from "../../src/index.ts";
import { digestFor, hostileNames, sampleIds, sampleManifest } from "../helpers/sample-run.ts";

// biome-ignore lint/suspicious/noExplicitAny: looked into at will
const metadataOf = (options: CroissantOptions = {}, manifest = sampleManifest): any => croissant(manifest, options);

describe("Croissant", () => {
  it("has the files with their digests, and the fields with their places", () => {
    const metadata = metadataOf({
      columns: { digit: { file: "labels.csv" }, writer: { file: "labels.csv", column: "who" } },
    });
    expect(metadata.distribution).toEqual([
      {
        ...{ "@type": "cr:FileObject", "@id": "file/labels.csv", name: "labels.csv", sha256: digestFor("labels") },
        ...{ contentUrl: "https://example.org/mnist/labels.csv", contentSize: "140012 B", encodingFormat: "text/csv" },
      },
      {
        ...{
          "@type": "cr:FileObject",
          "@id": "file/images/all.bin",
          name: "images/all.bin",
          sha256: digestFor("images"),
        },
        ...{ contentUrl: "images/all.bin", contentSize: "54880000 B", encodingFormat: "application/octet-stream" },
      },
    ]);
    // what has no place stands in no record
    expect(metadata.variableMeasured.map(({ name }: { name: string }) => name)).toEqual(["image", "digit", "writer"]);
    const [digit, writer] = metadata.recordSet[0].field;
    expect(digit.dataType).toBe("sc:Integer");
    expect(digit.source).toEqual({ fileObject: { "@id": "file/labels.csv" }, extract: { column: "digit" } });
    expect(writer.source.extract.column).toBe("who");
    expect(metadata).toMatchObject({
      ...{ conformsTo: "http://mlcommons.org/croissant/1.0", identifier: sampleIds.mnist, version: "1.0.0" },
      ...{ license: "https://spdx.org/licenses/CC-BY-SA-3.0.html", datePublished: "2026-03-01T08:00:00Z" },
      "rai:personalSensitiveInformation": ["writer"],
    });
  });

  it("says what shape an array has, where the format can", () => {
    const columns = { image: { file: "images/all.bin" } };
    expect(metadataOf({ columns }).recordSet[0].field[0]).toMatchObject({ dataType: "sc:Integer", repeated: true });
    const [image] = metadataOf({ version: "1.1", columns }).recordSet[0].field;
    expect(image).toMatchObject({ isArray: true, arrayShape: "28,28" });
    expect(image.repeated).toBeUndefined();
  });

  it("keeps names that are no part of an address out of addresses", () => {
    const names = hostileNames.filter((name) => name !== "");
    const files = names.map((name) => ({ name, size: 1, sha256: digestFor(name) }));
    const fields = names.map((name) => ({ name, type: "text" as const }));
    const hostile: DatasetManifest = { ...sampleManifest, name: hostileNames[0]!, files, fields, sources: [] };
    const columns = Object.fromEntries(names.map((name) => [name, { file: name }]));
    const metadata = metadataOf({ base: "https://example.org/", columns }, hostile);
    for (const { contentUrl } of metadata.distribution)
      expect(contentUrl).toMatch(/^https:\/\/example\.org\/[\w%.!~*'()/-]*$/);
    expect(metadata.recordSet.map(({ field }: { field: { name: string }[] }) => field[0]!.name)).toEqual(names);
  });

  it("refuses fields and files that are not there", () => {
    expect(() => metadataOf({ columns: { other: { file: "labels.csv" } } })).toThrow(RangeError);
    expect(() => metadataOf({ columns: { digit: { file: "other.csv" } } })).toThrow(RangeError);
    const files = [{ name: "", size: 0, sha256: digestFor("") }];
    expect(() => metadataOf({}, { ...sampleManifest, files })).toThrow(RangeError);
    expect(() => metadataOf({ version: "2.0" as never })).toThrow(RangeError);
  });
});
