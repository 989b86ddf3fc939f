import type { RoleKeys } from "./delegations.ts";
import { isUpdateError, updateError } from "./errors.ts";
import { type OpenKey, openKey, type UpdateKey, type VerifierOf } from "./keys.ts";
import { type Metadata, named } from "./metadata.ts";

/** Whose word counts for a role, and who says so. */
export interface Authority {
  readonly keys: ReadonlyMap<string, UpdateKey>;
  readonly role: RoleKeys;
  /** Such as "root 3". */
  readonly by: string;
}

/** Proves that enough distinct keys of a role signed a file, or throws. */
export type Threshold = (metadata: Metadata, authority: Authority) => Promise<void>;

/**
 * Counts signatures (steps 5.3.4, 5.4.2, 5.5.3 and 5.6.3): each key once, whatever it is called, as the same key under two
 * identifiers is still one key. A bad signature among enough good ones is no reason to refuse.
 */
export function createThreshold(verifierOf?: VerifierOf): Threshold {
  const opened = new Map<string, Promise<OpenKey>>();
  const open = (key: UpdateKey) => {
    let promise = opened.get(key.keyid);
    if (promise === undefined) {
      promise = openKey(key, verifierOf);
      promise.catch(() => {}); // told to whoever asks for the key
      opened.set(key.keyid, promise);
    }
    return promise;
  };
  return async ({ role, payload, signatures }, { keys, role: { keyids, threshold }, by }) => {
    const good = new Set<string>();
    let why = "";
    for (const { keyid, signature } of signatures) {
      if (good.size >= threshold) break;
      if (!keyids.includes(keyid) || signature.length === 0) continue;
      try {
        const { identity, verify } = await open(keys.get(keyid)!);
        if (good.has(identity)) continue;
        await verify(payload, signature);
        good.add(identity);
      } catch (error) {
        if (isUpdateError(error)) why = ` (${error.message})`;
        else if (!String((error as { code?: string }).code).startsWith("attestation/")) throw error;
      }
    }
    if (good.size >= threshold) return;
    const expected = `good signatures of ${threshold} distinct keys of the ${keyids.length} that ${by} names`;
    throw updateError("model-signing/update-signature", named(role), expected, `${good.size}${why}`);
  };
}
