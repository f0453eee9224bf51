// Answers as elements: how the query was read, what was found, and in the lab's view why.

import { $, cross, make } from "./dom.js";
import { photoOf } from "./server.js";
import { label, limit, money, number, sentence } from "./words.js";

const VIEWS = { joint: "both", image: "photo", text: "text" };

// ---- how the query was read

const keyed = (element, key) => { element.dataset.key = key; return element; };

/** A chip that can be taken away. */
export const chip = (group, value, remove, said, more = {}) => make("li", { className: "chip kept", ...more.properties },
  group && make("span", { className: "group" }, label(group)), group && " ", make("strong", {}, value), more.typed ?? null, cross(said, remove));

function row(says, chips) {
  return chips.length ? make("div", {}, make("span", { className: "says" }, says), make("ul", { className: "chips" }, chips)) : null;
}

/** What counts (to be removed), what does not (to be added), and what nobody understood. */
export function reading(answer, state, { unlink, relink, prefer, unprefer, filters }) {
  const steered = state.picks.filter((pick) => pick.steer);
  const mine = answer.links.filter((link, place) => !steered.some((pick) => same(pick, link))
    && answer.links.findIndex((other) => same(other, link) && other.kept === link.kept) === place);
  const kept = mine.filter((link) => link.kept).map((link) => chip(link.group, link.entity, () => unlink(nameOf(link)),
    `Do not read “${link.words}” as ${label(link.group)} ${link.entity}`, {
      properties: { title: state.lab ? link.why : "" },
      typed: link.score < 1 ? make("span", { className: "typed" }, `for “${link.words}”`) : null,
    }));
  const limits = answer.constraints.map(({ name }) =>
    chip("", limit(name), () => unlink(name), `Do not read “${limit(name)}” as a limit`));
  const preferred = steered.map((pick) => chip(pick.group, pick.value, () => unprefer(pick), `Do not ask for ${label(pick.group)} ${pick.value}`));
  const offered = mine.filter((link) => !link.kept && link.why !== "given already").map((link) =>
    offer(label(link.group), link.entity, inShort(link.why), state.lab ? link.why : "",
      () => (link.why === "removed by you" ? relink(nameOf(link)) : prefer(link))));
  const unlinked = state.unlink.filter((name) => !answer.links.some((link) => nameOf(link) === name))
    .map((name) => offer("", limit(name), "removed by you", "", () => relink(name)));
  const lost = answer.not_understood.map((word) => make("li", { className: "chip lost" }, word));
  return [row("Read as", [...kept, ...limits, ...preferred]), row("Not read as", [...offered, ...unlinked]),
    row("Not understood", lost), row("Only", filters)].filter(Boolean);
}

const nameOf = (link) => `${link.group}=${link.entity}`;
const same = (one, other) => one.group === other.group && (one.value ?? one.entity) === (other.value ?? other.entity);
const inShort = (why) => why.split(/[:(]/, 1)[0].trim();
const offer = (group, value, short, title, onclick) => make("li", {}, make("button", { type: "button", className: "chip offered", title, onclick },
  "+ ", make("span", { className: "group" }, group), group && " ", value, make("small", { className: "group" }, short)));

/** Entities by group, several of each, as [group, entity] pairs. */
export const pairs = (entities) => Object.entries(entities).flatMap(([group, values]) => values.map((value) => [group, value]));

// ---- what was found

/** One model's answer: notes, then the products that match, then those that are merely near. */
export function answer(found, context) {
  const heading = make("header", { className: "heading" }, make("h2", { className: context.lab ? "" : "unseen" }, context.lab ? context.title : "Products"),
    context.lab ? make("span", { className: "note" }, `${number(found.products)} products, ${milliseconds(found.seconds)}`) : null);
  const notes = [...found.notes, ...unknown(found)];
  return make("section", { className: "answer" }, heading, context.lab ? gates(found) : null,
    notes.length ? make("ul", { className: "notes" }, notes.map((note) => make("li", {}, sentence(note)))) : null,
    found.hits.length ? parts(found, context) : make("p", { className: "empty" },
      found.total ? "There are no products on this page. Go back to an earlier one."
        : "No product is left. Take away (×) one of the limits above."));
}

/** The products found, by what they are: matches first, under a heading of their own where they are known. */
function parts(found, context) {
  const matching = found.matches === null ? found.hits : found.hits.filter((hit) => hit.rank <= found.matches);
  const others = found.hits.slice(matching.length);
  const list = (hits) => make("ol", { className: "hits", start: hits[0].rank }, hits.map((hit) => product(hit, context)));
  const lost = found.not_understood.map((word) => `“${word}”`).join(", ");
  const nearest = found.matches ? "Nearest by look"
    : `${lost ? `No products match ${lost}` : "No product surely matches"}; these are the nearest by look`;
  return [
    matching.length && found.matches !== null ? make("h3", { className: "part" }, `${number(found.matches)} ${found.matches === 1 ? "product matches" : "products match"}`) : null,
    matching.length ? list(matching) : null,
    others.length ? make("h3", { className: "part" }, nearest) : null,
    others.length ? list(others) : null,
  ].filter(Boolean);
}

const milliseconds = (seconds) => `${Math.max(1, Math.round(seconds * 1000))} ms`;

const unknown = (found) => Object.entries(found.unknown).filter(([, values]) => values.length).map(
  ([group, values]) => `${label(group)} ${values.map((value) => `“${value}”`).join(", ")}: not known here`);

function gates(found) {
  const entries = Object.entries(found.gates);
  if (!entries.length) return null;
  const rows = entries.map(([group, weight]) =>
    make("li", {}, meter(`${label(group)} ${(found.entities[group] ?? []).join(", ")}`, weight, "gate")));
  return make("div", { className: "gates" }, make("p", { className: "says" }, "What each entity weighs (its gate)"),
    make("ul", { className: "meters" }, rows));
}

/** A labelled bar from 0 to 1, with its number. */
function meter(name, value, kind) {
  const fill = make("span", { className: "fill" });
  fill.style.width = `${Math.min(1, Math.max(0, value)) * 100}%`;
  const bar = make("span", { className: "track" }, fill);
  bar.setAttribute("aria-hidden", "true");
  return make("span", { className: `meter ${kind}` }, make("span", { className: "name" }, name), bar,
    make("span", { className: "number" }, value.toFixed(2)));
}

export const nameOfProduct = (hit) => hit.title || hit.description || hit.product_id;

function product(hit, context) {
  const shown = nameOfProduct(hit), key = (name) => `${name} ${hit.product_id}`;
  const more = keyed(make("button", { type: "button", className: "quiet more", onclick: () => { context.record?.("like", hit); context.like(hit); } }, "More like this"), key("like"));
  more.setAttribute("aria-label", `More like ${shown}`);
  return make("li", { className: "hit" }, make("article", {},
    picture(hit, shown, context),
    make("div", { className: "what" },
      make("h4", {}, context.lab ? make("span", { className: "rank" }, `${hit.rank}. `) : null, toShop(hit, shown, context)),
      facts(hit, context.lab ? make("span", { className: "score", title: "what ranks: a probability, a cosine or BM25" }, hit.score.toFixed(3)) : null),
      context.other ? elsewhere(context.other.get(hit.product_id)) : null,
      hit.description && hit.description !== shown ? make("p", { className: "description" }, hit.description) : null,
      tags(hit, context), make("div", { className: "last" }, context.lab ? bars(hit, context.view) : null, more,
        context.record ? thumbs(hit, shown, context.record) : null))));
}

/** A product's name, which leads to its page in the shop. */
function toShop(hit, shown, context) {
  if (!/^https?:\/\//i.test(hit.link ?? "")) return shown;
  return keyed(make("a", { href: hit.link, target: "_blank", rel: "noopener noreferrer", onclick: () => context.record?.("open", hit) }, shown),
    `shop ${hit.product_id}`);
}

function facts(hit, more = null) {
  const stock = hit.available === null ? null : make("span", { className: hit.available ? "stock" : "stock none" }, hit.available ? "in stock" : "out of stock");
  return make("p", { className: "facts" }, make("span", { className: "price" }, money(hit.price, hit.currency)), stock, more);
}

const elsewhere = (place) => make("span", { className: place ? "place both" : "place" }, place ? `also ${place}. of the other` : "here alone");

const bars = (hit, asked) => make("ul", { className: "meters" }, Object.keys(VIEWS).map((view) =>
  make("li", {}, meter(VIEWS[view], hit.by_view[view], view === asked ? "view asked" : "view"))));

const missing = () => make("span", { className: "no-photo" }, "no photo");

/** A product's photo, which opens large, or what says that there is none. */
function picture(hit, shown, context) {
  const frame = make("div", { className: "photo" });
  if (!hit.image_id) {
    frame.append(missing());
    return frame;
  }
  const image = make("img", { src: photoOf(context.dataset, hit.product_id), alt: "", loading: "lazy" });
  const open = keyed(make("button", { type: "button", className: "open", onclick: () => large(hit, shown, context) }, image), `photo ${hit.product_id}`);
  open.setAttribute("aria-label", `Photo of ${shown}, larger`);
  image.onerror = () => frame.replaceChildren(missing());
  frame.append(open);
  return frame;
}

/** Shows a photo as large as the home has it. */
function large(hit, shown, context) {
  const image = make("img", { src: photoOf(context.dataset, hit.product_id), alt: shown });
  image.onerror = () => image.replaceWith(missing());
  $("large-shown").replaceChildren(image);
  $("large-title").replaceChildren(toShop(hit, shown, context));
  $("large-facts").replaceChildren(facts(hit));
  $("large").showModal();
  context.record?.("photo", hit);
}

/** A product's entities, each of which filters; those that the query asked for first, ticked. */
function tags(hit, context) {
  const all = pairs(hit.entities).map(([group, value]) => ({ group, value, right: context.wanted.has(`${group}:${value}`) }));
  all.sort((one, other) => other.right - one.right);
  return make("ul", { className: "tags" }, all.map(({ group, value, right }) => {
    const on = context.filtered(group, value);
    const tag = make("button", { type: "button", className: right ? "tag right" : "tag", title: `only ${label(group)} ${value}`,
      onclick: () => context.toggle(group, value) }, right ? "✓ " : "", value,
    right ? make("span", { className: "unseen" }, ` (${label(group)}, as asked)`) : null);
    tag.setAttribute("aria-pressed", String(on));
    return make("li", {}, keyed(tag, `tag ${hit.product_id} ${group}:${value}`));
  }));
}

/** Says whether a product fits, for the log. */
function thumbs(hit, shown, record) {
  const thumb = (action, says) => {
    const button = make("button", { type: "button", className: "quiet", onclick: async () => {
      if (!await record(action, hit)) return;
      for (const other of whole.children) other.setAttribute("aria-pressed", String(other === button));
    } }, says);
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-label", `${says}: ${shown}`);
    return button;
  };
  const whole = make("div", { className: "thumbs" }, thumb("up", "Fits"), thumb("down", "Does not fit"));
  return whole;
}
