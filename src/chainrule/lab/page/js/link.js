// The view in the address: a network or an exploration, as a link that another lab opens.

/** The address of the network that was built last. */
let network = "#";
/** Parts of the page that it hides. @type {string[]} */
let hidden = [];

/**
 * Return the exploration that the address names, or null; and what of it is no number.
 * @returns {{name: string, seed: number, quick: boolean, values: Record<string, number>, unread: string[]} | null}
 */
export function readExploration() {
  if (!/^#explore(=|&|$)/.test(location.hash)) return null;
  const said = new URLSearchParams(location.hash.slice(1));
  /** @type {Record<string, number>} */
  const values = {};
  /** @type {string[]} */
  const unread = [];
  let seed = 0;
  for (const [name, text] of said) {
    if (["explore", "full", "hide"].includes(name)) continue;
    const value = text.trim() ? Number(text) : NaN;
    const fits = name === "seed" ? Number.isSafeInteger(value) && value >= 0 : Number.isFinite(value);
    if (!fits) unread.push(`${name}=${text}`);
    else if (name === "seed") seed = value;
    else values[name] = value;
  }
  return { name: said.get("explore") ?? "", seed, quick: !said.has("full"), values, unread };
}

/**
 * Return the address of an exploration.
 * @param {string} name
 * @param {{seed?: number, quick?: boolean, values?: Record<string, number>}} [set]
 */
export function explorationLink(name, { seed = 0, quick = true, values = {} } = {}) {
  const said = new URLSearchParams({ explore: name });
  if (seed) said.set("seed", String(seed));
  if (!quick) said.set("full", "1");
  for (const [key, value] of Object.entries(values)) said.set(key, String(value));
  if (hidden.length) said.set("hide", hidden.join());
  return `#${said}`.replaceAll("%2C", ",");
}

/** @returns {string[] | null} the parts that the address hides, as it names them; null: it says nothing */
export function hiddenByLink() {
  const said = new URLSearchParams(location.hash.slice(1)).get("hide");
  return said === null ? null : said.split(",").map((name) => name.trim()).filter(Boolean);
}

/**
 * Return the address with other parts that it hides.
 * @param {string[]} names
 */
export function addressWith(names) {
  const address = new URL(location.href);
  const kept = address.hash.slice(1).split("&").filter((part) => part && !part.startsWith("hide="));
  if (names.length) kept.push(`hide=${names.join()}`);
  address.hash = kept.join("&");
  return address.href;
}

/** Note what is hidden, and put it into the address. @param {string[]} names */
export function setHidden(names) {
  hidden = names;
  if (hiddenByLink() || names.length) history.replaceState(null, "", addressWith(names));
}

/** @returns {string} the address of the network that was built last */
export const networkLink = () => hidden.length ? `${network === "#" ? "#" : `${network}&`}hide=${hidden.join()}` : network;

/**
 * Return the network that the address names, or null.
 * @returns {any}
 */
export function readLink() {
  const match = /#run=([\w-]+)/.exec(location.hash);
  if (!match) return null;
  try {
    const bytes = Uint8Array.from(atob(match[1].replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    const run = JSON.parse(new TextDecoder().decode(bytes));
    return run && typeof run === "object" && run.data && Array.isArray(run.model?.layers) ? run : null;
  } catch {
    return null;
  }
}

/** @returns {boolean} whether the address names a network that cannot be read, as of a link that was cut */
export const brokenLink = () => /^#run=/.test(location.hash) && !readLink();

/**
 * Put a network into the address.
 * @param {object} run sections of a run file
 */
export function writeLink(run) {
  const bytes = new TextEncoder().encode(JSON.stringify(run));
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  const text = btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  network = `#run=${text}`;
  if (!readExploration()) history.replaceState(null, "", networkLink());
}
