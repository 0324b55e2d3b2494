// What every page of the dashboard does: forms that call the API, dialogs, the sign-in code, searching a list.

import { call, confirmed, localise, say } from "./call.js";

localise(document);

// Dialogs.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens).showModal();
  const closer = event.target.closest("[data-closes]");
  if (closer) closer.closest("dialog").close();
});

// A secret is shown once; closing its dialog takes it out of the page.
const secret = document.querySelector("#secret");
const secretValue = secret.querySelector("[data-secret-value]");
secret.querySelector("[data-copies-secret]").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(secretValue.textContent);
    say("Copied.");
  } catch {
    getSelection().selectAllChildren(secretValue);
    say("Press Ctrl+C to copy.");
  }
});
secret.addEventListener("close", () => {
  secretValue.textContent = "";
  location.reload();
});

/** What a form asks for. Boxes of one name become a list; what is left empty is not sent. */
function asked(form) {
  const body = {};
  for (const [name, value] of Object.entries(form.dataset)) {
    if (name.startsWith("fixed")) {
      const key = name.slice("fixed".length).replace(/^-/, "").toLowerCase();
      body[key] = value === "true" ? true : value === "false" ? false : value;
    }
  }
  const data = new FormData(form);
  for (const name of new Set(data.keys())) {
    const values = data.getAll(name).map((value) => value.trim()).filter((value) => value !== "");
    const field = form.elements[name];
    const isList = field instanceof RadioNodeList;
    if (isList) body[name] = values;
    else if (values.length > 0) body[name] = field.matches("[data-chat]") ? values[0].replace(/[\s()+-]/g, "") : values[0];
  }
  return body;
}

function finished(form, answer) {
  const { then, shows, tells, says } = form.dataset;
  form.dispatchEvent(new CustomEvent("answered", { detail: answer, bubbles: true }));
  const told = form.querySelector("[data-told]");
  if (told) told.textContent = tells ? answer[tells] : (says ?? "Done.");
  else if (says) say(says);
  if (shows && answer[shows]) {
    form.closest("dialog")?.close();
    secretValue.textContent = answer[shows];
    secret.showModal();
  } else if (shows || then === "reload") {
    location.reload();
  } else if (then) {
    location.assign(then.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(answer[name])));
  }
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.call) return;
  event.preventDefault();
  const problem = form.querySelector("output.problem");
  const button = event.submitter ?? form.querySelector("button");
  problem.textContent = "";
  if (form.dataset.ask && !(await confirmed(form.dataset.ask, form.dataset.text))) return;
  const [method, path] = form.dataset.call.split(" ");
  button.disabled = true;
  try {
    finished(form, await call(method, path, asked(form)));
    if (form.elements.message) form.elements.message.value = "";
  } catch (refusal) {
    problem.textContent = refusal.message;
  } finally {
    button.disabled = false;
  }
});

// A choice that is its own submit button.
for (const select of document.querySelectorAll("[data-submits]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// Searching what is listed.
for (const search of document.querySelectorAll("[data-filters]")) {
  const items = [...document.getElementById(search.dataset.filters).children];
  const none = document.querySelector("[data-none-found]");
  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase();
    for (const item of items) item.hidden = !item.dataset.text.includes(wanted);
    none.hidden = items.length === 0 || items.some((item) => !item.hidden);
  });
}

// The states of listed instances, while somebody looks.
const list = document.querySelector("[data-live-list]");
async function refresh() {
  if (document.visibilityState === "visible") {
    try {
      const query = new URLSearchParams(location.search);
      query.delete("status");
      const page = await call("GET", `/session/list?${query}`);
      for (const info of page.sessions) {
        const item = list.querySelector(`[data-instance="${info.instance_id}"]`);
        if (!item) continue;
        const badge = item.querySelector("[data-field=status]");
        badge.textContent = badge.dataset.status = info.status;
        item.querySelector("[data-field=reason]").textContent = info.reason ?? "";
        item.querySelector("[data-field=number]").textContent = info.me ? `+${info.me.id.split("@")[0]}${info.me.pushName ? ` (${info.me.pushName})` : ""}` : "nobody yet";
      }
    } catch {
      // It is tried again in a moment; what is shown stays.
    }
  }
  setTimeout(refresh, 3000);
}
if (list) setTimeout(refresh, 3000);

// Open on your phone: a code that is good for a minute, drawn when somebody asks for it and not before.
const phone = document.querySelector("[data-sign-in-qr]");
const picture = phone.querySelector("img");
const left = phone.querySelector("[data-qr-left]");
let countdown;
function another() {
  picture.src = `${picture.dataset.src}?at=${Date.now()}`;
  const ends = Date.now() + 60_000;
  clearInterval(countdown);
  const tick = () => {
    const seconds = Math.ceil((ends - Date.now()) / 1000);
    picture.classList.toggle("over", seconds <= 0);
    if (seconds <= 0) {
      clearInterval(countdown);
      left.textContent = "This code's minute is over. Make another.";
    } else if (seconds === 60 || seconds === 30 || seconds === 10) {
      left.textContent = `The code is good for one sign-in within ${seconds} s.`;
    }
  };
  tick();
  countdown = setInterval(tick, 1000);
}
document.querySelector("[data-opens=phone]").addEventListener("click", another);
phone.querySelector("[data-another]").addEventListener("click", another);
phone.addEventListener("close", () => {
  clearInterval(countdown);
  picture.removeAttribute("src");
});
