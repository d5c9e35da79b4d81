// Keeps the page's live parts as the service sees them; the service renders them, here and at first.

const EVERY_MS = 1000;
const LIVE = ["live-models", "live-machine", "live-errors", "live-up"];
const lost = document.getElementById("lost");
const seen = new Map();
const refusals = new Map(); // what became of the last click, by model

document.documentElement.classList.add("scripted");

/** Put new content in, but leave alone what has not changed, and the focus where it is. */
function replace(id, fresh) {
  const html = fresh.innerHTML;
  if (seen.get(id) === html) return;
  seen.set(id, html);
  const place = document.getElementById(id);
  const focus = place.contains(document.activeElement) ? document.activeElement.id : "";
  place.innerHTML = html;
  if (focus) document.getElementById(focus)?.focus();
  for (const told of place.querySelectorAll("[data-told]")) {
    told.textContent = refusals.get(told.dataset.told) ?? "";
  }
}

async function refresh() {
  try {
    const answer = await fetch("/live", { cache: "no-store" });
    if (answer.status === 401) return location.reload();
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of LIVE) replace(id, fresh.getElementById(id));
    document.title = fresh.getElementById("live-models").dataset.title;
    lost.hidden = true;
  } catch {
    lost.hidden = false;
  }
}

/** Return the message of an answer that is an error, in the service's own words. */
export async function told(answer) {
  try {
    return (await answer.json()).error.message;
  } catch {
    return `the service answered ${answer.status}`;
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-act]");
  if (!button) return;
  const { act, model } = button.dataset;
  let message = "";
  try {
    const answer = await fetch(`/models/${encodeURIComponent(model)}/${act}`, { method: "POST" });
    if (!answer.ok) message = await told(answer);
  } catch {
    message = "the service does not answer";
  }
  refusals.set(model, message);
  seen.delete("live-models");
  await refresh();
});

async function keepFresh() {
  if (!document.hidden) await refresh();
  setTimeout(keepFresh, EVERY_MS);
}

document.addEventListener("visibilitychange", () => document.hidden || refresh());
keepFresh();
