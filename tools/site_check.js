// What a page is asked in the browser, by `tools/site_check.py`. Each question returns a list of what is wrong, in words.
"use strict";

window.siteCheck = (() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const start = e => e.textContent.replace(/\s+/g, " ").trim().slice(0, 60);
  const tag = e => e.outerHTML.replace(/\s+/g, " ").slice(0, 120);
  const shown = e => e.checkVisibility({visibilityProperty: true}) && e.getClientRects().length > 0;
  const numbers = colour => (colour.match(/[\d.]+/g) ?? []).map(Number);

  // What readers open is checked too, folded code and solutions, opened as they do it.
  function unfoldAndThinOut() {
    for (const title of all("details:not([open]) > summary, .toggle-hidden .toggle-button")) title.click();
    thinOut();
    return new Promise(done => setTimeout(done, 400)); // the theme looks at its boxes of code after 300 ms
  }

  // What sticks out of the window sideways, or of a box that cuts it off. On a screen a box may scroll; paper cannot.
  function overflow(paper = false) {
    const page = document.documentElement, out = [];
    if (page.scrollWidth > innerWidth + 1) out.push(`the page is ${page.scrollWidth} px wide`);
    for (const e of all(".bd-article-container *, .bd-header-article *, .bd-footer-content *")) {
      if (e.closest(".katex, .visually-hidden, pre span")) continue;
      const box = e.getBoundingClientRect();
      if (!box.width || !box.height) continue;
      if (paper && e.matches("pre, table, figure") && e.scrollWidth > e.clientWidth + 1) out.push(`is cut: ${start(e)}`);
      for (let p = e.parentElement; p; p = p.parentElement) {
        const {overflowX} = getComputedStyle(p), scrolls = /auto|scroll/.test(overflowX);
        if (scrolls && !paper) break;
        if (overflowX === "visible" && p !== page) continue;
        const frame = p === page ? {left: 0, right: innerWidth} : p.getBoundingClientRect();
        if (box.left < frame.left - 1 || box.right > frame.right + 1) {
          out.push(`${e.tagName}.${e.className} is cut: ${start(e)}`);
          break;
        }
      }
    }
    return out;
  }

  // No formula is wider than its column, also where it could scroll. KaTeX sets it in bases, and breaks lines between them.
  function wideFormulas() {
    const out = [];
    for (const formula of all(".katex")) {
      const display = formula.closest(".katex-display");
      let column = display ?? formula.parentElement;
      while (!display && getComputedStyle(column).display.startsWith("inline")) column = column.parentElement;
      const frame = column.getBoundingClientRect();
      const boxes = all(".katex-html .base", formula).map(base => base.getBoundingClientRect());
      const left = Math.min(...boxes.map(box => box.left)), right = Math.max(...boxes.map(box => box.right));
      const over = Math.max(right - frame.right, frame.left - left);
      if (frame.width && over > 1) {
        out.push(`${Math.round(over)} px beyond its ${Math.round(frame.width)}: ${start(formula.querySelector("annotation"))}`);
      }
    }
    return out;
  }

  function unsetFormulas() {
    const out = all(".katex-error, span.math > code, div.math > code").map(tag);
    const words = document.createTreeWalker(document.querySelector("article") ?? document.body, NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
      const text = words.currentNode;
      if (/\$|\\[([a-zA-Z]|\{(eq|numref|ref|cite|doc)/.test(text.data) && !text.parentElement.closest(".katex, pre, code, script, style, template")) {
        out.push(text.data.trim().slice(0, 80));
      }
    }
    return out;
  }

  const formulasWithoutMathML = () => all(".katex").filter(formula => !formula.querySelector("math")).map(start);

  function headings() {
    const levels = all("article :is(h1, h2, h3, h4, h5, h6)").map(heading => Number(heading.tagName[1]));
    const out = levels.flatMap((level, i) => i && (level > levels[i - 1] + 1 || level === 1) ? [`h${level} follows h${levels[i - 1]}`] : []);
    return levels.length && levels[0] !== 1 ? [`begins with h${levels[0]}, not with its title`, ...out] : out;
  }

  function pictures() {
    const out = [];
    for (const picture of all(".bd-article :is(img, svg)")) {
      if (picture.closest(".katex, [aria-hidden=true]")) continue;
      if (picture.parentElement.closest("svg, button")) continue; // a part of a drawing; an icon of a control with a name
      const said = (picture.getAttribute(picture.tagName === "IMG" ? "alt" : "aria-label") ?? "").trim();
      const caption = picture.closest("figure")?.querySelector("figcaption .caption-text")?.textContent.trim();
      if (picture.tagName === "svg" && picture.getAttribute("role") !== "img") out.push(`a drawing is no picture to a screen reader: ${tag(picture)}`);
      if (said.split(/\s+/).length < 8 || /\.(png|svg|jpe?g|webp)\b|_images\//.test(said)) out.push(`described as “${said}”: ${tag(picture)}`);
      if (!caption) out.push(`without a caption: ${tag(picture)}`);
      else if (caption === said) out.push(`the description is the caption: ${said}`);
    }
    return out;
  }

  // Also those who read in the dark print on white.
  function ink() {
    const out = [document.body, ...all(".bd-article :is(p, li, td, pre, h1, h2, h3, figcaption)").filter(shown)].filter(e =>
      contrast(numbers(getComputedStyle(e).color), [255, 255, 255]) < 4.5);
    return out.map(e => `${getComputedStyle(e).color}: ${start(e)}`);
  }

  // A figure stands on the page: its paper is transparent, of the page's colour, or blends with it.
  function boxes() {
    const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
    const pen = canvas.getContext("2d", {willReadFrequently: true});
    const out = [];
    for (const image of all("article figure img").filter(shown)) {
      const {backgroundColor, filter, mixBlendMode, padding} = getComputedStyle(image);
      pen.clearRect(0, 0, 1, 1);
      pen.drawImage(image, 2, 2, 1, 1, 0, 0, 1, 1);
      let [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
      const box = numbers(backgroundColor);
      if ((box.length === 3 || box[3] > 0) && (alpha < 255 || parseFloat(padding) > 0)) out.push(`a box of ${backgroundColor} behind ${image.src}`);
      if (!alpha) continue;
      if (/invert\(1\)/.test(filter)) [red, green, blue] = [255 - red, 255 - green, 255 - blue];
      const wanted = mixBlendMode === "screen" ? [0, 0, 0] : mixBlendMode === "multiply" ? [255, 255, 255] : ground(image.parentElement);
      if ([red, green, blue].some((part, i) => Math.abs(part - wanted[i]) > 4)) out.push(`paper of ${[red, green, blue]} in ${image.src}`);
    }
    return out;
  }

  function ground(element) { // the colour that an element stands on
    for (let e = element; e; e = e.parentElement) {
      const colour = numbers(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  }
  function contrast(a, b) {
    const light = colour => {
      const [red, green, blue] = colour.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
    };
    const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
    return high / low;
  }

  function ids() {
    const seen = new Set();
    return all("[id]").map(e => e.id).filter(id => seen.has(id) || !seen.add(id)).map(id => `twice: #${id}`);
  }

  const elsewhere = () => all("script[src], link[href], img, iframe, source, object, embed, video, audio, svg image, svg use").filter(e => {
    const urls = [e.getAttribute("src"), e.getAttribute("data"), e.getAttribute("href"), ...(e.getAttribute("srcset") ?? "").split(/,\s+/)];
    return urls.some(url => url && /^(https?:)?\/\//.test(url.trim()));
  }).map(tag);

  function language() {
    const {lang} = document.documentElement;
    return /^en\b/.test(lang) ? [] : [`lang is “${lang}”`];
  }

  // --- keyboard: `watch`, then press Tab as often as it says, then `unreached` and `rings`

  const CAN_FOCUS = "a[href], area[href], button, input, select, textarea, summary, iframe, audio[controls], [contenteditable=true], [tabindex]";
  let wanted, met, found;
  const look = e => {
    const {outlineStyle, outlineWidth, outlineColor, boxShadow} = getComputedStyle(e);
    return {outline: outlineStyle === "none" ? 0 : parseFloat(outlineWidth), outlineColor, boxShadow};
  };

  function watch() {
    wanted = new Map(all(CAN_FOCUS).filter(e => e.tabIndex >= 0 && !e.disabled && shown(e)).map(e => [e, look(e)]));
    met = new Set();
    found = [];
    document.addEventListener("focusin", ({target}) => {
      if (met.has(target)) return;
      met.add(target);
      const before = wanted.get(target) ?? {boxShadow: "none"}, now = look(target);
      const colour = now.outline >= 2 ? now.outlineColor : now.boxShadow !== before.boxShadow && now.boxShadow !== "none" ? now.boxShadow : "";
      const [red, green, blue, alpha = 1] = numbers(colour.match(/rgba?\([^)]*\)/)?.[0] ?? "");
      if (!colour || !alpha) found.push(`no ring: ${tag(target)}`);
      else if (contrast([red, green, blue], ground(target.parentElement)) < 3) found.push(`a ring that is hard to see, ${colour}: ${tag(target)}`);
    });
    return wanted.size;
  }
  const unreached = () => [...wanted.keys()].filter(e => !met.has(e) && e.isConnected && shown(e)).map(e => `Tab does not reach ${tag(e)}`);
  const order = () => all("[tabindex]").filter(e => e.tabIndex > 0).map(e => `an order of its own: ${tag(e)}`);
  const rings = () => found;

  // --- under `prefers-reduced-motion: reduce`

  function motion() {
    const out = document.getAnimations().map(a => `runs: ${a.animationName ?? a.transitionProperty} of ${a.effect.target && tag(a.effect.target)}`);
    const long = text => text.split(",").some(part => parseFloat(part) > 0.001); // s; 0.01 ms is the usual way to say none
    for (const e of all("*")) {
      if (e.matches("pre span, .katex *, head *")) continue;
      for (const part of [null, "::before", "::after"]) {
        const style = getComputedStyle(e, part);
        if (part && style.content === "none") continue;
        if (long(style.transitionDuration) || (style.animationName !== "none" && long(style.animationDuration))) out.push(`would move: ${e.tagName}.${e.className}${part ?? ""}`);
        if (!part && style.scrollBehavior === "smooth") out.push(`scrolls smoothly: ${e.tagName}.${e.className}`);
      }
    }
    return [...new Set(out)];
  }

  // --- on the phone

  // Printed tables may be smaller: a line that breaks is harder to read than a small one.
  function smallText(least = 12) {
    const out = new Set();
    const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
      const e = words.currentNode.parentElement;
      if (!words.currentNode.data.trim() || e.closest(".katex, script, style, template, sup, sub") || !shown(e)) continue;
      const size = parseFloat(getComputedStyle(e).fontSize) * (e.ownerSVGElement ? e.getScreenCTM().a : 1);
      if (size < (e.closest(".cell_output pre") ? 9.5 : least) - 0.05) out.add(`${size.toFixed(1)} px: ${tag(e)}`);
    }
    return [...out];
  }

  // --- for axe, which takes 10 s for 14,000 coloured words of code

  // Of words of code that look alike and stand on the same ground, the longest is enough. The others become plain text.
  function thinOut() {
    const paths = new Map(), longest = new Map();
    const path = e => {
      if (!e || e.tagName === "ARTICLE") return "";
      if (!paths.has(e)) paths.set(e, `${path(e.parentElement)} > ${e.tagName} ${e.className} ${e.getAttribute("style")}`);
      return paths.get(e);
    };
    for (const word of all("pre span")) {
      if (word.firstElementChild) continue;
      const kind = path(word), other = longest.get(kind);
      if (!other || other.textContent.length < word.textContent.length) longest.set(kind, word);
    }
    for (const word of all("pre span")) {
      if (!word.firstElementChild && longest.get(path(word)) !== word) word.replaceWith(...word.childNodes);
    }
    for (const block of all("pre")) block.normalize();
  }

  // --- what there is

  function facts() {
    const links = all("a[href], area[href], link[href], script[src], img[src]").map(e => e.getAttribute("href") ?? e.getAttribute("src"));
    return {
      title: document.title,
      description: document.querySelector("meta[name=description]")?.content ?? "",
      heading: document.querySelector("article h1")?.firstChild.textContent ?? "",
      ids: all("[id]").map(e => e.id),
      links,
      formulas: all("article .katex").length,
      figures: all("article figure").length,
    };
  }

  // Pictures that wait to come into view come now.
  function hurry() {
    const images = all("img").filter(e => shown(e) && e.getAttribute("src"));
    for (const image of images) image.loading = "eager";
    return Promise.all(images.map(image => image.decode().catch(() => {}))).then(() => {});
  }

  const questions = {
    overflow, wideFormulas, unsetFormulas, formulasWithoutMathML, headings, pictures, boxes, ids, ink, elsewhere, language,
    unreached, order, rings, motion, smallText, paper: () => overflow(true),
  };
  const ask = names => Object.fromEntries(names.map(name => [name, questions[name]()]));
  return {ask, facts, hurry, unfoldAndThinOut, watch};
})();
