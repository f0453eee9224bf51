// What a shopper reads in place of the catalogue's own names.

const LABELS = { subcategory: "kind", composition: "material", sku_attrs: "details" };

export const label = (group) => LABELS[group] ?? group.replaceAll("_", " ");

/** A price with its currency: a code of ISO 4217, a sign, or null, where the number is said to be a price. */
export function money(value, currency) {
  if (value === null) return "";
  try {
    if (/^[A-Z]{3}$/.test(currency ?? "")) return value.toLocaleString("en", { style: "currency", currency });
  } catch { /* no such code: as a sign */ }
  const number = value.toLocaleString("en", { maximumFractionDigits: 2 });
  return `${currency || "Price"} ${number}`;
}

/** What was read in the words, by its name: `price<40`, `price=20-40`, `not colour=red`, `not laces`, `size=38`. */
export function limit(name) {
  const [, sign, rest] = /^price([<>=])([\d.e+-]+)$/.exec(name) ?? [];
  if (sign) return { "<": `under ${rest}`, ">": `over ${rest}`, "=": rest.replace("-", " to ") }[sign];
  const [, not, group, value] = /^(not )?(?:([^=]*)=)?(.*)$/s.exec(name);
  return not ? `not ${value}` : group ? `${label(group)} ${value}` : value;
}

export const range = (low, high) =>
  (low === "" ? `at most ${high}` : high === "" ? `at least ${low}` : `${low} to ${high}`);

export const number = (value) => value.toLocaleString("en");

export const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?)]$/.test(text) ? "" : "."}`;
