/** How much a client reads at most. */
export interface UpdateLimits {
  /** Bytes of root metadata; default 512 KiB. */
  readonly root: number;
  /** Bytes of timestamp metadata; default 16 KiB. */
  readonly timestamp: number;
  /** Bytes of snapshot metadata; default 2 MiB. */
  readonly snapshot: number;
  /** Bytes of the metadata of one targets role; default 8 MiB. */
  readonly targets: number;
  /** Bytes of one target; default 64 MiB. */
  readonly download: number;
  /** New roots in one update; default 1024. */
  readonly roots: number;
  /** Roles that are asked about one path; default 32. */
  readonly delegations: number;
  /** Seconds that one file of metadata may take; default 60. */
  readonly seconds: number;
  /** Seconds that one target may take; default 600. */
  readonly downloadSeconds: number;
}

/** Those of a client that says nothing. */
export const usualLimits: UpdateLimits = {
  root: 1 << 19,
  timestamp: 1 << 14,
  snapshot: 1 << 21,
  targets: 1 << 23,
  download: 1 << 26,
  roots: 1024,
  delegations: 32,
  seconds: 60,
  downloadSeconds: 600,
};
