// The ledger's filter: by verdict and by article. Without it, all claims are shown.

const tables = [...document.querySelectorAll("table.ledger")];
const rows = tables.flatMap(table => [...table.tBodies[0].rows]);

// "holds when the rate is small" belongs to "holds when …", "fails, partly cited" to "fails".
function kind(row) {
  const verdict = row.cells[1].textContent.trim();
  return verdict.startsWith("holds when") ? "holds when …" : verdict.split(",")[0];
}

for (const row of rows) {
  row.dataset.verdict = kind(row);
  row.dataset.article = row.cells[0].textContent.trim()[0];
}

function choice(name, values, label) {
  const select = document.createElement("select");
  select.name = name;
  select.add(new Option(`all ${rows.length}`, ""));
  for (const value of values) {
    const count = rows.filter(row => row.dataset[name] === value).length;
    if (count) select.add(new Option(`${label(value)} (${count})`, value));
  }
  return select;
}

const heading = letter => tables.find(table => table.tBodies[0].rows[0].dataset.article === letter)
  .closest("section").querySelector("h2").firstChild.textContent;
const selects = [
  choice("verdict", ["holds", "holds when …", "fails", "cited", "open"], value => value),
  choice("article", ["A", "B", "C", "D", "E"], heading),
];

const form = document.createElement("form");
form.className = "ledger-filter";
for (const select of selects) {
  const label = document.createElement("label");
  label.append(select.name[0].toUpperCase() + select.name.slice(1), select);
  form.append(label);
}
const shown = document.createElement("output");
form.append(shown);
tables[0].closest("section").before(form);

function apply() {
  for (const row of rows) {
    row.hidden = selects.some(select => select.value && row.dataset[select.name] !== select.value);
  }
  for (const table of tables) {
    const empty = [...table.tBodies[0].rows].every(row => row.hidden);
    table.closest("section").hidden = empty;
  }
  shown.textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length} claims shown`;
}

// The choice is kept in the address, so that it can be linked to and survives going back.
function remember() {
  const query = new URLSearchParams(selects.filter(select => select.value).map(select => [select.name, select.value]));
  history.replaceState(null, "", `${location.pathname}${query.size ? "?" : ""}${query}${location.hash}`);
}

const asked = new URLSearchParams(location.search);
for (const select of selects) {
  const value = asked.get(select.name);
  if ([...select.options].some(option => option.value === value)) select.value = value;
}
form.addEventListener("change", () => { apply(); remember(); });
form.addEventListener("submit", event => event.preventDefault());
apply();
