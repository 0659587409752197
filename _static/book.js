// Two things that style sheets cannot do. Everything on the pages can be read without them.

// A formula or table that scrolls sideways must be reachable with the keyboard.
function reachable() {
  for (const box of document.querySelectorAll(".katex-display, .cell_output, .pst-scrollable-table-container")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("load", reachable);
addEventListener("resize", reachable);

// Paper is white and cannot scroll: print in the light colours, and shrink formulas that are wider than the page.
const PAPER = 600; // px on the screen: what fits between the margins of A4 and Letter beside an equation's number
let theme;
addEventListener("beforeprint", () => {
  theme ??= document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  for (const box of document.querySelectorAll(".katex-display")) {
    const formula = document.createRange();
    formula.selectNodeContents(box.querySelector(".katex-html"));
    const width = formula.getBoundingClientRect().width;
    box.style.fontSize = width > PAPER ? `${PAPER / width}em` : "";
  }
});
addEventListener("afterprint", () => {
  document.documentElement.dataset.theme = theme;
  theme = undefined;
  for (const box of document.querySelectorAll(".katex-display")) box.style.fontSize = "";
});
