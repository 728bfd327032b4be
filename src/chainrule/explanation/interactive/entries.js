/* The numbers of a training step and the links between them.
 *
 * Every value of the step is an array; a link holds the derivatives of one value (the
 * child) by another from which it is computed (the parent). From links alone follow:
 *
 *   down(v, k)   what element k of v is computed from: ∂v[k]/∂p[j] of the next values p
 *                that have a symbol
 *   up(v, k)     where it goes: ∂c[j]/∂v[k] of the next values c that have a symbol
 *   path(v, k)   the chain rule from the loss to it, with every product
 *   origins(v, k) what it was computed from, back to what is given
 *
 * An element is named by the id of its value and its place in memory.
 */

/** So many terms of each sum are followed and written out, the largest first. */
export const FOLLOWED = 4;
/** Elements without a symbol that one search may pass. */
const PASSED = 400000;

const ARRAYS = {
  i1: Int8Array, i2: Int16Array, i4: Int32Array, f4: Float32Array, f8: Float64Array,
};

/** The numbers that `packed` of Python has written; any array that can be indexed. */
export function unpacked(pack) {
  if (Array.isArray(pack)) return pack;
  if ("all" in pack) return new Array(pack.size).fill(pack.all);
  const text = atob(pack.base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new ARRAYS[pack.type](bytes.buffer);
}

export const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

/** The index of a place in memory: one number for each axis. */
export function indexOf(shape, place) {
  const index = new Array(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = place % shape[axis];
    place = Math.floor(place / shape[axis]);
  }
  return index;
}

/** The place in memory of an index. */
export const placeOf = (shape, index) =>
  index.reduce((place, i, axis) => place * shape[axis] + i, 0);

/** From a place in one array the place in another, by start and steps along axes. */
function placesOf(pack, shape) {
  if (!("start" in pack)) {
    const list = unpacked(pack);
    return (k) => list[k];
  }
  const { start, steps } = pack;
  return (k) => {
    let place = start;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place += steps[axis] * (k % shape[axis]);
      k = Math.floor(k / shape[axis]);
    }
    return place;
  };
}

/** For each of `size` places all keys that lead there. */
function inverse(keys, size, lead) {
  const starts = new Int32Array(size + 1);
  for (let i = 0; i < keys; i++) if (lead(i) >= 0) starts[lead(i) + 1]++;
  for (let i = 0; i < size; i++) starts[i + 1] += starts[i];
  const filled = starts.slice(0, size), found = new Int32Array(starts[size]);
  for (let i = 0; i < keys; i++) if (lead(i) >= 0) found[filled[lead(i)]++] = i;
  return (place) => found.subarray(starts[place], starts[place + 1]);
}

const once = (make) => {
  let made;
  return () => (made ??= make());
};

/* Each kind of link has two functions: `down(k, tell)` calls tell(j, ∂child[k]/∂parent[j])
 * for each j, and `up(j, tell)` calls tell(k, ∂child[k]/∂parent[j]) for each k. */

function single(link, keys, size) {
  const lead = once(() => placesOf(link.index, keys));
  const derivatives = once(() => unpacked(link.d));
  const many = sizeOf(keys);
  const back = once(() => inverse(many, size, lead()));
  return {
    lead(i, tell) {
      const place = lead()(i);
      if (place >= 0) tell(place, derivatives()[i]);
    },
    back(place, tell) {
      for (const i of back()(place)) tell(i, derivatives()[i]);
    },
  };
}

function listed(link, rows, columns) {
  const [children, parents, d] = [link.children, link.parents, link.d].map(unpacked);
  const byChild = once(() => inverse(children.length, rows, (i) => children[i]));
  const byParent = once(() => inverse(parents.length, columns, (i) => parents[i]));
  return {
    down(k, tell) {
      for (const i of byChild()(k)) tell(parents[i], d[i]);
    },
    up(j, tell) {
      for (const i of byParent()(j)) tell(children[i], d[i]);
    },
  };
}

/** All settings of some letters, each of them from 0 to its size. */
function* settings(letters, sizes, known) {
  if (!letters.length) {
    yield known;
    return;
  }
  const [letter, ...rest] = letters;
  for (let i = 0; i < sizes[letter]; i++) {
    known[letter] = i;
    yield* settings(rest, sizes, known);
  }
}

/** A product as of einsum, or a convolution: derivatives are elements of the other. */
function times(link, parent, child, other) {
  const [ofParent, ofOther, ofChild] = link.letters.map((s) => [...s]);
  const isWindow = (letter) => letter >= "0" && letter <= "9";
  const sizes = {};
  const note = (letters, shape, mark) =>
    letters.forEach((c, i) => (sizes[isWindow(c) ? mark + c : c] = shape[i]));
  // Of a sliding axis c: "i" counts the input, "r" the window, "o" the places.
  const marks = link.first ? ["i", "r"] : ["r", "i"];
  note(ofParent, parent.shape, marks[0]);
  note(ofOther, other.shape, marks[1]);
  note(ofChild, child.shape, "o");
  const marked = (letters, mark) => letters.map((c) => (isWindow(c) ? mark + c : c));
  const P = marked(ofParent, marks[0]), O = marked(ofOther, marks[1]);
  const C = marked(ofChild, "o");
  const windows = ofChild.filter(isWindow).sort();
  const data = once(() => unpacked(other.data));

  /** The third of place, window and input element of each sliding axis; false: none. */
  function solve(at) {
    for (const [n, c] of windows.entries()) {
      const stride = link.strides[n], low = link.padding[n][0];
      const wide = link.lhs_dilation[n], far = link.rhs_dilation[n];
      const [i, r, o] = [at["i" + c], at["r" + c], at["o" + c]];
      let missing, up, by;
      if (i === undefined) [missing, up, by] = ["i" + c, o * stride + r * far - low, wide];
      else if (o === undefined) [missing, up, by] = ["o" + c, i * wide + low - r * far, stride];
      else [missing, up, by] = ["r" + c, i * wide + low - o * stride, far];
      if (up % by || up < 0 || up / by >= sizes[missing]) return false;
      at[missing] = up / by;
    }
    return true;
  }

  const place = (letters, shape, at) =>
    letters.reduce((sum, c, axis) => sum * shape[axis] + at[c], 0);

  function along(k, from, fromShape, to, toShape, tell) {
    const known = {};
    indexOf(fromShape, k).forEach((i, axis) => (known[from[axis]] = i));
    // What is known of a sliding axis, and one more, give the third.
    const free = to.filter((c) => !(c in known) && !(c.length > 1));
    for (const c of windows) {
      const loop = "r" + c in known ? "o" + c : "r" + c;
      if (!(loop in known)) free.push(loop);
    }
    for (const setting of settings(free, sizes, known)) {
      const at = { ...setting };
      if (solve(at)) {
        tell(place(to, toShape, at), data()[place(O, other.shape, at)]);
      }
    }
  }
  return {
    down: (k, tell) => along(k, C, child.shape, P, parent.shape, tell),
    up: (j, tell) => along(j, P, parent.shape, C, child.shape, tell),
  };
}

function linkOf(link, values) {
  const parent = values[link.from], child = values[link.to];
  const made = { from: link.from, to: link.to, left: link.kind === "left" };
  if (link.kind === "each") {
    const way = single(link, child.shape, sizeOf(parent.shape));
    return { ...made, down: way.lead, up: way.back };
  }
  if (link.kind === "into") {
    const way = single(link, parent.shape, sizeOf(child.shape));
    return { ...made, up: way.lead, down: way.back };
  }
  if (link.kind === "listed") {
    return { ...made, ...listed(link, sizeOf(child.shape), sizeOf(parent.shape)) };
  }
  if (link.kind === "times") {
    return { ...made, ...times(link, parent, child, values[link.other]) };
  }
  return made;
}

/** All numbers and links of one step, from the data that Python has written. */
export class Entries {
  constructor(data) {
    this.values = data.values;
    this.loss = data.loss;
    /** Some derivative of the step is NaN or infinite: 0 times it is not 0. */
    this.wild = data.wild === true;
    this.arrays = new Map();
    this.into = data.values.map(() => []);
    this.out = data.values.map(() => []);
    for (const link of data.links.map((each) => linkOf(each, data.values))) {
      this.into[link.to].push(link);
      // Updates and slopes are read off the step; ℒ is not computed from them.
      if (!data.values[link.to].beside) this.out[link.from].push(link);
    }
  }

  /** The numbers of a value, or (`kind` "gradient") of its derivative; null: not here. */
  numbers(v, kind = "value") {
    const key = `${kind} ${v}`;
    if (!this.arrays.has(key)) {
      const pack = this.values[v][kind === "value" ? "data" : "gradient"];
      this.arrays.set(key, pack === undefined ? null : unpacked(pack));
    }
    return this.arrays.get(key);
  }

  number(v, k) {
    const numbers = this.numbers(v);
    return numbers === null ? null : numbers[k];
  }

  /** ∂ℒ/∂v[k] as the step has it, or the sum of its terms; 0 where the loss does not
   * depend on v; null where it is left out of the page. */
  slope(v, k) {
    if (v === this.loss) return 1;
    const numbers = this.numbers(v, "gradient");
    if (numbers !== null) return numbers[k];
    if (!("slope" in this.values[v])) return 0;
    const step = { v, k, ...this.#terms(v, k) };
    this.#add(step);
    return step.gradient;
  }

  /** Whether the numbers of a value are given, and not computed. */
  isGiven(v) {
    return this.values[v].formula === undefined;
  }

  /** The name of an element, such as z⁽¹⁾[0, 3]. */
  name(v, k) {
    const { symbol, shape } = this.values[v];
    return shape.length ? `${symbol}[${indexOf(shape, k).join(", ")}]` : symbol;
  }

  down(v, k) {
    return this.#search(v, k, this.into, "down", "from", -1);
  }

  up(v, k) {
    return this.#search(v, k, this.out, "up", "to", 1);
  }

  /** The nearest elements with a symbol that are joined to one, with derivatives. */
  #search(v, k, links, way, end, sign) {
    const waiting = new Map([[v, new Map([[k, 1]])]]);
    const found = [], keeps = this.wild && way === "up";
    let left = false, passed = 0;
    while (waiting.size) {
      // Along the running order: all that comes to a value is there before it goes on.
      const here = Math.min(...[...waiting.keys()].map((id) => sign * id)) * sign;
      const elements = waiting.get(here);
      waiting.delete(here);
      if (here !== v && (this.values[here].symbol !== undefined || here === this.loss)) {
        for (const [j, d] of elements) {
          if (d !== 0 || keeps) found.push({ v: here, k: j, d });
        }
        continue;
      }
      for (const link of links[here]) {
        if (link.left || passed > PASSED) {
          left = true;
          continue;
        }
        const next = link[end];
        for (const [i, d] of elements) {
          if (d === 0 && !keeps) continue;
          link[way](i, (j, by) => {
            if (!waiting.has(next)) waiting.set(next, new Map());
            const there = waiting.get(next);
            there.set(j, (there.get(j) ?? 0) + d * by);
            passed++;
          });
        }
      }
    }
    return { terms: found, left };
  }

  /** The terms ∂ℒ/∂c · ∂c/∂v[k] of ∂ℒ/∂v[k], the largest first: those that are not 0. */
  #terms(v, k) {
    if (v === this.loss) return { terms: [], left: false };
    const { terms, left } = this.up(v, k);
    for (const term of terms) term.g = this.slope(term.v, term.k);
    if (terms.some((t) => t.g === null)) return { terms: [], left: true };
    const some = terms.filter((t) => t.g * t.d !== 0);
    const size = some.length ? (t) => Math.abs(t.g * t.d) : (t) => Math.abs(t.d);
    const sorted = (some.length ? some : terms).sort((a, b) => size(b) - size(a));
    return { terms: sorted, left };
  }

  /** The chain rule from the loss to an element.
   *
   * Each step is an element with the terms of its derivative; the first is the element
   * itself, and the others are the nearest to it that count most. A derivative is the
   * sum of its terms, from left to right, as it is written. Where links are left out of
   * the page, `left` says so, and the derivative is the one that the step has.
   */
  path(v, k) {
    const waiting = [{ v, k }], steps = [], done = new Set(), count = new Map();
    while (waiting.length) {
      waiting.sort((a, b) => a.v - b.v);
      const here = waiting.shift(), key = `${here.v} ${here.k}`;
      if (done.has(key) || (count.get(here.v) ?? 0) >= FOLLOWED) continue;
      done.add(key);
      count.set(here.v, (count.get(here.v) ?? 0) + 1);
      const step = { ...here, ...this.#terms(here.v, here.k) };
      steps.push(step);
      const many = step.terms.some((t) => t.g * t.d !== 0) ? FOLLOWED : 1;
      waiting.push(...step.terms.slice(0, many).filter((t) => t.v !== this.loss));
    }
    const known = new Map();
    for (const step of [...steps].reverse()) {
      for (const term of step.terms) term.g = known.get(`${term.v} ${term.k}`) ?? term.g;
      this.#add(step);
      if (step.gradient !== null) known.set(`${step.v} ${step.k}`, step.gradient);
    }
    return { steps };
  }

  #add(step) {
    const products = step.terms.map((t) => t.g * t.d);
    step.rest = products.slice(FOLLOWED).reduce((a, b) => a + b, 0);
    step.more = Math.max(products.length - FOLLOWED, 0);
    const shown = products.slice(0, FOLLOWED);
    const total = shown.length ? shown.reduce((a, b) => a + b) : 0;
    step.gradient = step.more ? total + step.rest : total;
    if (step.v === this.loss) step.gradient = 1;
    const numbers = this.numbers(step.v, "gradient");
    // What a factor of 0 shuts off the step may have multiplied, or not: it says so.
    if (this.wild && numbers !== null && step.v !== this.loss) {
      const own = numbers[step.k];
      if (Number.isFinite(own) !== Number.isFinite(step.gradient)) {
        Object.assign(step, { left: true, gradient: own });
      }
    }
    if (step.left) {
      const own = this.numbers(step.v, "gradient");
      step.gradient = own === null ? null : own[step.k];
    }
  }

  /** What an element is computed from, back to what is given, the largest parts first. */
  origins(v, k) {
    const waiting = [{ v, k }], steps = [], done = new Set(), count = new Map();
    const size = (t) => Math.abs(t.d * (this.number(t.v, t.k) ?? 1));
    while (waiting.length) {
      waiting.sort((a, b) => b.v - a.v);
      const here = waiting.shift(), key = `${here.v} ${here.k}`;
      if (done.has(key) || (count.get(here.v) ?? 0) >= FOLLOWED) continue;
      done.add(key);
      count.set(here.v, (count.get(here.v) ?? 0) + 1);
      const { terms, left } = this.down(here.v, here.k);
      terms.sort((a, b) => size(b) - size(a) || a.v - b.v || a.k - b.k);
      steps.push({ ...here, terms, left });
      waiting.push(...terms.slice(0, FOLLOWED));
    }
    return steps;
  }
}
