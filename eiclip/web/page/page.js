// The search page: what is chosen becomes a query, its answers are shown, and the address keeps it.

import { combobox } from "./combo.js";
import { $, choose, cross, make } from "./dom.js";
import { facets } from "./facets.js";
import * as photos from "./photos.js";
import * as server from "./server.js";
import * as show from "./show.js";
import { TOP, asks, filters, fromAddress, leaveLab, nothing, priceOf, toAddress, toQuery } from "./state.js";
import { label, number, range } from "./words.js";

let state = nothing();
let datasets = [];
let records = false;  // whether the server records clicks
let about = null;  // what can be asked of the dataset and variant chosen
let stale = false;  // whether the catalogue has changed since
let photo = null;
let running = null;
let restoring = null;
let byKey = false;  // whether the last thing was done by the keyboard
let held = "";  // the key of the control that had the focus when the search began: it may be made again
const titles = (dataset) => new Map((datasets.find((each) => each.name === dataset)?.variants ?? []).map((own) => [own.name, own.title]));

// ---- what is shown of the state

/** Dataset and variants; what an address names and the server has not is left for the server to say. */
async function showChoices() {
  if (!datasets.length) {
    const known = await server.catalogues();
    ({ datasets, records_clicks: records } = known);
    $("recorded").hidden = !records;
  }
  state.dataset ||= datasets[0]?.name ?? "";
  const own = [...titles(state.dataset)];
  state.variant ||= own[0]?.[0] ?? "";
  if (state.second === state.variant) state.second = "";
  $("dataset").parentElement.hidden = datasets.length === 1 && datasets[0].name === state.dataset;
  choose($("dataset"), datasets.map(({ name }) => [name, name]), state.dataset);
  choose($("variant"), own, state.variant);
  choose($("second"), [["", "nothing"], ...own.filter(([name]) => name !== state.variant)], state.second);
}

/** What is typed: only after something was done by hand, so that nothing is taken from under who types meanwhile. */
function showTyped() {
  for (const name of ["words", "negative", "low", "high"]) $(name).value = state[name];
}

function showControls() {
  for (const name of ["weight", "sort"]) $(name).value = state[name];
  for (const name of ["view", "by"]) for (const radio of document.getElementsByName(name)) radio.checked = radio.value === state[name];
  for (const own of document.querySelectorAll(".lab")) own.hidden = !state.lab;
  $("lab").checked = state.lab;
  $("stock").checked = state.stock;
  $("rerank").checked = state.rerank;
  $("again").hidden = !about?.reranked;
  $("again-says").textContent = `Re-rank the first ${number(about?.reranked ?? 0)}`;
  $("prices").hidden = !about?.has_prices;
  $("stocked").hidden = !about?.groups.includes("availability");
  $("price-says").textContent = about?.currency ? `Price (${about.currency})` : "Price";
  $("picks").replaceChildren(...state.picks.map(pickItem));
  $("swaps").replaceChildren(...state.swaps.map(swapItem));
  showWeight();
  showSeed();
}

function showWeight() {
  const seen = photo ? "photo" : state.like ? "product" : "";
  const both = seen && (state.words.trim() || state.picks.some((pick) => pick.steer));
  $("mix").hidden = !both;
  $("weight-says").textContent = `${state.weight} % ${seen}, ${100 - state.weight} % words`;
}

/** The photo or product that is searched by. */
function showSeed(said = "") {
  const parts = [];
  if (photo) {
    const image = make("img", { src: URL.createObjectURL(photo), alt: "Your photo" });
    image.onload = image.onerror = () => URL.revokeObjectURL(image.src);
    const part = make("button", { type: "button", className: "quiet", onclick: () => crop(photo) }, "Part of it …");
    part.dataset.key = "part";
    const forget = make("button", { type: "button", className: "quiet", onclick: forgetPhotos }, "Forget my photos");
    forget.title = "Photos searched by are kept in this browser, for a reload and the history: the last dozen. They are not kept on the server.";
    parts.push(make("span", { className: "chip seed-chip" }, image, make("span", {}, photo.name || "pasted photo"),
      cross("Remove the photo", () => { photo = null; state.photo = ""; changed(); })), part, forget);
  }
  if (state.like) {
    const image = make("img", { src: server.photoOf(state.dataset, state.like), alt: "", onerror: () => image.remove() });
    parts.push(make("span", { className: "chip seed-chip" }, image, make("span", { id: "like-title" }, `like ${state.like}`),
      cross("Do not search by this product", () => { state.like = ""; changed(); })));
  }
  if (said) parts.push(make("span", { className: "note" }, said));
  $("seed").replaceChildren(...parts);
  $("seed").hidden = !parts.length;
}

function pickItem(pick) {
  const steers = about?.entity_groups.includes(pick.group);
  const role = (name, enabled) => {
    const tick = make("input", { type: "checkbox", checked: pick[name], disabled: !enabled,
      onchange: (event) => { setRole(pick, name, event.target.checked); changed(); } });
    tick.dataset.key = `${name} ${pick.group}:${pick.value}`;
    return make("label", {}, tick, ` ${name}`);
  };
  return make("li", {}, make("span", { className: "chip" }, make("span", { className: "group" }, label(pick.group)), " ",
    make("strong", {}, pick.value),
    cross(`Remove ${label(pick.group)} ${pick.value}`, () => { state.picks = state.picks.filter((each) => each !== pick); changed(); })),
  make("span", { className: "roles" }, role("steer", steers), role("filter", true)));
}

function swapItem(swap) {
  return make("li", {}, make("span", { className: "chip" }, swap.put ? "+ " : "− ",
    make("span", { className: "group" }, label(swap.group)), " ", make("strong", {}, swap.value),
    cross(`Leave ${label(swap.group)} ${swap.value} as it is`, () => { state.swaps = state.swaps.filter((each) => each !== swap); changed(); })));
}

function setRole(pick, name, on) {
  pick[name] = on;
  state.picks = state.picks.filter((each) => each.steer || each.filter);
}

function addPick(group, value, role) {
  let pick = state.picks.find((each) => each.group === group && each.value === value);
  if (!pick) state.picks.push((pick = { group, value, steer: false, filter: false }));
  setRole(pick, role, true);
}

function addSwap(group, value, put) {
  state.swaps = state.swaps.filter((each) => each.group !== group || each.put !== put);
  state.swaps.push({ group, value, put });
}

const isFilter = (group, value) => state.picks.some((pick) => pick.filter && pick.group === group && pick.value === value);

function toggleFilter(group, value) {
  if (isFilter(group, value)) setRole(state.picks.find((pick) => pick.group === group && pick.value === value), "filter", false);
  else addPick(group, value, "filter");
  changed();
}

function clearFilters() {
  Object.assign(state, { low: "", high: "", stock: false });
  for (const pick of [...state.picks]) setRole(pick, "filter", false);
  changed();
}

/** What leaves products out, as chips. */
function filterChips() {
  const chips = state.picks.filter((pick) => pick.filter).map(({ group, value }) =>
    show.chip(group, value, () => toggleFilter(group, value), `Do not filter by ${label(group)} ${value}`));
  if (state.low || state.high) chips.push(show.chip("price", range(state.low, state.high), () => { state.low = state.high = ""; changed(); }, "Do not filter by price"));
  if (state.stock) chips.push(show.chip("", "in stock", () => { state.stock = false; changed(); }, "Do not filter by stock"));
  if (chips.length > 1) chips.push(make("li", {}, make("button", { type: "button", className: "quiet", onclick: clearFilters }, "Clear filters")));
  return chips;
}

// ---- searching

/** The state was changed by hand: it is kept in the history, shown, and searched for, from the first page on. */
function changed({ replace = false, page = 1 } = {}) {
  state.page = page;
  held = document.activeElement?.dataset?.key ?? "";
  const address = toAddress(state);
  if (replace || address === location.search) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  showTyped();
  showControls();
  return run();
}

/** Gives the focus back to the control that had it, where that was made again. */
function refocus() {
  if (held && document.activeElement === document.body) {
    [...document.querySelectorAll("[data-key]")].find((own) => own.dataset.key === held)?.focus({ preventScroll: true });
  }
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
  refocus();
  if (byKey && document.activeElement === document.body) $("words").focus({ preventScroll: true });  // a chip is gone
}

/** What can be asked of the variant chosen: the server opens it now, if it is not open yet. */
async function ready(signal) {
  if (!stale && about?.dataset === state.dataset && about.variant === state.variant) return;
  busy("Opening the catalogue … The very first time this takes minutes.");
  about = await server.catalogue(state.dataset, state.variant || "any", signal);
  stale = false;
  for (const id of ["pick-group", "swap-group"]) {
    const before = about.groups.includes($(id).value) ? $(id).value : about.groups[0];
    choose($(id), about.groups.map((group) => [group, label(group)]), before);
  }
  showControls();
}

async function searchAll(signal) {
  busy("Searching …");
  const variants = [state.variant, state.second].filter(Boolean);
  const query = toQuery(state);
  const start = performance.now();
  const answers = await Promise.all(variants.map((variant) => server.search(state.dataset, variant,
    { ...query, rerank: state.rerank && Boolean(about.reranked) && variant === about.variant }, photo, signal)));
  showAnswers(variants, answers, performance.now() - start);
}

function showAnswers(variants, answers, milliseconds) {
  const places = answers.map((found) => new Map(found.hits.map((hit) => [hit.product_id, hit.rank])));
  const names = titles(state.dataset);
  const asked = [...state.picks, ...state.swaps.filter((swap) => swap.put)].map(({ group, value }) => [group, value]);
  const read = answers.flatMap((found) => show.pairs(found.entities));
  const wanted = new Set([...asked, ...read].map((pair) => pair.join(":")));
  const [first] = answers;
  $("found").classList.toggle("two", answers.length > 1);
  $("found").replaceChildren(...answers.map((found, place) => show.answer(found, {
    title: names.get(variants[place]) ?? variants[place], dataset: state.dataset, view: state.view, lab: state.lab, wanted,
    other: answers.length > 1 ? places[1 - place] : null, like: moreLike, filtered: isFilter, toggle: toggleFilter,
    record: records ? recorder(variants[place]) : null,
  })));
  const rows = show.reading(first, state, {
    unlink: (name) => { state.unlink.push(name); changed(); },
    relink: (name) => { state.unlink = state.unlink.filter((each) => each !== name); changed(); },
    prefer: (link) => { addPick(link.group, link.entity, "steer"); changed(); },
    unprefer: (pick) => { setRole(pick, "steer", false); changed(); },
    filters: filterChips(),
  });
  showRows(rows);
  $("facets").replaceChildren(...facets(first.facets, about.groups, state.picks, toggleFilter));
  showPages(first);
  if (first.like_title && $("like-title")) $("like-title").textContent = `like ${first.like_title}`;
  $("sorting").hidden = !about.has_prices || !first.hits.length;
  const shown = first.hits.length ? `${number(first.hits[0].rank)} to ${number(first.hits.at(-1).rank)} of ${number(first.total)} products` : "No products";
  $("status").textContent = state.lab ? `${shown}, ${Math.round(milliseconds)} ms in all.` : `${shown}.`;
  stale = first.products !== about.products;  // what can be asked is asked again
}

function showRows(rows) {
  $("read").replaceChildren(...rows);
  $("read").hidden = !rows.length;
}

function showPages(found) {
  const last = Math.ceil(found.total / TOP);
  const step = (says, key, page) => {
    const button = make("button", { type: "button", className: "button", disabled: page < 1 || page > Math.max(last, state.page - 1),
      onclick: () => {
        changed({ page });
        $("status").focus({ preventScroll: true });
        scrollTo({ top: 0 });
      } }, says);
    button.dataset.key = key;
    return button;
  };
  $("pages").hidden = last < 2 && state.page === 1;
  $("pages").replaceChildren(step("Previous", "previous", Math.min(state.page - 1, last)),
    make("span", {}, `Page ${number(state.page)} of ${number(last)}`), step("Next", "next", state.page + 1));
}

function moreLike(hit) {
  Object.assign(state, { like: hit.product_id, words: "", unlink: [], photo: "", sort: "match" });
  for (const pick of [...state.picks]) setRole(pick, "steer", false);
  photo = null;
  scrollTo({ top: 0 });
  $("words").focus();
  changed();
}

/** Records what is done with a product; gives whether it was. */
function recorder(variant) {
  const { dataset, words } = state;
  return async (action, hit) => {
    try {
      if (!sessionStorage.session) sessionStorage.session = photos.random();
      await server.click(dataset, variant, { session: sessionStorage.session, product_id: hit.product_id, action, query: words, rank: hit.rank });
      return true;
    } catch (error) {
      if (action === "up" || action === "down") problem(error.message);  // else it is no business of who clicks
      return false;
    }
  };
}

function showStart() {
  const examples = about.examples.map((text) => make("li", {}, make("button", {
    type: "button", className: "chip offered", onclick: () => { state.words = text; changed(); },
  }, text)));
  const only = filters(state) || state.swaps.length || state.negative.trim();
  showRows([...show.reading({ links: [], constraints: [], not_understood: [] }, { picks: [], unlink: [] }, { filters: filterChips() })]);
  $("status").textContent = "";
  $("pages").hidden = $("sorting").hidden = true;
  $("facets").replaceChildren();
  $("found").classList.remove("two");
  $("found").replaceChildren(make("div", { className: "start" },
    make("p", {}, only
      ? "Filters and unwanted words change what a search finds: give words or a photo as well."
      : `Type words, or drop or paste a photo, to search among ${number(about.products)} products.`),
    make("p", { className: "says" }, "For example"), make("ul", { className: "chips" }, examples)));
}

function busy(what) {
  $("status").textContent = what;
  $("found").setAttribute("aria-busy", "true");
}

function problem(sentence) {
  $("status").textContent = "";
  $("problem").textContent = sentence;
  $("problem").hidden = false;
  $("pages").hidden = $("sorting").hidden = true;
  showRows([]);
  $("found").replaceChildren();
}

// ---- what is done by hand

async function usePhoto(file) {
  if (file.size > server.MOST_BYTES) {
    problem(`The photo has ${(file.size / 2 ** 20).toFixed(1)} MB; ${server.MOST_BYTES / 2 ** 20} MB is the most that is taken.`);
    return;
  }
  const kept = await photos.keep(file);
  photo = file;
  Object.assign(state, { photo: kept.id, like: "" });
  changed();
  if (!kept.stays) showSeed("This browser does not keep the photo: after a reload, choose it again.");
}

async function forgetPhotos() {
  try {
    await photos.forget();
  } catch (error) {
    problem(`The photos cannot be removed (${error.message}). Clear this site’s data in the browser’s settings.`);
    return;
  }
  photo = null;
  state.photo = "";
  await changed({ replace: true });
  showSeed("This browser keeps no photos of yours any more.");
}

const photoIn = (list) => [...(list ?? [])].find((file) => file.type.startsWith("image/")) ?? list?.[0] ?? null;
const crop = photos.cropper(usePhoto);

function search(words) {
  if (state.words !== words) state.unlink = [];  // of words that are no longer there
  Object.assign(state, { words, negative: $("negative").value, low: priceOf($("low").value), high: priceOf($("high").value) });
  changed();
}

function listen() {
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    search($("words").value);
  });
  for (const id of ["low", "high"]) $(id).addEventListener("change", () => { state[id] = priceOf($(id).value); changed(); });
  for (const id of ["negative", "sort", "variant", "second"]) $(id).addEventListener("change", () => { state[id] = $(id).value; changed(); });
  $("stock").addEventListener("change", () => { state.stock = $("stock").checked; changed(); });
  $("rerank").addEventListener("change", () => { state.rerank = $("rerank").checked; changed(); });
  $("lab").addEventListener("change", () => {
    if ($("lab").checked) state.lab = true;
    else leaveLab(state);
    changed();
  });
  $("photo").addEventListener("change", () => {
    const [file] = $("photo").files;
    $("photo").value = "";  // choosing the same photo again is a change, too
    if (file) usePhoto(file);
  });
  $("dataset").addEventListener("change", () => {
    const { words, negative, lab } = state;
    state = { ...nothing(), dataset: $("dataset").value, words, negative, lab, photo: state.photo };
    changed();
  });
  $("views").addEventListener("change", (event) => { state.view = event.target.value; changed(); });
  $("rankings").addEventListener("change", (event) => { state.by = event.target.value; changed(); });
  $("weight").addEventListener("input", () => { state.weight = Number($("weight").value); showWeight(); });
  $("weight").addEventListener("change", () => changed({ replace: true }));
  $("clear").addEventListener("click", () => {
    const { dataset, variant, second, lab } = state;
    state = { ...nothing(), dataset, variant, second, lab };
    photo = null;
    changed();
  });
  combobox($("words"), async (typed, signal) => {
    if (!state.variant) return [];
    const found = await server.suggestions(state.dataset, state.variant, typed, signal);
    return found.map(({ text, group, products }) => ({ text, note: group ? `${label(group)}, ${number(products)}` : "product" }));
  }, ({ text }) => search(text), { free: true, called: "Suggestions" });
  const offer = (group) => async (typed, signal) => {
    const found = await server.values(state.dataset, state.variant, $(group).value, typed, signal);
    return found.map((own) => ({ ...own, text: own.value, note: number(own.products) }));
  };
  combobox($("pick-value"), offer("pick-group"), ({ value, known }) => {
    const group = $("pick-group").value;
    addPick(group, value, known && about.entity_groups.includes(group) ? "steer" : "filter");
    changed();
  });
  for (const [id, put] of [["swap-out", false], ["swap-in", true]]) {
    combobox($(id), offer("swap-group"), ({ value }) => { addSwap($("swap-group").value, value, put); changed(); });
  }
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });  // beside it
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

/** The state that the address says, with the photo that goes with it, where this browser has it. */
async function restore() {
  const own = (restoring = {});
  const next = fromAddress(location.search);
  const found = next.photo ? await photos.find(next.photo) : null;
  if (restoring !== own) return;
  [state, photo] = [next, found];
  const lost = state.photo && !photo;
  if (lost) state.photo = "";
  showTyped();
  showControls();
  await run();
  if (lost) showSeed("The photo of this search is not in this browser, or no longer. Choose it again.");
}

$("refine").open = matchMedia("(min-width: 60rem)").matches;
listen();
restore();
