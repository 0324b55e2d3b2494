// The body of a function that a test runs on a page before it presses the tabulator: notes which controls there are, and
// at each one that the keyboard comes to, whether its focus can be seen.

const modal = [...document.querySelectorAll("dialog")].find((dialog) => dialog.matches(":modal"));
for (const details of document.querySelectorAll("details")) details.open = true;
const controls = [...(modal ?? document).querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")]
  .filter((control) => control.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true }) && !control.disabled);
const unseen = new Map();
window.unreached = new Set(controls);
window.keyboardProblems = () => {
  const named = (element) => `<${element.localName}> "${(element.textContent || element.name || element.id).trim().replace(/\s+/g, " ").slice(0, 40)}"`;
  return [
    ...[...window.unreached].map((control) => `the keyboard does not come to ${named(control)}`),
    ...[...unseen].map(([control, outline]) => `nobody sees that the focus is on ${named(control)}: it has an outline of ${outline}`),
  ];
};
document.addEventListener("focusin", ({ target }) => {
  window.unreached.delete(target);
  const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(target);
  const isDrawn = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && !/, 0\)$|\/ 0\)$/.test(outlineColor);
  // It comes round more than once. A focus that the window gets back is not the keyboard's and need not be seen.
  if (isDrawn) unseen.delete(target);
  else unseen.set(target, `${outlineWidth} ${outlineStyle} ${outlineColor}`);
});
document.activeElement?.blur();
return controls.length;
