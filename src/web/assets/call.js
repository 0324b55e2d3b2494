// How a page asks the gateway: the API's own routes below /dashboard/v2, by the session's cookie.

export class Refusal extends Error {
  constructor(status, body) {
    super(body?.message ?? `The gateway answered ${status}. Please try again.`);
    this.status = status;
    this.code = body?.code;
    this.retryAfter = body?.retry_after;
  }
}

/** Calls a route of the API, as `call("POST", "/session/start", {instance_id})`; its document, or a Refusal. */
export async function call(method, path, body) {
  let answer;
  try {
    answer = await fetch(`/dashboard/v2${path}`, {
      method,
      headers: body === undefined ? { accept: "application/json" } : { accept: "application/json", "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      redirect: "error",
    });
  } catch {
    throw new Refusal(0, { message: "The gateway could not be reached. Check the connection and try again." });
  }
  const document_ = await answer.json().catch(() => undefined);
  if (answer.status === 401) {
    // The session is over. Nothing of the page may stay on the screen.
    location.replace("/dashboard/sign-in");
  }
  if (!answer.ok) throw new Refusal(answer.status, document_);
  return document_;
}

/** Says something for a moment. */
export function say(text) {
  const toast = document.querySelector("[data-toast]");
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { toast.hidden = true; }, 5000);
}

/** Asks whether to go on; resolves to true or false. */
export function confirmed(title, text) {
  const dialog = document.querySelector("#confirm");
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector("[data-confirm-text]").textContent = text ?? "";
  dialog.querySelector("[data-confirm-yes]").textContent = title.replace(/\?$/, "");
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Writes every moment in the reader's own time. */
export function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const moment = new Date(time.dateTime);
    time.title = time.textContent;
    time.textContent = moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
    time.dataset.local = "";
  }
}

/** A <time> of a moment. */
export function moment(at) {
  const time = document.createElement("time");
  time.dateTime = new Date(at).toISOString();
  time.textContent = new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
  time.dataset.local = "";
  return time;
}
