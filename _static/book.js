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

// Paper is white: print in the light colours.
let theme;
addEventListener("beforeprint", () => {
  theme ??= document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
});
addEventListener("afterprint", () => {
  document.documentElement.dataset.theme = theme;
  theme = undefined;
});
