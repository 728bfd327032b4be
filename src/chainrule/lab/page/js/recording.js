// A recording in place of a server: it tells what was recorded, and answers from it.

import { Connection, unpacked } from "./connection.js";

/** Milliseconds between two moments of a run that is played. */
const PAUSE = 150;

/**
 * Connect the page: to the recording that is in it, or else to its server.
 * @param {(message: any) => void} heard
 * @param {(state: string) => void} changed
 */
export function connect(heard, changed) {
  return document.getElementById("recording") ? new Recording(heard, changed) : new Connection(heard, changed);
}

/** A connection to the recording in the page; it speaks as a server does. */
export class Recording extends Connection {
  open() {
    this.place = 0;
    /** The moment that is looked at; null: the one that the run has come to. @type {number | null} */
    this.looking = null;
    this.playing = false;
    /** Part, row and step of the sample that is shown. */
    this.shown = "";
    this.begin();
  }

  async begin() {
    const text = atob(document.getElementById("recording")?.textContent ?? "");
    const packed = Uint8Array.from(text, (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const whole = new Uint8Array(await new Response(stream).arrayBuffer());
    const end = whole.length - 4;
    const length = new DataView(whole.buffer).getUint32(end, true);
    this.index = JSON.parse(new TextDecoder().decode(whole.subarray(end - length, end)));
    let place = 0;
    this.pieces = this.index.pieces.map((/** @type {number} */ size) => whole.subarray(place, place += size));
    this.changed("open");
    this.heard({ v: 1, type: "hello", ...this.index.hello });
    this.heard({ v: 1, type: "built", ...this.index.built });
    for (const ref of this.index.start) {
      const message = this.message(ref);
      if (message.type === "curves") this.curves = message;
      else this.heard(message);
    }
    this.place = this.index.moments.length - 1;
    this.show();
  }

  /** Return a message of the recording. @param {number[]} ref its kind, and its pieces */
  message([kind, ...places]) {
    const parts = places.map((i) => this.pieces[i]);
    if (kind === 0) return JSON.parse(new TextDecoder().decode(parts[0]));
    const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    return unpacked(joined.buffer);
  }

  /** Tell where the run stands, its curves up to there, and its pictures. */
  show() {
    const { moments } = this.index;
    const now = moments[this.place].status, seen = moments[this.looking ?? this.place];
    const last = this.place === moments.length - 1;
    const stage = this.playing ? "training" : last ? now.stage : this.place ? "paused" : "ready";
    this.heard({ v: 1, type: "curves", ...cropped(this.curves, now.step, moments) });
    for (const ref of seen.messages) this.heard(this.message(ref));
    this.heard({ v: 1, type: "status", ...now, stage, looking: this.looking === null ? null : seen.status.step });
  }

  /** Go through the moments to the last one. */
  play() {
    this.looking = null;
    if (this.place === this.index.moments.length - 1) this.place = 0;
    this.playing = true;
    this.show();
    this.later();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.go(1);
      if (this.playing) this.later();
    }, PAUSE);
  }

  pause() {
    clearTimeout(this.timer);
    this.playing = false;
    this.show();
  }

  /** @param {number} steps moments to go on by */
  go(steps) {
    const last = this.index.moments.length - 1;
    this.place = Math.min(last, this.place + steps);
    if (this.place === last) this.playing = false;
    this.show();
  }

  /** @param {number | null} step */
  look(step) {
    const found = this.index.moments.findIndex((/** @type {any} */ m) => m.status.step === step);
    this.looking = found < 0 || found >= this.place ? null : found;
    this.show();
  }

  /** @param {string} type @param {any} [content] */
  tell(type, content = {}) {
    if (!this.index) return;
    if (type === "train" || type === "again") this.play();
    else if (type === "pause") this.pause();
    else if (type === "look") this.look(content.step);
    else if (type === "step") {
      this.looking = null;
      this.playing = false;
      clearTimeout(this.timer);
      this.go(content.steps);
    }
  }

  /** @param {string} type @param {any} [content] @returns {Promise<any>} */
  async ask(type, content = {}) {
    const ref = this.index.answers[this.question(type, content)];
    if (!ref) throw this.index.refused[type] ?? this.index.refused.other;
    const message = this.message(ref);
    if (message.type === "refused") throw message.error;
    this.heard({ ...message, id: 0 });
    return message;
  }

  /**
   * Return the name that a question has in the recording.
   * @param {string} type
   * @param {any} content
   */
  question(type, content) {
    if (type === "sample" && content.again) return `sample|${this.shown}|${content.lang}|${this.step}`;
    if (type === "sample") {
      const step = this.nearest(content.part, content.row);
      this.shown = `${content.part}|${content.row}`;
      this.step = step;
      return `sample|${this.shown}|${content.lang}|${step}`;
    }
    if (type === "element") return `element|${this.shown}|${content.name}|${content.index.join(",")}|${this.step}|${content.lang}`;
    if (type === "share") return `share|${content.what}|${content.lang}`;
    return `cell|${content.truth}|${content.decided}|${this.seen()}`;
  }

  /** @returns {number} the step that is looked at */
  seen() {
    return this.index.moments[this.looking ?? this.place].status.step;
  }

  /**
   * Go to the moment nearest to the one looked at that explains a sample.
   * @param {string} part
   * @param {number} row
   * @returns {number | undefined} its step
   */
  nearest(part, row) {
    /** @type {number[]} */
    const steps = this.index.built.recorded.samples[part]?.[row] ?? [];
    const seen = this.seen();
    const [step] = steps.toSorted((a, b) => Math.abs(a - seen) - Math.abs(b - seen));
    if (step === undefined) return undefined;
    if (this.playing) this.pause();
    const found = this.index.moments.findIndex((/** @type {any} */ m) => m.status.step === step);
    if (step !== seen && found >= 0) {
      this.place = Math.max(this.place, found);
      this.looking = found === this.place ? null : found;
      this.show();
    }
    return step;
  }
}

/**
 * Return the curves of a run as they were at a step.
 * @param {any} message of the whole run
 * @param {number} step
 * @param {any[]} moments
 */
function cropped(message, step, moments) {
  /** @type {Record<string, any>} */
  const arrays = {};
  for (const [name, array] of Object.entries(message.arrays)) {
    const x = name.startsWith("epoch_") ? message.arrays.epoch_step : message.arrays.steps;
    let count = x.data.findIndex((/** @type {number} */ s) => s > step);
    if (count < 0) count = x.data.length;
    arrays[name] = { data: array.data.subarray(0, count), shape: [count] };
  }
  const points = moments.map((m) => m.status.step).filter((s) => s <= step);
  return { width: message.width, points, arrays };
}
