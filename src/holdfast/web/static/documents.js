// The panel about documents: they are sent, their pages go by, and what they became is read.

import { told } from "./holdfast.js";
import { show } from "./document-view.js";

const FORMS = ["md", "json", "html", "text"];
const ENDED = ["success", "failure"];
const form = document.getElementById("documents-form");
const file = document.getElementById("documents-file");
const ocr = document.getElementById("documents-ocr");
const status = document.getElementById("documents-told");
const list = document.getElementById("documents-list");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!file.files.length) return say("Choose documents, or drop some here.");
  take([...file.files]);
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  form.addEventListener(kind, (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    form.classList.toggle("over", kind === "dragover");
    if (kind === "drop") take([...event.dataTransfer.files]);
  });
}

function say(what) {
  status.textContent = what;
}

function take(given) {
  say(given.length === 1 ? `${given[0].name} is sent.` : `${given.length} documents are sent.`);
  for (const each of given) new Sent(each).go();
}

/** One document that was sent: a line of the list. */
class Sent {
  constructor(given) {
    this.given = given;
    this.line = document.createElement("li");
    this.state = document.createElement("span");
    this.progress = document.createElement("progress");
    this.act = document.createElement("button");
    this.act.type = "button";
    this.act.className = "plain";
    this.progress.setAttribute("aria-label", `Pages of ${given.name}`);
    const name = document.createElement("strong");
    name.textContent = given.name;
    this.line.append(name, " ", this.state, " ", this.act, this.progress);
    list.prepend(this.line);
    this.tell("is being sent");
    this.act.hidden = true;
  }

  tell(what) {
    this.state.textContent = what;
  }

  offer(label, act) {
    this.act.hidden = !act;
    this.act.textContent = label;
    this.act.setAttribute("aria-label", `${label} ${this.given.name}`);
    this.act.onclick = act;
  }

  async go() {
    const body = new FormData();
    body.append("files", this.given, this.given.name);
    for (const each of FORMS) body.append("to_formats", each);
    body.append("include_page_images", "true");
    body.append("images_scale", "1");
    body.append("do_ocr", String(ocr.checked));
    let answer;
    try {
      answer = await fetch("/v1/convert/file/async", { method: "POST", body });
    } catch {
      return this.end("could not be sent: the service does not answer, or the file is gone");
    }
    if (!answer.ok) return this.end(await told(answer));
    const { task_id: task } = await answer.json();
    this.offer("Cancel", () => fetch(`/v1/tasks/${task}`, { method: "DELETE" }));
    this.watch(task);
  }

  watch(task) {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/v1/status/ws/${task}`);
    let last = null;
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data);
      if (message.error) return this.end(message.error);
      last = message.task;
      this.follow(last);
      if (ENDED.includes(last.task_status)) this.finish(last);
    });
    socket.addEventListener("close", () => {
      // The service was gone for a moment, perhaps: the task is not.
      if (!this.done) setTimeout(() => this.done || this.watch(task), 2000);
    });
  }

  follow({ task_status: now, task_position: position, progress, cancelling }) {
    if (cancelling) return this.tell("is being cancelled");
    if (now === "pending") return this.tell(`waits, as number ${position}`);
    const pages = progress?.pages_total;
    if (pages) {
      this.progress.max = pages;
      this.progress.value = progress.pages_done;
    }
    this.tell(pages ? `page ${progress.pages_done} of ${pages}` : "is being read");
  }

  async finish(task) {
    this.done = true;
    if (task.task_status === "failure") return this.end(task.error_message);
    try {
      const answer = await fetch(`/v1/result/${task.task_id}`);
      if (!answer.ok) return this.end(await told(answer));
      const found = await answer.json();
      this.end(`is converted, in ${found.processing_time.toFixed(1)} s`);
      this.offer("Show", () => show(found));
      show(found);
    } catch {
      this.end("is converted, and the service does not answer any more");
    }
  }

  end(what) {
    this.done = true;
    this.tell(what);
    this.progress.remove();
    this.offer("", null);
  }
}
