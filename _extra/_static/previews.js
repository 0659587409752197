"use strict";
// What a reference leads to (an equation, a figure, an entry of the bibliography) is shown beside it while the mouse or
// the keyboard's focus is on it. A finger follows the link, as ever.
(() => {
  const WAIT = 200; // ms: time to cross the gap between the link and its preview, or to pass over a link
  const box = document.createElement("div");
  box.id = "preview";
  box.role = "tooltip";
  box.hidden = true;
  (document.querySelector("article") || document.body).append(box);
  let link, timer;

  function content(reference) {
    if (reference.dataset.entry) return document.createTextNode(reference.dataset.entry);
    const [path, id] = reference.getAttribute("href").split("#");
    const place = path ? document.getElementById(`preview-${id}`)?.content.firstElementChild : document.getElementById(id);
    const copy = place?.closest("figure, div.math")?.cloneNode(true);
    if (!copy) return null;
    for (const part of copy.querySelectorAll(".headerlink, .enlarge, .live-controls, output")) part.remove();
    for (const part of [copy, ...copy.querySelectorAll("[id], [tabindex], a")]) {
      for (const name of ["id", "tabindex", "href"]) part.removeAttribute(name);
    }
    return copy;
  }

  function place() {
    if (!link) return;
    const at = link.getClientRects()[0], size = box.getBoundingClientRect();
    const below = at.bottom + 8, above = at.top - 8 - size.height;
    const top = below + size.height <= innerHeight || above < 0 ? below : above;
    const left = Math.min(at.left, document.documentElement.clientWidth - 8 - size.width);
    box.style.translate = `${Math.max(8, left)}px ${Math.max(8, Math.min(top, innerHeight - 8 - size.height))}px`;
  }

  function hide() {
    clearTimeout(timer);
    link?.removeAttribute("aria-describedby");
    link = undefined;
    box.hidden = true;
    box.replaceChildren();
  }

  function show(reference) {
    clearTimeout(timer);
    if (reference === link) return;
    hide();
    const shown = content(reference);
    if (!shown) return;
    link = reference;
    box.append(shown);
    box.hidden = false;
    link.setAttribute("aria-describedby", "preview");
    place();
    for (const image of box.querySelectorAll("img")) image.addEventListener("load", place);
  }

  function soon(action) {
    clearTimeout(timer);
    timer = setTimeout(action, WAIT);
  }

  for (const reference of document.querySelectorAll("article a.reference.internal[href*='#']")) {
    if (reference.title) { // of a citation: the browser would show it late, and to the mouse alone
      reference.dataset.entry = reference.title;
      reference.removeAttribute("title");
    }
    reference.addEventListener("pointerenter", event => event.pointerType === "touch" || soon(() => show(reference)));
    reference.addEventListener("pointerleave", () => soon(hide));
    reference.addEventListener("focus", () => reference.matches(":focus-visible") && show(reference));
    reference.addEventListener("blur", hide);
  }
  box.addEventListener("pointerenter", () => clearTimeout(timer));
  box.addEventListener("pointerleave", () => soon(hide));
  addEventListener("keydown", event => event.key === "Escape" && hide());
  addEventListener("scroll", place, { passive: true });
  addEventListener("resize", place);
})();
