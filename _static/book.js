// What style sheets cannot do. Everything on the pages can be read without them.

// A formula or table that scrolls sideways must be reachable with the keyboard.
function reachable() {
  for (const box of document.querySelectorAll(".katex-display, .cell_output, .pst-scrollable-table-container")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("load", reachable);
addEventListener("resize", reachable);
// The theme looks after its boxes of code when the window is resized. Fonts that come late change their widths, too, and
// what was folded has none before.
addEventListener("load", () => document.fonts.ready.then(() => dispatchEvent(new Event("resize"))));
for (const kind of ["toggle", "click"]) {
  addEventListener(kind, ({target}) => {
    if (kind === "toggle" || target.closest(".toggle")) dispatchEvent(new Event("resize"));
  }, true);
}

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

// On a phone the contents open as a dialog. When it closes, the theme leaves the keyboard's place at the top of the page.
addEventListener("load", () => {
  for (const side of ["primary", "secondary"]) {
    document.getElementById(`pst-${side}-sidebar-modal`)?.addEventListener("close", () => setTimeout(() => {
      [...document.querySelectorAll(`button.${side}-toggle`)].find(button => button.checkVisibility())?.focus();
    }));
  }
});
