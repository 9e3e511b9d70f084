"use strict";

// A table is sorted by the column whose heading is pressed: up, down, and as it was. Whatever the
// direction, cells without a value come last. Without this script the page is complete but still.

const ORDERS = ["ascending", "descending", null];
const collator = new Intl.Collator("en", { numeric: true });

function valueOf(cell, numeric) {
  if (numeric) return "number" in cell.dataset ? Number(cell.dataset.number) : null;
  return cell.textContent.trim() || null;
}

function compared(first, second) {
  return typeof first === "number" ? first - second : collator.compare(first, second);
}

function sorted(rows, column, numeric, order) {
  if (order === null) return rows;
  const sign = order === "ascending" ? 1 : -1;
  const entries = rows.map((row) => ({ row, value: valueOf(row.cells[column], numeric) }));
  entries.sort((one, other) => {
    if (one.value === null || other.value === null) {
      return (one.value === null) - (other.value === null);
    }
    return sign * compared(one.value, other.value);
  });
  return entries.map((entry) => entry.row);
}

function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  const rows = [...table.tBodies[0].rows];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const before = heading.getAttribute("aria-sort");
      const order = ORDERS[(ORDERS.indexOf(before) + 1) % ORDERS.length];
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      if (order !== null) heading.setAttribute("aria-sort", order);
      const numeric = heading.classList.contains("number");
      table.tBodies[0].append(...sorted(rows, column, numeric, order));
    });
  });
}

// What is folded on the screen has to be on paper.
function unfold() {
  document.querySelectorAll("details").forEach((details) => {
    details.open = true;
  });
}

document.querySelectorAll("table").forEach(makeSortable);
window.addEventListener("beforeprint", unfold);
