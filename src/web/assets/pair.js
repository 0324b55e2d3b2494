// Where a sign-in code leads. Its token leaves the address and the history before anything else happens.

const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);

const card = document.querySelector("[data-pair]");

function show(state) {
  for (const part of card.querySelectorAll("[data-state]")) part.hidden = part.dataset.state !== state;
}

function refused(text) {
  if (text) card.querySelector("[data-problem]").textContent = text;
  show("refused");
}

async function post(path) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { accept: "application/json", "content-type": "application/json" },
    body: JSON.stringify({ token }),
    redirect: "error",
  });
  const body = await answer.json().catch(() => ({}));
  return { answer, body };
}

async function look() {
  if (!token) return refused("There is no code in this address.");
  try {
    const { answer, body } = await post("/dashboard/pair/look");
    if (!answer.ok) return refused(answer.status === 401 ? undefined : body.message);
    card.querySelector("[data-account]").textContent = body.account;
    show("ask");
    card.querySelector("[data-redeem]").focus();
  } catch {
    refused("The gateway could not be reached. Check the connection and scan again.");
  }
}

card.querySelector("[data-redeem]").addEventListener("click", async (event) => {
  event.target.disabled = true;
  try {
    const { answer, body } = await post("/dashboard/pair/redeem");
    if (answer.ok) location.replace(body.location);
    else refused(answer.status === 401 ? undefined : body.message);
  } catch {
    refused("The gateway could not be reached. Check the connection and scan again.");
  }
});

look();
