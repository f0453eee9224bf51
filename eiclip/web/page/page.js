// The search page: what is chosen becomes a query, its answers are shown, and the address keeps it.

import { combobox } from "./combo.js";
import { $, choose, cross, make } from "./dom.js";
import * as server from "./server.js";
import * as show from "./show.js";
import { asks, fromAddress, nothing, toAddress, toQuery } from "./state.js";

let state = nothing();
let datasets = [];
let about = null;  // what can be asked of the dataset and variant chosen
let photo = null;
let running = null;
let byKey = false;  // whether the last thing was done by the keyboard
const photos = new Map();  // of this visit, by number: the history goes back to them, an address cannot hold them
const titles = (dataset) => new Map((datasets.find((each) => each.name === dataset)?.variants ?? []).map((own) => [own.name, own.title]));

// ---- what is shown of the state

/** Dataset and variants; what an address names and the server has not is left for the server to say. */
async function showChoices() {
  if (!datasets.length) ({ datasets } = await server.catalogues());
  state.dataset ||= datasets[0]?.name ?? "";
  const own = [...titles(state.dataset)];
  state.variant ||= own[0]?.[0] ?? "";
  if (state.second === state.variant) state.second = "";
  choose($("dataset"), datasets.map(({ name }) => [name, name]), state.dataset);
  choose($("variant"), own, state.variant);
  choose($("second"), [["", "nothing"], ...own.filter(([name]) => name !== state.variant)], state.second);
}

function showControls() {
  $("words").value = state.words;
  $("negative").value = state.negative;
  $("weight").value = state.weight;
  for (const radio of document.getElementsByName("view")) radio.checked = radio.value === state.view;
  $("picks").replaceChildren(...state.picks.map(pickItem));
  $("swaps").replaceChildren(...state.swaps.map(swapItem));
  showWeight();
  showSeed();
}

function showWeight() {
  const seen = photo ? "photo" : state.like ? "product" : "";
  const both = seen && (state.words.trim() || state.picks.some((pick) => pick.steer));
  $("weight").disabled = !both;
  $("weight-says").textContent = both
    ? `${state.weight} % ${seen}, ${100 - state.weight} % words`
    : "Once there is a photo and words: which counts more.";
}

/** The photo or product that is searched by. */
function showSeed() {
  const parts = [];
  if (photo) {
    const image = make("img", { src: URL.createObjectURL(photo), alt: "Your photo" });
    image.onload = image.onerror = () => URL.revokeObjectURL(image.src);
    parts.push(make("span", { className: "chip seed-chip" }, image, make("span", {}, photo.name || "pasted photo"),
      cross("Remove the photo", () => { photo = null; changed(); })));
  }
  if (state.like) {
    const image = make("img", { src: server.photoOf(state.dataset, state.like), alt: "", onerror: () => image.remove() });
    parts.push(make("span", { className: "chip seed-chip" }, image, make("span", { id: "like-title" }, `like ${state.like}`),
      cross("Do not search by this product", () => { state.like = ""; changed(); })));
  }
  $("seed").replaceChildren(...parts);
  $("seed").hidden = !parts.length;
}

function pickItem(pick) {
  const steers = about?.entity_groups.includes(pick.group);
  const role = (name, label, enabled) => make("label", {}, make("input", {
    type: "checkbox", checked: pick[name], disabled: !enabled,
    onchange: (event) => { setRole(pick, name, event.target.checked); changed(); },
  }), ` ${label}`);
  return make("li", {}, make("span", { className: "chip" }, make("span", { className: "group" }, pick.group), " ",
    make("strong", {}, pick.value),
    cross(`Remove ${pick.group} ${pick.value}`, () => { state.picks = state.picks.filter((each) => each !== pick); changed(); })),
  make("span", { className: "roles" }, role("steer", "steer", steers), role("filter", "filter", true)));
}

function swapItem(swap) {
  return make("li", {}, make("span", { className: "chip" }, swap.put ? "+ " : "− ",
    make("span", { className: "group" }, swap.group), " ", make("strong", {}, swap.value),
    cross(`Leave ${swap.group} ${swap.value} as it is`, () => { state.swaps = state.swaps.filter((each) => each !== swap); changed(); })));
}

/** A query has one tag of a group of which products have one: another of the same group steers no more. */
function setRole(pick, name, on) {
  if (name === "steer" && on && !about?.several.includes(pick.group)) for (const other of state.picks) if (other.group === pick.group) other.steer = false;
  pick[name] = on;
  state.picks = state.picks.filter((each) => each.steer || each.filter);
}

function addPick(group, value, steer) {
  let pick = state.picks.find((each) => each.group === group && each.value === value);
  if (!pick) state.picks.push((pick = { group, value, steer: false, filter: false }));
  setRole(pick, steer ? "steer" : "filter", true);
}

function addSwap(group, value, put) {
  state.swaps = state.swaps.filter((each) => each.group !== group || each.put !== put);
  state.swaps.push({ group, value, put });
}

// ---- searching

/** The state was changed by hand: it is kept in the history, shown, and searched for. */
function changed({ replace = false } = {}) {
  let number = null;
  if (photo) {
    number = [...photos].find(([, file]) => file === photo)?.[0] ?? `${performance.timeOrigin} ${photos.size}`;
    photos.set(number, photo);
  }
  const address = toAddress(state);
  const before = history.state?.photo ?? null;
  if (replace || (address === location.search && before === number)) history.replaceState({ photo: number }, "", address);
  else history.pushState({ photo: number }, "", address);
  showControls();
  return run();
}

async function run() {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  $("problem").hidden = true;
  try {
    await showChoices();
    await ready(signal);
    if (!asks(state, photo)) showStart();
    else await searchAll(signal);
  } catch (error) {
    if (signal.aborted) return;
    problem(error.message);
  }
  $("found").removeAttribute("aria-busy");
}

/** What can be asked of the variant chosen: the server opens it now, if it is not open yet. */
async function ready(signal) {
  if (about?.dataset === state.dataset && about.variant === state.variant) return;
  const title = titles(state.dataset).get(state.variant) ?? "the model";
  busy(`Opening ${title} of ${state.dataset} … the very first time every product is embedded, which takes minutes.`);
  about = await server.catalogue(state.dataset, state.variant, signal);
  for (const id of ["pick-group", "swap-group"]) {
    const before = about.groups.includes($(id).value) ? $(id).value : about.groups[0];
    choose($(id), about.groups.map((group) => [group, group]), before);
  }
  showControls();
}

async function searchAll(signal) {
  busy("Searching …");
  const variants = [state.variant, state.second].filter(Boolean);
  const query = toQuery(state);
  const start = performance.now();
  const answers = await Promise.all(variants.map((variant) => server.search(state.dataset, variant, query, photo, signal)));
  showAnswers(variants, answers, performance.now() - start);
}

function showAnswers(variants, answers, milliseconds) {
  const places = answers.map((found) => new Map(found.hits.map((hit) => [hit.product_id, hit.rank])));
  const names = titles(state.dataset);
  const asked = [...state.picks, ...state.swaps.filter((swap) => swap.put)].map(({ group, value }) => [group, value]);
  const read = answers.flatMap((found) => show.pairs(found.entities));
  const wanted = new Set([...asked, ...read].map((pair) => pair.join(":")));
  $("found").classList.toggle("two", answers.length > 1);
  $("found").replaceChildren(...answers.map((found, number) => show.answer(found, {
    title: names.get(variants[number]) ?? variants[number], dataset: state.dataset, view: state.view, wanted,
    other: answers.length > 1 ? places[1 - number] : null, like: moreLike,
  })));
  const links = show.links(answers[0], state.picks, {
    remove: (link) => { state.unlink.push(`${link.group}=${link.entity}`); changed(); },
    restore: (link) => { state.unlink = state.unlink.filter((each) => each !== `${link.group}=${link.entity}`); changed(); },
    add: (link) => { addPick(link.group, link.entity, true); changed(); },
  });
  $("read").replaceChildren(...links);
  $("read").hidden = !links.length;
  if (answers[0].like_title && $("like-title")) $("like-title").textContent = `like ${answers[0].like_title}`;
  if (byKey && document.activeElement === document.body) $("words").focus({ preventScroll: true });  // a chip is gone
  $("status").textContent = `The ${answers[0].hits.length} nearest, ${Math.round(milliseconds)} ms in all.`;
}

function moreLike(hit) {
  Object.assign(state, { like: hit.product_id, words: "", unlink: [] });
  state.picks = state.picks.filter((pick) => pick.filter);
  for (const pick of state.picks) pick.steer = false;
  photo = null;
  scrollTo({ top: 0 });
  $("words").focus();
  changed();
}

function showStart() {
  const examples = about.examples.map((text) => make("li", {}, make("button", {
    type: "button", className: "chip offered", onclick: () => { state.words = text; changed(); },
  }, text)));
  const only = state.picks.length || state.swaps.length || state.negative.trim();
  $("read").hidden = true;
  $("status").textContent = "";
  $("found").classList.remove("two");
  $("found").replaceChildren(make("div", { className: "start" },
    make("p", {}, only
      ? "Filters, unwanted words and style transfer change what a search finds: give words, a photo or an entity that steers as well."
      : `Type words, drop or paste a photo, or pick an entity to search among ${about.products.toLocaleString("en")} products.`),
    make("p", { className: "says" }, "For example"), make("ul", { className: "chips" }, examples)));
}

function busy(what) {
  $("found").setAttribute("aria-busy", "true");
  $("status").textContent = what;
}

function problem(what) {
  $("problem").textContent = what;
  $("problem").hidden = false;
  $("status").textContent = "";
  $("read").hidden = true;
  $("found").replaceChildren();
}

// ---- what is done by hand

function usePhoto(file) {
  if (file.size > server.MOST_BYTES) {
    problem(`The photo has ${(file.size / 2 ** 20).toFixed(1)} MB; ${server.MOST_BYTES / 2 ** 20} MB is the most that is taken.`);
    return;
  }
  photo = file;
  state.like = "";
  changed();
}

const photoIn = (list) => [...(list ?? [])].find((file) => file.type.startsWith("image/")) ?? list?.[0] ?? null;

function listen() {
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    if (state.words !== $("words").value) state.unlink = [];  // of words that are no longer there
    Object.assign(state, { words: $("words").value, negative: $("negative").value });
    changed();
  });
  $("negative").addEventListener("change", () => { state.negative = $("negative").value; changed(); });
  $("photo").addEventListener("change", () => {
    const [file] = $("photo").files;
    $("photo").value = "";  // choosing the same photo again is a change, too
    if (file) usePhoto(file);
  });
  $("dataset").addEventListener("change", () => {
    state = { ...nothing(), dataset: $("dataset").value, words: state.words, negative: state.negative };
    changed();
  });
  for (const id of ["variant", "second"]) {
    $(id).addEventListener("change", () => { state[id] = $(id).value; changed(); });
  }
  $("views").addEventListener("change", (event) => { state.view = event.target.value; changed(); });
  $("weight").addEventListener("input", () => { state.weight = Number($("weight").value); showWeight(); });
  $("weight").addEventListener("change", () => changed({ replace: true }));
  $("clear").addEventListener("click", () => {
    const { dataset, variant, second } = state;
    state = { ...nothing(), dataset, variant, second };
    photo = null;
    changed();
  });
  const offer = (group) => (typed, signal) => server.values(state.dataset, state.variant, $(group).value, typed, signal);
  combobox($("pick-value"), offer("pick-group"), ({ value, known }) => {
    const group = $("pick-group").value;
    addPick(group, value, known && about.entity_groups.includes(group));
    changed();
  });
  for (const [id, put] of [["swap-out", false], ["swap-in", true]]) {
    combobox($(id), offer("swap-group"), ({ value }) => { addSwap($("swap-group").value, value, put); changed(); });
  }
  addEventListener("keydown", () => { byKey = true; }, true);
  addEventListener("pointerdown", () => { byKey = false; }, true);
  listenToPhotos();
  addEventListener("popstate", restore);
}

function listenToPhotos() {
  addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
    if (file) { event.preventDefault(); usePhoto(file); }
  });
  addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    $("drop").hidden = false;
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").hidden = true; });
  addEventListener("drop", (event) => {
    $("drop").hidden = true;
    const file = photoIn(event.dataTransfer.files);
    if (file) { event.preventDefault(); usePhoto(file); }
  });
}

/** The state that the address says, with the photo of this visit that goes with it. */
function restore() {
  state = fromAddress(location.search);
  photo = photos.get(history.state?.photo) ?? null;
  showControls();
  return run();
}

$("refine").open = matchMedia("(min-width: 60rem)").matches;
listen();
restore();
