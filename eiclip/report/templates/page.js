// Without this the page works too: it opens what a link points into, and marks in the contents where the reader is.
const contents = document.querySelector("nav details"), here = contents.querySelector(".here");
const wide = matchMedia("(min-width: 66rem)");
const fold = () => { contents.open = wide.matches; };
wide.addEventListener("change", fold);
fold();
const reveal = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  for (let inside = target; inside; inside = inside.parentElement) if (inside.tagName === "DETAILS") inside.open = true;
  if (target) target.scrollIntoView();
};
addEventListener("hashchange", reveal);
reveal();
const links = [...contents.querySelectorAll("a")].map((link) => {
  const target = document.getElementById(link.hash.slice(1));
  return [link, target.closest("details") ?? target];
});
contents.addEventListener("click", (event) => { if (event.target.closest("a") && !wide.matches) contents.open = false; });
const mark = () => {
  const passed = links.filter(([, place]) => place.getBoundingClientRect().top < innerHeight / 3).map(([link]) => link);
  const current = passed.at(-1);
  for (const [link] of links) link.removeAttribute("aria-current");
  current?.setAttribute("aria-current", "location");
  here.textContent = current ? `: ${current.textContent}` : "";
};
addEventListener("scroll", mark, { passive: true });
mark();
