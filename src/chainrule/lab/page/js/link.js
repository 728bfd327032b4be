// The network in the address: a link that another lab opens.

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

/**
 * Put a network into the address.
 * @param {object} run sections of a run file
 */
export function writeLink(run) {
  const bytes = new TextEncoder().encode(JSON.stringify(run));
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  const text = btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  history.replaceState(null, "", `#run=${text}`);
}
