import type { Rng } from "@parapet/core";
import { about, imageGeometry, type PlaneMap, similarity, warp } from "../shared/image.ts";
import { type Corruption, type Picture, pixel } from "./picture.ts";

/** Slanted by an angle of up to a radian, either way; the middle stays. */
export const shear: Corruption = (picture, severity, rng) => {
  const angle = sign(rng) * [0.2, 0.4, 0.6, 0.8, 1][severity]!;
  redraw(picture, about(picture, [Math.cos(angle), 0, -Math.sin(angle), 1]));
};

/** Shrunk, down to half its size. */
export const scale: Corruption = (picture, severity) => {
  redraw(picture, similarity(picture, { zoom: [0.9, 0.8, 0.7, 0.6, 0.5][severity]! }));
};

/** Turned by an angle of up to a radian, either way. */
export const rotate: Corruption = (picture, severity, rng) => {
  const angle = sign(rng) * [0.2, 0.4, 0.6, 0.8, 1][severity]!;
  redraw(picture, similarity(picture, { degrees: (angle * 180) / Math.PI }));
};

/** Moved along both axes, either way. */
export const translate: Corruption = (picture, severity, rng) => {
  const far = [1, 2, 3, 4, 5][severity]! * pixel(picture);
  redraw(picture, similarity(picture, { down: sign(rng) * far, right: sign(rng) * far }));
};

function sign(rng: Rng): number {
  return rng.next() < 0.5 ? -1 : 1;
}

/** What comes from outside the picture is black. */
function redraw({ height, width, planes }: Picture, map: PlaneMap): void {
  const geometry = imageGeometry([height, width]);
  for (const plane of planes) warp(plane.slice(), plane, geometry, map, () => 0);
}
