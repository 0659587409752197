"use strict";
// On a phone the text in a figure is half as large as on a desk: a button shows the figure at full size, to be scrolled.
(() => {
  const dialog = document.createElement("dialog");
  dialog.className = "large";
  dialog.setAttribute("aria-labelledby", "large-title");
  dialog.innerHTML =
    '<header><span id="large-title"></span><button class="enlarge" type="button">Close</button></header>' +
    '<div class="sheet" tabindex="0" role="region" aria-labelledby="large-title"></div>';
  const [title, close, sheet] = dialog.querySelectorAll("span, button, div");
  close.addEventListener("click", () => dialog.close());
  // Escape closes a dialog by itself, but for a script of the theme's that takes the key.
  dialog.addEventListener("keydown", event => event.key === "Escape" && dialog.close());
  document.body.append(dialog);

  for (const pictures of document.querySelectorAll("figure > .pictures")) {
    const caption = pictures.parentElement.querySelector("figcaption");
    const name = caption.querySelector(".caption-number").textContent.trim();
    const button = document.createElement("button");
    button.className = "enlarge";
    button.type = "button";
    button.textContent = `Enlarge ${name}`;
    button.addEventListener("click", () => {
      title.textContent = name;
      sheet.replaceChildren(pictures.cloneNode(true));
      dialog.showModal();
    });
    caption.append(button);
  }
})();
