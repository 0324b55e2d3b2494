// One instance as it lives: its session, its code, what happens to it.

import { call, confirmed, moment, say } from "./call.js";

const head = document.querySelector("[data-instance]");
const id = head.dataset.instance;
const field = (name) => document.querySelectorAll(`[data-field=${name}]`);
const openLink = document.querySelector("[data-open-link]");
const MOST_EVENTS = 100;

const ADVICE = {
  WORKING: "It works. Send a test message, or watch what comes in.",
  SCAN_QR_CODE: "It waits to be linked: show the QR code and scan it with the phone.",
  PASSKEY_REQUIRED: "WhatsApp asks for a passkey, which a browser page cannot answer. See /docs, passkey.",
  PASSKEY_CONFIRMATION_REQUIRED: "WhatsApp asks for a passkey, which a browser page cannot answer. See /docs, passkey.",
  logged_out: "The phone removed this device. Link it again to go on.",
  qr_not_scanned: "Nobody scanned its code. Show a new one when the phone is at hand.",
  banned: "WhatsApp banned the account for a time. It is tried again afterwards.",
  client_outdated: "WhatsApp wants a newer client. Ask the operator to update the gateway.",
  FAILED: "It needs you: see the reason, then start it again.",
  pairing: "Scanned. WhatsApp is finishing; this takes a few seconds.",
  upstream_unreachable: "WhatsApp cannot be reached. It is tried again by itself.",
};

function advice(info) {
  if (info.status === "STOPPED") return info.linked ? "It rests and stays linked. Start it to go on." : "It rests and is not linked yet. Show the QR code to link it.";
  return ADVICE[info.reason] ?? ADVICE[info.status] ?? "It is on its way. This mends itself.";
}

function write(name, ...content) {
  for (const place of field(name)) place.replaceChildren(...content);
}

function show(info) {
  for (const badge of field("status")) badge.textContent = badge.dataset.status = info.status;
  write("reason", info.reason ?? "–");
  write("since", moment(info.since));
  write("advice", advice(info));
  write("me", info.me ? `+${info.me.id.split("@")[0]}${info.me.pushName ? ` (${info.me.pushName})` : ""}` : "nobody yet");
  write("connected", info.liveness.connected ? "yes" : "no");
  write("seen", info.liveness.last_seen_at ? moment(info.liveness.last_seen_at) : "–");
  for (const part of document.querySelectorAll("[data-when]")) part.hidden = (part.dataset.when === "linked") !== info.linked;
  if (info.linked) {
    hideCode();
    // It has done its work.
    openLink.hidden = true;
  }
}

async function refresh() {
  try {
    show(await call("GET", `/session/info?instance_id=${id}`));
  } catch (refusal) {
    if (refusal.status === 404) location.assign("/dashboard");
  }
}

// What one does to it.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  const { act, ask, text } = button.dataset;
  const problem = document.querySelector("[data-act-problem]");
  problem.textContent = "";
  if (ask && !(await confirmed(ask, text))) return;
  button.disabled = true;
  try {
    await call("POST", `/session/${act}`, { instance_id: id });
    if (act === "delete") return location.assign("/dashboard");
    say({ start: "It starts.", stop: "It stops.", restart: "It starts anew.", logout: "It is logged out." }[act]);
    await refresh();
  } catch (refusal) {
    if (["logout", "delete"].includes(act) && refusal.status === 502
      && await confirmed("Do it here alone?", "WhatsApp cannot be reached. The phone would still list the device until its owner removes it there.")) {
      await call("POST", `/session/${act}`, { instance_id: id, force: true }).then(
        () => (act === "delete" ? location.assign("/dashboard") : refresh()),
        (second) => { problem.textContent = second.message; },
      );
    } else {
      problem.textContent = refusal.message;
    }
  } finally {
    button.disabled = false;
  }
});

// Its code. Nothing asks for one before somebody wants to see it.
const shower = document.querySelector("[data-show-qr]");
const figure = document.querySelector("[data-qr-figure]");
const picture = document.querySelector("[data-qr]");
const note = document.querySelector("[data-qr-note]");
const time = document.querySelector("[data-qr-time]");
const qrProblem = document.querySelector("[data-qr-problem]");
let isWanted = false;
let again;

function hideCode() {
  isWanted = false;
  clearTimeout(again);
  figure.hidden = true;
  shower.hidden = false;
  picture.removeAttribute("src");
}

async function draw() {
  clearTimeout(again);
  if (!isWanted) return;
  try {
    const answer = await fetch(`/dashboard/v2/auth/qr-image?instance_id=${id}&wait=20`, { headers: { accept: "application/json" } });
    const body = await answer.json();
    if (!isWanted) return;
    if (!answer.ok) {
      if (answer.status === 401) return location.replace("/dashboard/sign-in");
      qrProblem.textContent = body.code === "already_linked" ? "" : body.message;
      if (body.retry_after) again = setTimeout(draw, body.retry_after * 1000);
      else hideCode();
      return;
    }
    qrProblem.textContent = "";
    // Decoded before it is shown: one code gives way to the next without a gap.
    const next = new Image();
    next.src = body.qr;
    await next.decode();
    picture.src = next.src;
    figure.hidden = false;
    shower.hidden = true;
    const ends = Number(answer.headers.get("x-qr-expires-at"));
    const attempt = answer.headers.get("x-qr-attempt");
    note.textContent = `Code ${attempt} of ${answer.headers.get("x-qr-max-attempts")}`;
    time.max = attempt === "1" ? 60 : 20;
    runDown(ends);
    again = setTimeout(draw, Math.max(ends - Date.now(), 500) + 200);
  } catch {
    if (isWanted) again = setTimeout(draw, 3000);
  }
}

function runDown(ends) {
  clearInterval(runDown.timer);
  const tick = () => { time.value = Math.max(0, (ends - Date.now()) / 1000); };
  tick();
  runDown.timer = setInterval(tick, 250);
}

shower.addEventListener("click", () => {
  isWanted = true;
  shower.hidden = true;
  qrProblem.textContent = "";
  draw();
});

// Its link: that there is one, and until when.
document.addEventListener("answered", ({ target, detail }) => {
  if (!target.dataset.call.endsWith(" /session/temp-link")) return;
  openLink.hidden = !detail.link;
  if (detail.link) openLink.querySelector("[data-link-ends]").replaceChildren(moment(detail.expires_at));
  // A link that has ended must not be copied.
  else document.querySelector("form[data-tells=link] [data-told]").textContent = "";
});

// What happens to it, as it happens.
const timeline = document.querySelector("[data-timeline]");
const events = document.querySelector("[data-events]");
const none = document.querySelector("[data-no-events]");
const state = document.querySelector("[data-stream-state]");

function told(envelope) {
  const item = document.createElement("li");
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  const seq = document.createElement("span");
  seq.className = "mono";
  seq.textContent = envelope.seq;
  const kind = document.createElement("b");
  kind.textContent = envelope.event;
  summary.append(seq, " ", kind, " ", moment(envelope.timestamp));
  const text = document.createElement("pre");
  text.textContent = JSON.stringify(envelope.payload, null, 2);
  details.append(summary, text);
  item.append(details);
  item.dataset.kind = envelope.event;
  events.prepend(item);
  while (events.children.length > MOST_EVENTS) events.lastElementChild.remove();
  none.hidden = true;
}

function changed({ payload }) {
  const item = document.createElement("li");
  const badge = document.createElement("span");
  badge.className = "badge";
  badge.textContent = badge.dataset.status = payload.status;
  item.append(badge, ` ${payload.reason ?? ""} `, moment(payload.since));
  timeline.prepend(item);
}

const KINDS = [
  "session.status", "session.qr", "message", "message.any", "message.reaction", "message.edited", "message.revoked",
  "poll.vote", "message.ack", "presence.update", "call.received", "call.accepted", "call.rejected", "group.v2.join",
  "group.v2.leave", "group.v2.participants", "group.v2.update",
];

const stream = new EventSource(`/dashboard/v2/events?instance_id=${id}&after=${head.dataset.seq}`);
stream.addEventListener("open", () => { state.textContent = "live"; });
stream.addEventListener("error", () => {
  state.textContent = "connecting …";
  // A stream that was refused for good: whoever was signed in is so no more, or the instance is gone.
  if (stream.readyState === EventSource.CLOSED) refresh();
});
for (const kind of KINDS) {
  stream.addEventListener(kind, (message) => {
    const envelope = JSON.parse(message.data);
    told(envelope);
    if (kind === "session.status") {
      changed(envelope);
      refresh();
    } else if (kind === "session.qr") {
      draw();
    }
  });
}
addEventListener("pagehide", () => stream.close());
setInterval(() => { if (document.visibilityState === "visible") refresh(); }, 15_000);
