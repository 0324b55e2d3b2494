// The link page: shows the part of it that is true now. Everything it can say stands in the page already.
// Loading asks for nothing; the tap on "Show QR code" opens the stream, and the open stream is the demand for codes.

const body = document.body;
const $ = (selector) => document.querySelector(selector);
const here = location.pathname.replace(/\/$/, "");
const parents = body.dataset.parents.split(" ").filter(Boolean);
const waiting = ["warming", "recovering", "unreachable", "pairing", "passkey_confirmation"];
const final = ["linked", "used", "expired", "refused", "outdated"];
const asking = ["ready", "warming", "scan", "recovering", "codes_ended", "stalled"];

let phase = body.dataset.now;
let stream;
let skew = 0;
let qr;
let code;

const fill = (text, name, value) => text.replace(`{${name}}`, () => value);
const now = () => Date.now() + skew;

/** Tells whoever frames this page, if the account listed them. */
function tell() {
  if (window.parent === window) return;
  for (const origin of parents) window.parent.postMessage({ source: "wagate", type: "link", phase }, origin);
}

function show(next) {
  const changed = next !== phase;
  phase = next;
  body.dataset.now = next;
  for (const panel of document.querySelectorAll("[data-phase]")) {
    const current = panel.dataset.phase === next;
    if (panel.hidden === current) panel.hidden = !current;
    if (current) steps(Number(panel.dataset.ofStep));
  }
  const typing = !$("[data-code]").hidden;
  $("[data-wait]").hidden = !waiting.includes(next) || typing;
  $("[data-scan]").hidden = next !== "scan" || typing;
  $("[data-other]").hidden = !asking.includes(next) || typing;
  if ($("[data-sandbox]")) $("[data-sandbox]").hidden = next !== "scan";
  $("[data-lead]").hidden = next !== "ready" || typing;
  $("[data-linked]").hidden = next !== "linked";
  if (!asking.includes(next) && next !== "unreachable") $("[data-code]").hidden = true;
  if (changed || !show.told) tell();
  show.told = true;
  if (final.includes(next)) stream?.close();
}

function steps(step) {
  for (const item of document.querySelectorAll("[data-step]")) {
    const mine = Number(item.dataset.step);
    item.classList.toggle("past", mine < step);
    if (mine === step) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  }
}

/** The next code fades in over the last one once it is decoded, so that a camera never meets an empty frame. */
async function draw(next) {
  if (qr?.expires_at === next.expires_at && qr?.image === next.image) return;
  const lifetime = Math.max(1, next.expires_at - now());
  qr = { ...next, lifetime };
  const image = new Image();
  image.alt = $("[data-codes]").dataset.alt;
  image.src = next.image;
  image.dataset.expires = next.expires_at;
  await image.decode().catch(() => {});
  if (qr.image !== next.image) return;
  const codes = $("[data-codes]");
  const former = [...codes.children];
  codes.append(image);
  image.getBoundingClientRect();
  image.classList.add("shown");
  for (const old of former) old.setAttribute("aria-hidden", "true");
  setTimeout(() => former.forEach((old) => old.remove()), 600);
  tick();
}

function tick() {
  if (qr && phase === "scan") {
    const left = Math.max(0, qr.expires_at - now());
    const ring = $("[data-ring]");
    ring.setAttribute("stroke-dashoffset", String(100 - (100 * left) / qr.lifetime));
    ring.classList.toggle("late", left < 8000);
    $("[data-left]").textContent = fill(body.dataset.secondsLeft, "seconds", String(Math.ceil(left / 1000)));
  }
  if (code) {
    const left = Math.ceil((code.expiry - now()) / 1000);
    $("[data-code-time]").textContent = left > 0 ? fill(body.dataset.codeLeft, "seconds", String(left)) : body.dataset.codeOver;
    if (left <= 0) {
      code = undefined;
      $("[data-code-form]").hidden = false;
    }
  }
}

function take(state) {
  skew = state.now - Date.now();
  $("[data-offline-note]").textContent = "";
  if (state.qr) draw(state.qr);
  if (state.number) $("[data-linked-number]").textContent = fill(body.dataset.number, "number", `\u2066${state.number}\u2069`);
  show(state.phase);
  if (state.phase !== "linked") return;
  // The account may have taken the way back off its list while this page was open.
  const way = $("[data-return]");
  if (way) way.hidden = !state.return_url;
  $("[data-stay]").hidden = Boolean(way) && !way.hidden;
  leave();
}

/** Goes on to where the account wants its customer back; a frame's parent does that itself. */
function leave() {
  const way = $("[data-return]:not([hidden])");
  if (way && window.parent === window) setTimeout(() => location.assign(way.href), 4000);
}

/** Follows the session. `asks` is the demand for codes. */
function follow(asks) {
  stream?.close();
  stream = new EventSource(asks ? `${here}/events?show=true` : `${here}/events`);
  stream.addEventListener("state", (event) => take(JSON.parse(event.data)));
  stream.addEventListener("error", () => lost(asks));
}

async function lost(asks) {
  if (final.includes(phase)) return;
  $("[data-offline-note]").textContent = body.dataset.offline;
  if (stream.readyState !== EventSource.CLOSED) return;
  // Refused, not cut off: the link may have ended meanwhile.
  const answer = await fetch(`${here}`, { method: "HEAD" }).catch(() => undefined);
  if (answer?.status === 404) {
    $("[data-offline-note]").textContent = "";
    show("expired");
    return;
  }
  setTimeout(() => follow(asks), 5000);
}

function open() {
  show("warming");
  follow(true);
}

async function post(path, fields) {
  return fetch(`${here}/${path}`, {
    method: "POST",
    headers: { accept: "application/json", "content-type": "application/json" },
    body: JSON.stringify(fields),
  });
}

async function askForCode(event) {
  event.preventDefault();
  const problem = $("[data-code-problem]");
  const button = event.target.querySelector("button");
  const number = new FormData(event.target).get("phone_number").trim();
  problem.textContent = "";
  if (number.replace(/\D/g, "").length < 7) {
    problem.textContent = body.dataset.codeWrongNumber;
    return;
  }
  button.disabled = true;
  try {
    // The open stream keeps the session at hand for as long as the code is typed.
    if (!stream) open();
    const answer = await post("code", { phone_number: number, wait: 25 });
    if (answer.ok) {
      code = await answer.json();
      $("[data-code-value]").textContent = code.code;
      $("[data-code-result]").hidden = false;
      $("[data-code-form]").hidden = true;
      tick();
    } else if (answer.status === 400) problem.textContent = body.dataset.codeWrongNumber;
    else problem.textContent = answer.status === 429 ? body.dataset.codeTooOften : body.dataset.codeFailed;
  } catch {
    problem.textContent = body.dataset.codeFailed;
  }
  button.disabled = false;
}

function typing(opens) {
  $("[data-code]").hidden = !opens;
  $("[data-code-open]").setAttribute("aria-expanded", String(opens));
  show(phase);
  (opens ? $("[data-code] input") : $("[data-code-open]")).focus();
}

for (const button of document.querySelectorAll("[data-show]")) button.addEventListener("click", open);
$("[data-code-open]").addEventListener("click", () => typing(true));
$("[data-code-close]").addEventListener("click", () => typing(false));
$("[data-code-form]").addEventListener("submit", askForCode);
$("[data-sandbox-phone]")?.addEventListener("click", async (event) => {
  event.target.disabled = true;
  await post("sandbox-phone", {}).catch(() => {});
  event.target.disabled = false;
});
addEventListener("pagehide", () => stream?.close());
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

setInterval(tick, 1000);
show(phase);
if (phase === "linked") leave();
else if (!final.includes(phase)) follow(false);
