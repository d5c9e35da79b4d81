// What a document became, beside the pictures of its pages: what belongs together lights up together.

const result = document.getElementById("documents-result");
const name = document.getElementById("documents-name");
const where = document.getElementById("documents-where");
const turn = document.getElementById("documents-turn");
const before = document.getElementById("documents-before");
const after = document.getElementById("documents-after");
const page = document.getElementById("documents-page");
const image = document.getElementById("documents-image");
const boxes = document.getElementById("documents-boxes");
const text = document.getElementById("documents-text");
const KINDS = { md: "text/markdown", json: "application/json", html: "text/html", text: "text/plain" };
const ENDINGS = { md: "md", json: "json", html: "html", text: "txt" };
const SVG = "http://www.w3.org/2000/svg";
let shown = null; // {content, pages, now}

/** Show a result of the service. */
export function show({ document: found }) {
  const content = found.json_content;
  const pages = Object.values(content.pages ?? {}).sort((one, other) => one.page_no - other.page_no);
  shown = { content, pages, now: 0 };
  name.textContent = found.filename;
  for (const form of Object.keys(KINDS)) {
    const made = found[`${form}_content`];
    offer(form, form === "json" ? JSON.stringify(made) : made, found.filename);
  }
  turn.hidden = pages.length < 2;
  result.hidden = false;
  go(0);
}

function offer(form, content, filename) {
  const link = document.getElementById(`documents-as-${form}`);
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([content], { type: `${KINDS[form]};charset=utf-8` }));
  link.download = `${filename.replace(/\.[^.]*$/, "")}.${ENDINGS[form]}`;
}

before.addEventListener("click", () => go(shown.now - 1));
after.addEventListener("click", () => go(shown.now + 1));

function go(number) {
  const { pages, content } = shown;
  shown.now = number;
  const now = pages[number];
  where.textContent = now ? `Page ${now.page_no} (${number + 1} of ${pages.length})` : "";
  before.disabled = number < 1;
  after.disabled = number >= pages.length - 1;
  page.hidden = !now?.image;
  boxes.replaceChildren();
  if (now?.image) {
    image.src = now.image.uri;
    image.alt = `Page ${now.page_no} as it looks`;
    boxes.setAttribute("viewBox", `0 0 ${now.size.width} ${now.size.height}`);
  }
  const only = pages.length ? now.page_no : null;
  text.replaceChildren(...partsOf(content, content.body, only));
  text.scrollTop = 0;
}

/** Make elements of a group's children, in reading order; of one page, where there are pages. */
function partsOf(content, group, only) {
  return (group.children ?? []).flatMap(({ $ref: ref }) => {
    const item = ref.split("/").slice(1).reduce((found, key) => found[key], content);
    const inner = partsOf(content, item, only);
    const places = item.prov ?? [];
    if (!("label" in item) || ref.startsWith("#/groups/")) return inner;
    if (only !== null && places.length && !places.some((place) => place.page_no === only)) return inner;
    if (only !== null && !places.length) return inner;
    const made = elementOf(item);
    return made ? [joined(made, places, only), ...inner] : inner;
  });
}

function elementOf(item) {
  if (item.label === "table" || item.label === "document_index") return tableOf(item.data);
  if (item.label === "picture" || item.label === "chart") return plain("p", "(a picture)", "what");
  if (item.label === "title") return plain("h3", item.text);
  if (item.label === "section_header") return plain("h4", item.text);
  if (item.label === "list_item") return plain("p", `${item.marker || "\u2022"} ${item.text}`, "item");
  return item.text ? plain("p", item.text, item.label === "text" ? "" : "what") : null;
}

function plain(kind, content, style = "") {
  const made = document.createElement(kind);
  made.textContent = content;
  made.className = style;
  return made;
}

function tableOf(data) {
  const table = document.createElement("table");
  for (const row of data.grid ?? []) {
    const line = table.insertRow();
    for (const cell of row) {
      const made = document.createElement(cell.column_header ? "th" : "td");
      made.textContent = cell.text;
      line.append(made);
    }
  }
  return table;
}

/** Join a part of the text with its places on the page. */
function joined(made, places, only) {
  const height = shown.pages[shown.now]?.size.height ?? 0;
  const drawn = places.filter((place) => place.page_no === only).map(({ bbox }) => {
    const rect = document.createElementNS(SVG, "rect");
    const top = bbox.coord_origin === "BOTTOMLEFT" ? height - bbox.t : bbox.t;
    const values = { x: bbox.l, y: top, width: bbox.r - bbox.l, height: Math.abs(bbox.b - bbox.t) };
    for (const [key, value] of Object.entries(values)) rect.setAttribute(key, value);
    return rect;
  });
  const light = (on) => [made, ...drawn].forEach((each) => each.classList.toggle("lit", on));
  for (const each of [made, ...drawn]) {
    each.addEventListener("pointerenter", () => light(true));
    each.addEventListener("pointerleave", () => light(false));
  }
  for (const rect of drawn) {
    rect.addEventListener("click", () => made.scrollIntoView({ block: "nearest" }));
  }
  boxes.append(...drawn);
  return made;
}
