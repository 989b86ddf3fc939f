import { describe, expect, it } from "vitest";
import { casesOf, verifyCase } from "./helpers/suite.ts";
import { hasVectors, vector } from "./helpers/vectors.ts";

/** Why each case that must fail does fail: a case that fails for another reason tests nothing. */
const reasons: Readonly<Record<string, string>> = {
  "certificate-expired_fail": "model-signing/certificate",
  "certificate-simple-wrong-ca_fail": "model-signing/certificate",
  "key-simple-corrupted-bundle_fail": "model-signing/malformed",
  "key-simple-extra-file_fail": "model-signing/unsigned",
  "key-simple-missing-file_fail": "model-signing/missing",
  "key-simple-no-signature_fail": "model-signing/malformed",
  "key-simple-tampered-content_fail": "model-signing/changed",
  "key-simple-truncated-bundle_fail": "model-signing/malformed",
  "key-simple-wrong-key_fail": "model-signing/signature",
  "key-simple-wrong-mediatype_fail": "model-signing/unsupported",
  "key-verify-as-certificate_fail": "model-signing/signature",
  "malformed-empty-bundle_fail": "model-signing/malformed",
  "malformed-missing-envelope_fail": "model-signing/malformed",
  "malformed-wrong-payload-type_fail": "model-signing/malformed",
  "sigstore-tampered-content_fail": "model-signing/changed",
  "sigstore-verify-as-key_fail": "model-signing/unsupported",
  "sigstore-wrong-identity_fail": "model-signing/signature",
  "sigstore-wrong-issuer_fail": "model-signing/signature",
  // These carry a broken signature, which is what is met first; statements.test.ts signs such ones anew.
  "malformed-empty-resources_fail": "model-signing/signature",
  "malformed-no-predicate_fail": "model-signing/signature",
  "malformed-no-subject_fail": "model-signing/signature",
  "malformed-wrong-predicate_fail": "model-signing/signature",
  "malformed-wrong-statement-type_fail": "model-signing/signature",
};

const suite = vector("conformance");

describe.skipIf(!hasVectors)("the conformance suite of OpenSSF model signing", () => {
  const cases = hasVectors ? casesOf(suite) : [];
  it("has 43 cases, 7 of them of an identity", () => {
    expect(cases.length).toBe(43);
    expect(cases.filter(({ config }) => config.method === "sigstore").length).toBe(7);
  });

  it.each(cases)("$group: $name", async (given) => {
    const verified = verifyCase(suite, given);
    if (given.config.expect === "fail") await expect(verified).rejects.toMatchObject({ code: reasons[given.name] });
    else if (given.config.expected_signed_files === undefined) await verified;
    else expect(await verified).toEqual([...given.config.expected_signed_files].sort());
  });
});
