// A digit that is drawn by hand, brought to the form of MNIST: 20 pixels in 28, by its
// centre of mass (LeCun, Cortes & Burges, "The MNIST database").

import { at, make } from "./dom.js";
import { number, t } from "./texts.js";

const PEN = 22, INNER = 20;

export class Digit {
  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    this.connection = connection;
    /** @type {any} */
    this.built = null;
    this.busy = this.again = false;
    /** The picture that was read, and the answer. @type {[Uint8ClampedArray, number[]] | null} */
    this.read = null;
    const canvas = (this.canvas = at("drawn"));
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    /** @type {[number, number] | null} */
    let last = null;
    const place = (/** @type {PointerEvent} */ event) => {
      const box = canvas.getBoundingClientRect();
      return /** @type {[number, number]} */ ([(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height]);
    };
    canvas.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      canvas.setPointerCapture(event.pointerId);
      last = place(event);
      this.stroke(last, last);
    });
    canvas.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      if (!last) return;
      const here = place(event);
      this.stroke(last, here);
      last = here;
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { last = null; });
    // By the keyboard: arrows move the pen, with Shift it draws.
    const pen = [140, 60];
    canvas.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const step = { ArrowLeft: [-14, 0], ArrowRight: [14, 0], ArrowUp: [0, -14], ArrowDown: [0, 14] }[event.key];
      if (!step) return;
      event.preventDefault();
      const from = /** @type {[number, number]} */ ([...pen]);
      pen[0] = Math.max(0, Math.min(280, pen[0] + step[0]));
      pen[1] = Math.max(0, Math.min(280, pen[1] + step[1]));
      if (event.shiftKey) this.stroke(from, /** @type {[number, number]} */ ([...pen]));
    });
    at("wipe").addEventListener("click", () => this.wipe());
  }

  /** @param {any} built */
  build(built) {
    this.built = built;
    at("digit-part").hidden = !built.image || built.classes == null;
    this.name();
    this.wipe();
  }

  name() {
    this.canvas.setAttribute("aria-label", t("digit_canvas"));
    at("seen").setAttribute("aria-label", t("digit_seen"));
  }

  /** Say what is shown in the language that was chosen. */
  translate() {
    this.name();
    if (this.read) this.show(...this.read);
  }

  wipe() {
    this.read = null;
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    at("answer").replaceChildren();
    const seen = at("seen");
    seen.getContext("2d").clearRect(0, 0, seen.width, seen.height);
  }

  /** @param {[number, number]} from @param {[number, number]} to */
  stroke(from, to) {
    const { context } = this;
    context.strokeStyle = "#fff";
    context.lineWidth = PEN;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(to[0] + 0.01, to[1]);
    context.stroke();
    this.ask();
  }

  async ask() {
    if (this.busy) {
      this.again = true;
      return;
    }
    const pixels = centred(this.canvas, this.built.image);
    if (!pixels) return;
    this.busy = true;
    try {
      const { answer } = await this.connection.ask("digit", { pixels: [...pixels] });
      this.show(pixels, answer);
    } catch {
      at("answer").replaceChildren();
    }
    this.busy = false;
    if (this.again) {
      this.again = false;
      this.ask();
    }
  }

  /** @param {Uint8ClampedArray} pixels @param {number[]} answer */
  show(pixels, answer) {
    this.read = [pixels, answer];
    const [height, width] = this.built.image;
    const seen = at("seen");
    seen.width = width;
    seen.height = height;
    const context = seen.getContext("2d");
    const image = context.createImageData(width, height);
    pixels.forEach((v, i) => image.data.set([v, v, v, 255], 4 * i));
    context.putImageData(image, 0, 0);
    const names = this.built.class_names ?? answer.map((_, i) => String(i));
    const best = answer.indexOf(Math.max(...answer));
    at("answer").replaceChildren(make("p", {}, t("digit_answer", { name: names[best], share: number(100 * answer[best], 3) })),
      ...answer.map((p, i) => make("div", { className: "bar" }, make("span", {}, names[i]),
        make("meter", { min: 0, max: 1, value: p, "aria-label": names[i] }), make("span", {}, `${(100 * p).toFixed(1)} %`))));
  }
}

/**
 * Return a drawing in the form of MNIST; null where nothing is drawn.
 * @param {HTMLCanvasElement} canvas
 * @param {[number, number]} image height and width
 */
export function centred(canvas, [height, width]) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return null;
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let left = canvas.width, right = -1, top = canvas.height, bottom = -1;
  for (let y = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++) {
      if (data[4 * (y * canvas.width + x)] > 0) {
        left = Math.min(left, x);
        right = Math.max(right, x);
        top = Math.min(top, y);
        bottom = Math.max(bottom, y);
      }
    }
  }
  if (right < 0) return null;
  const size = [right - left + 1, bottom - top + 1];
  const scale = (INNER / 28) * Math.min(width, height) / Math.max(...size);
  const draw = (/** @type {number} */ dx, /** @type {number} */ dy) => {
    const small = new OffscreenCanvas(width, height);
    const inner = /** @type {OffscreenCanvasRenderingContext2D} */ (small.getContext("2d"));
    inner.fillStyle = "#000";
    inner.fillRect(0, 0, width, height);
    inner.imageSmoothingQuality = "high";
    const w = size[0] * scale, h = size[1] * scale;
    inner.drawImage(canvas, left, top, size[0], size[1], (width - w) / 2 + dx, (height - h) / 2 + dy, w, h);
    const read = inner.getImageData(0, 0, width, height).data;
    return Uint8ClampedArray.from({ length: width * height }, (_, i) => read[4 * i]);
  };
  const first = draw(0, 0);
  let sum = 0, across = 0, down = 0;
  first.forEach((v, i) => {
    sum += v;
    across += v * (i % width + 0.5);
    down += v * (Math.floor(i / width) + 0.5);
  });
  return sum ? draw(Math.round(width / 2 - across / sum), Math.round(height / 2 - down / sum)) : first;
}
