// What is asked, as the address holds it: a search can be kept as a bookmark and sent to others. Of a photo it holds
// the number under which this browser keeps it.

export const TOP = 24;  // products of a page

/** Picks are {group, value, steer, filter}; swaps {group, value, put} (put in, or taken out); prices are texts. */
export const nothing = () => ({
  dataset: "", variant: "", second: "", words: "", negative: "", picks: [], swaps: [], unlink: [], weight: 50,
  view: "joint", by: "hybrid", like: "", photo: "", low: "", high: "", stock: false, rerank: false, sort: "match", page: 1, lab: false,
});

/** Takes back what is chosen in the lab's view alone. */
export const leaveLab = (state) => Object.assign(state, { lab: false, variant: "", second: "", view: "joint", by: "hybrid", swaps: [] });

const pair = ({ group, value }) => `${group}:${value}`;

function unpair(text) {
  const colon = text.indexOf(":");
  return colon > 0 ? { group: text.slice(0, colon), value: text.slice(colon + 1) } : null;
}

const PLAIN = { d: "dataset", v: "variant", with: "second", q: "words", not: "negative", like: "like", photo: "photo", low: "low", high: "high" };
const CHOICES = { view: ["joint", "image", "text"], by: ["hybrid", "words", "vectors"], sort: ["match", "price", "-price"] };

export function toAddress(state) {
  const address = new URLSearchParams();
  for (const [key, name] of Object.entries(PLAIN)) if (state[name]) address.append(key, state[name]);
  for (const pick of state.picks) {
    if (pick.steer) address.append("e", pair(pick));
    if (pick.filter) address.append("f", pair(pick));
  }
  for (const swap of state.swaps) address.append(swap.put ? "in" : "out", pair(swap));
  for (const link of state.unlink) address.append("unlink", link);
  if (state.weight !== 50) address.append("w", state.weight);
  for (const [name, [usual]] of Object.entries(CHOICES)) if (state[name] !== usual) address.append(name, state[name]);
  if (state.stock) address.append("stock", 1);
  if (state.rerank) address.append("rerank", 1);
  if (state.page > 1) address.append("page", state.page);
  if (state.lab) address.append("lab", 1);
  return `?${address}`;
}

export function fromAddress(search) {
  const address = new URLSearchParams(search);
  const state = nothing();
  for (const [key, name] of Object.entries(PLAIN)) state[name] = address.get(key) ?? "";
  for (const [key, role] of [["e", "steer"], ["f", "filter"]]) {
    for (const found of address.getAll(key).map(unpair).filter(Boolean)) {
      const known = state.picks.find((pick) => pair(pick) === pair(found));
      if (known) known[role] = true;
      else state.picks.push({ ...found, steer: role === "steer", filter: role === "filter" });
    }
  }
  for (const key of ["out", "in"]) {
    for (const found of address.getAll(key).map(unpair).filter(Boolean)) state.swaps.push({ ...found, put: key === "in" });
  }
  state.unlink = address.getAll("unlink");
  const weight = Number(address.get("w") ?? 50);
  state.weight = weight >= 0 && weight <= 100 ? weight : 50;
  for (const [name, values] of Object.entries(CHOICES)) if (values.includes(address.get(name))) state[name] = address.get(name);
  for (const name of ["low", "high"]) state[name] = priceOf(state[name]);
  state.stock = address.has("stock");
  state.rerank = address.has("rerank");
  state.page = Math.min(10 ** 7, Math.max(1, Math.floor(Number(address.get("page"))) || 1));
  // Addresses from before there was the switch, too.
  state.lab = ["lab", "with", "view", "by", "in", "out"].some((key) => address.has(key));
  return state;
}

/** A price that was typed, as a text; "" where it is none. */
export function priceOf(text) {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) && value >= 0 ? String(value) : "";
}

const chosen = (list) => Object.fromEntries(list.map(({ group, value }) => [group, value]));

function byGroup(picks) {
  const found = {};
  for (const { group, value } of picks) (found[group] ??= []).push(value);
  return found;
}

/** The query as the server reads it. */
export function toQuery(state) {
  return {
    text: state.words, negative: state.negative, unlink: state.unlink, view: state.view, by: state.by,
    product_id: state.like || null,
    entities: byGroup(state.picks.filter((pick) => pick.steer)),
    filters: byGroup(state.picks.filter((pick) => pick.filter)),
    price: [state.low, state.high].map((end) => (end === "" ? null : Number(end))),
    available: state.stock, sort: state.sort, top: TOP, offset: (state.page - 1) * TOP, facets: true,
    remove: chosen(state.swaps.filter((swap) => !swap.put)),
    add: chosen(state.swaps.filter((swap) => swap.put)),
    image_weight: state.weight / 100,
  };
}

/** Whether there is anything to search by. */
export const asks = (state, photo) =>
  Boolean(state.words.trim() || photo || state.like || state.picks.some((pick) => pick.steer));

/** Whether products are left out by more than the query. */
export const filters = (state) => Boolean(state.low || state.high || state.stock || state.picks.some((pick) => pick.filter));
