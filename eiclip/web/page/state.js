// What is asked, as the address holds it: a search without a photo can be kept as a bookmark and sent to others.

/** Picks are {group, value, steer, filter}; swaps {group, value, put} (put in, or taken out). */
export const nothing = () => ({
  dataset: "", variant: "", second: "", words: "", negative: "", picks: [], swaps: [], unlink: [],
  weight: 50, view: "joint", like: "",
});

const pair = ({ group, value }) => `${group}:${value}`;

function unpair(text) {
  const colon = text.indexOf(":");
  return colon > 0 ? { group: text.slice(0, colon), value: text.slice(colon + 1) } : null;
}

const PLAIN = { d: "dataset", v: "variant", with: "second", q: "words", not: "negative", like: "like" };
const VIEWS = ["joint", "image", "text"];

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
  if (state.view !== "joint") address.append("view", state.view);
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
  state.view = VIEWS.includes(address.get("view")) ? address.get("view") : "joint";
  return state;
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
    text: state.words, negative: state.negative, unlink: state.unlink, view: state.view,
    product_id: state.like || null,
    entities: byGroup(state.picks.filter((pick) => pick.steer)),
    filters: byGroup(state.picks.filter((pick) => pick.filter)),
    remove: chosen(state.swaps.filter((swap) => !swap.put)),
    add: chosen(state.swaps.filter((swap) => swap.put)),
    image_weight: state.weight / 100,
  };
}

/** Whether there is anything to search by. */
export const asks = (state, photo) =>
  Boolean(state.words.trim() || photo || state.like || state.picks.some((pick) => pick.steer));
