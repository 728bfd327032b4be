// The connection to the server: messages, answers to questions, and coming back.

/** The version of messages that this page speaks. */
export const VERSION = 1;

const TYPES = {
  float32: Float32Array, float64: Float64Array, uint8: Uint8Array, int32: Int32Array,
  uint32: Uint32Array,
};

/**
 * An array of a message.
 * @typedef {{data: any, shape: number[]}} Numbers
 */

/**
 * Read a binary message: a JSON head, and arrays.
 * @param {ArrayBuffer} buffer
 * @returns {object} the head, with `arrays` by name
 */
export function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  /** @type {Record<string, Numbers>} */
  const arrays = {};
  for (const item of head.arrays) {
    const size = item.shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
    const data = new TYPES[item.dtype](buffer, 4 + length + item.at, size);
    arrays[item.name] = { data, shape: item.shape };
  }
  return { ...head, arrays };
}

/** A connection that comes back by itself. */
export class Connection {
  /**
   * @param {(message: object) => void} heard gets each message of the server
   * @param {(state: string) => void} changed gets "open", "lost" or "refused"
   */
  constructor(heard, changed) {
    this.heard = heard;
    this.changed = changed;
    this.waiting = new Map();
    this.number = 0;
    this.delay = 250;
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    let greeted = false;
    socket.addEventListener("message", (event) => {
      greeted = true;
      this.delay = 250;
      this.take(typeof event.data === "string" ? JSON.parse(event.data) : unpacked(event.data));
    });
    socket.addEventListener("open", () => this.changed("open"));
    socket.addEventListener("close", () => {
      for (const { reject } of this.waiting.values()) reject(new Error("lost"));
      this.waiting.clear();
      this.changed(greeted ? "lost" : "refused");
      setTimeout(() => this.open(), this.delay);
      this.delay = Math.min(this.delay * 2, 4000);
    });
  }

  /** @param {any} message */
  take(message) {
    const asked = message.id == null ? null : this.waiting.get(message.id);
    if (!asked) return this.heard(message);
    this.waiting.delete(message.id);
    if (message.type === "refused" || message.type === "unbuilt") asked.reject(message.error);
    else {
      this.heard(message);
      asked.resolve(message);
    }
  }

  /**
   * Send a message that has no answer of its own.
   * @param {string} type
   * @param {object} [content]
   */
  tell(type, content = {}) {
    if (this.socket.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ v: VERSION, type, ...content }));
    }
  }

  /**
   * Ask for something, and wait for the answer.
   * @param {string} type
   * @param {object} [content]
   * @returns {Promise<any>} rejected with the error that the server says
   */
  ask(type, content = {}) {
    const id = ++this.number;
    return new Promise((resolve, reject) => {
      if (this.socket.readyState !== WebSocket.OPEN) return reject(new Error("lost"));
      this.waiting.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ v: VERSION, type, id, ...content }));
    });
  }
}
