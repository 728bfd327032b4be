// Colours: of numbers below and above zero, and of classes.

/** Colours of classes, told apart by most people. */
export const CLASSES = [
  [20, 112, 163], [217, 116, 26], [61, 138, 61], [178, 58, 72], [117, 84, 160],
  [122, 89, 72], [200, 90, 160], [95, 99, 104], [150, 145, 20], [15, 150, 160],
];
const LOW = [217, 116, 26], ZERO = [246, 246, 246], HIGH = [20, 112, 163];

/** @param {number[]} from @param {number[]} to @param {number} share */
const between = (from, to, share) => from.map((c, i) => Math.round(c + (to[i] - c) * share));
/** @param {number[]} c */
const packed = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;
/** @param {number[]} c */
export const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

/** @param {number} share of the largest number, from −1 to 1 */
export const signed = (share) => between(ZERO, share < 0 ? LOW : HIGH, Math.min(1, Math.abs(share)));

/** The colour of each byte of a map: 128 is zero. */
export const BYTES = Uint32Array.from({ length: 256 }, (_, i) => packed(signed((i - 128) / 127)));

/** @param {number} k @returns {number[]} */
export const classColor = (k) => CLASSES[k % CLASSES.length];

/** Colours of a class by how sure the network is: 0 … 127. */
const SURE = CLASSES.map((color) => Uint32Array.from(
  { length: 128 }, (_, i) => packed(between([255, 255, 255], color, 0.15 + 0.6 * (i / 127)))));

/** @param {number} k @param {number} sure */
export const region = (k, sure) => SURE[k % SURE.length][Math.max(0, Math.min(127, sure))];
