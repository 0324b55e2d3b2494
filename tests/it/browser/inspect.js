// The body of a function that a test runs on a page, after `WIDTH`: what of the page somebody could not read, could not
// name, or would have to scroll sideways for. Contrast is what WCAG 2.2 asks of level AA (1.4.3).

const problems = new Set();

function named(element) {
  const place = element.closest("dialog[id], section[aria-labelledby], [data-phase]");
  const where = place ? ` in ${place.id || place.getAttribute("aria-labelledby") || place.dataset.phase}` : "";
  const kind = typeof element.className === "string" && element.className ? `.${element.className.split(" ").join(".")}` : "";
  return `<${element.localName}${kind}> "${element.textContent.trim().replace(/\s+/g, " ").slice(0, 40)}"${where}`;
}

const complain = (of, element) => problems.add(`${of}: ${named(element)}`);
const isSeen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true });

// Colours.

/** Red, green, blue to 255, and alpha. */
function colour(text) {
  const numbers = text.match(/-?[\d.]+(e-?\d+)?/g).map(Number);
  if (/^rgba?\(/.test(text)) return [...numbers.slice(0, 3), numbers[3] ?? 1];
  if (text.startsWith("color(srgb ")) return [...numbers.slice(0, 3).map((part) => part * 255), numbers[3] ?? 1];
  throw new Error(`a colour in a form that this does not read: ${text}`);
}

/** A colour upon an opaque one. */
const upon = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];

function luminance([r, g, b]) {
  const [R, G, B] = [r, g, b].map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * R + 0.7152 * G + 0.0722 * B;
}

function ratio(one, other) {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

/** What an element is drawn upon: the colour behind it, and how the groups it is in fade into what is behind them. */
function ground(element) {
  const ancestors = [];
  for (let at = element; at; at = at.parentElement) ancestors.unshift(at);
  let behind = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
  const groups = [];
  for (const at of ancestors) {
    const style = getComputedStyle(at);
    if (Number(style.opacity) < 1) groups.push([Number(style.opacity), behind]);
    if (style.backgroundImage !== "none") complain("a picture behind text, whose contrast nobody can tell", at);
    behind = upon(colour(style.backgroundColor), behind);
  }
  return { behind, groups };
}

/** Demands that ink of this colour can be told from what the element is drawn upon. */
function demandContrast(element, ink, least, what) {
  const { behind, groups } = ground(element);
  let [above, below] = [upon(ink, behind), behind];
  for (const [opacity, backdrop] of groups.toReversed()) {
    [above, below] = [above, below].map((drawn) => upon([...drawn.slice(0, 3), opacity], backdrop));
  }
  const found = ratio(above, below);
  if (found < least) complain(`${what} of ${found.toFixed(2)}:1, less than ${least}:1`, element);
}

function demandContrastOfText(element, style, what, fades = 1) {
  const size = parseFloat(style.fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const ink = colour(element instanceof SVGElement ? style.fill : style.color);
  ink[3] *= fades;
  demandContrast(element, ink, isLarge ? 3 : 4.5, what);
}

// What is written.

for (const details of document.querySelectorAll("details")) details.open = true;

const isOff = (element) => element.closest(":disabled, [aria-disabled=true]");
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let seen = 0;
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || element.closest("script, style, noscript, option") || !isSeen(element) || isOff(element)) continue;
  const range = document.createRange();
  range.selectNodeContents(texts.currentNode);
  if (range.getClientRects().length === 0) continue;
  seen += 1;
  demandContrastOfText(element, getComputedStyle(element), "contrast");
  const scale = element instanceof SVGElement ? element.getScreenCTM().a : 1;
  const size = parseFloat(getComputedStyle(element).fontSize) * scale;
  if (size < 9) complain(`letters of ${size.toFixed(1)} pixels`, element);
}
if (seen === 0) problems.add("nothing is written on it");

for (const field of document.querySelectorAll("input:not([type=hidden], [type=checkbox]), select, textarea")) {
  if (!isSeen(field) || isOff(field)) continue;
  demandContrastOfText(field, getComputedStyle(field), "contrast of what is typed");
  if (field.placeholder) {
    const style = getComputedStyle(field, "::placeholder");
    demandContrastOfText(field, style, "contrast of an example", Number(style.opacity));
  }
  demandContrast(field.parentElement, colour(getComputedStyle(field).borderTopColor), 3, "an edge with a contrast");
}

// What it is called.

const all = (selector) => [...document.querySelectorAll(selector)];
const isNamed = (element) => (element.getAttribute("aria-label") ?? "").trim()
  || (element.getAttribute("aria-labelledby") ?? "").split(" ").some((id) => document.getElementById(id)?.textContent.trim());

for (const field of all("input:not([type=hidden]), select, textarea")) {
  if (!isNamed(field) && ![...field.labels].some((label) => label.textContent.trim())) complain("a field without a label", field);
}
for (const control of all("button, a[href], summary")) {
  const pictures = [...control.querySelectorAll("img")].some((image) => image.alt.trim());
  if (!isNamed(control) && !control.textContent.trim() && !pictures) complain("a control without a name", control);
}
for (const image of all("img")) if (!image.alt.trim()) complain("a picture without words", image);
for (const drawing of all("svg")) {
  if (drawing.getAttribute("aria-hidden") !== "true" && !isNamed(drawing)) complain("a drawing without words", drawing);
}
for (const heading of all("h1, h2, h3").filter(isSeen)) if (!heading.textContent.trim()) complain("an empty heading", heading);
const first = all("h1").filter(isSeen);
if (first.length !== 1) problems.add(`${first.length} main headings instead of one`);
for (const element of all("[id]")) if (all(`[id="${element.id}"]`).length > 1) complain("an id that is there twice", element);
for (const relation of ["aria-labelledby", "aria-describedby", "aria-controls"]) {
  for (const element of all(`[${relation}]`)) {
    for (const id of element.getAttribute(relation).split(" ")) if (!document.getElementById(id)) complain(`${relation} of nothing`, element);
  }
}
if (!document.title.trim()) problems.add("no title");
const { lang, dir } = document.documentElement;
if (!lang) problems.add("no language");
if ((lang === "ar") !== (dir === "rtl")) problems.add(`written from ${dir || "left to right"} in ${lang}`);
for (const sentence of all("[data-phase] > *, .problem, .told, [role=status]")) {
  if (!sentence.closest("[aria-live], [role=status], [role=alert], noscript")) complain("what changes is not read out", sentence);
}

// Where it is.

for (const scroller of all("*").filter(isSeen)) {
  const { overflowX, overflowY } = getComputedStyle(scroller);
  const scrolls = (overflow, whole, shown) => /auto|scroll/.test(overflow) && whole > shown + 1;
  const does = scrolls(overflowX, scroller.scrollWidth, scroller.clientWidth) || scrolls(overflowY, scroller.scrollHeight, scroller.clientHeight);
  if (!does || scroller === document.documentElement || scroller === document.body) continue;
  const reached = scroller.tabIndex >= 0 || scroller.querySelector("a[href], button, input, select, textarea, summary");
  if (!reached) complain("what it hides cannot be scrolled to with a keyboard", scroller);
}
if (document.documentElement.scrollWidth > WIDTH) {
  problems.add(`it is ${document.documentElement.scrollWidth} pixels wide`);
  for (const element of all("body *").filter(isSeen)) {
    const { left, right } = element.getBoundingClientRect();
    let within = element.parentElement;
    while (within && getComputedStyle(within).overflowX === "visible") within = within.parentElement;
    if ((right > WIDTH + 0.5 || left < -0.5) && !within) complain("it sticks out", element);
  }
}

return [...problems];
