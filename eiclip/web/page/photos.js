// Photos that were searched by: kept in this browser, so that a reload, the history and a bookmark find them; and a
// part of one, cut out.

import { $ } from "./dom.js";

const NAME = "photos", MOST = 12;  // the oldest go
const here = new Map();  // of this visit: where the browser keeps nothing, the history still finds them

function store(mode) {
  return new Promise((give, refuse) => {
    const opening = indexedDB.open("product-search", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(NAME, { keyPath: "id" });
    opening.onerror = () => refuse(opening.error);
    opening.onsuccess = () => {
      const whole = opening.result.transaction(NAME, mode);
      whole.oncomplete = whole.onabort = () => opening.result.close();
      give(whole.objectStore(NAME));
    };
  });
}

const done = (request) => new Promise((give, refuse) => {
  request.onsuccess = () => give(request.result);
  request.onerror = () => refuse(request.error);
});

/** Random digits: no two photos have the same, of whatever visit. */
export const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Keeps a photo, and gives its number and whether it will be there after a reload. */
export async function keep(file) {
  const id = random();
  here.set(id, file);
  try {
    await done((await store("readwrite")).put({ id, file, time: Date.now() }));
    const old = (await done((await store("readonly")).getAll())).sort((one, other) => other.time - one.time).slice(MOST);
    for (const own of old) await done((await store("readwrite")).delete(own.id));
    return { id, stays: true };
  } catch {  // a private window, or no room
    return { id, stays: false };
  }
}

/** The photo of a number; null where this browser has none. */
export async function find(id) {
  if (here.has(id)) return here.get(id);
  try {
    return (await done((await store("readonly")).get(id)))?.file ?? null;
  } catch {
    return null;
  }
}

export async function forget() {
  here.clear();
  await done((await store("readwrite")).clear());
}

const SIDES = ["left", "right", "top", "bottom"];

/** Lets a part of a photo be chosen, by dragging or by the four sides' sliders; `use(file)` takes it. */
export function cropper(use) {
  const dialog = $("crop"), image = $("crop-photo"), box = $("crop-box"), frame = $("crop-frame");
  const side = Object.fromEntries(SIDES.map((name) => [name, $(`crop-${name}`)]));
  let file = null, from = null;
  const at = () => Object.fromEntries(SIDES.map((name) => [name, Number(side[name].value)]));

  function draw() {
    const { left, right, top, bottom } = at();
    Object.assign(box.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
  }

  function set(values) {
    for (const [name, value] of Object.entries(values)) side[name].value = value;
    draw();
  }

  for (const name of SIDES) {
    side[name].addEventListener("input", () => {  // no side passes the other
      const { left, right, top, bottom } = at();
      if (name === "left") side.left.value = Math.min(left, right - 5);
      if (name === "right") side.right.value = Math.max(right, left + 5);
      if (name === "top") side.top.value = Math.min(top, bottom - 5);
      if (name === "bottom") side.bottom.value = Math.max(bottom, top + 5);
      draw();
    });
  }

  function place(event) {
    const { left, top, width, height } = frame.getBoundingClientRect();
    const share = (value) => Math.min(100, Math.max(0, 100 * value));
    return { x: share((event.clientX - left) / width), y: share((event.clientY - top) / height) };
  }

  frame.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    frame.setPointerCapture(event.pointerId);
    from = place(event);
  });
  frame.addEventListener("pointermove", (event) => {
    if (!from) return;
    const to = place(event);
    const [left, right] = [from.x, to.x].sort((one, other) => one - other);
    const [top, bottom] = [from.y, to.y].sort((one, other) => one - other);
    if (right - left >= 5 && bottom - top >= 5) set({ left, right, top, bottom });
  });
  for (const name of ["pointerup", "pointercancel"]) frame.addEventListener(name, () => { from = null; });

  $("crop-use").addEventListener("click", () => {
    if (!image.naturalWidth) return dialog.close();  // no photo, which a search says
    const { left, right, top, bottom } = at(), wide = image.naturalWidth / 100, high = image.naturalHeight / 100;
    const size = [Math.max(1, Math.round((right - left) * wide)), Math.max(1, Math.round((bottom - top) * high))];
    const canvas = Object.assign(document.createElement("canvas"), { width: size[0], height: size[1] });
    canvas.getContext("2d").drawImage(image, left * wide, top * high, ...size, 0, 0, ...size);
    const name = `part of ${file.name || "photo"}`;
    canvas.toBlob((part) => {
      dialog.close();
      if (part) use(new File([part], name, { type: part.type }));
    }, "image/jpeg", 0.95);
  });
  dialog.addEventListener("close", () => { URL.revokeObjectURL(image.src); image.removeAttribute("src"); });

  return (photo) => {
    file = photo;
    image.src = URL.createObjectURL(photo);
    set({ left: 0, right: 100, top: 0, bottom: 100 });
    dialog.showModal();
  };
}
