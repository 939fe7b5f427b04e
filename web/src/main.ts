// Opens the page; asks for the key first where the server wants one, and again once it wants another.

import * as api from "./api";
import { key, Refused } from "./api";
import { App } from "./app";
import { el } from "./dom";
import { message } from "./panel";
import { faultOfKey } from "./words";
import "./style.css";

const root = document.getElementById("app")!;
let app: App | null = null;

async function open(): Promise<void> {
  try {
    const spaces = await api.spaces();
    if (!spaces.length) throw new Error("the server has no space to show");
    app = new App(root, spaces);
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return; // the form is there
    root.replaceChildren(el("main", { class: "gate" }, el("h1", {}, "vecspeak"), el("p", { class: "doubt", attrs: { role: "alert" } }, message(error))));
  }
}

/** Takes the page away, which cannot ask any more, and asks for the key; the address keeps what was looked at. */
function lock(): void {
  app?.leave();
  app = null;
  askForKey(key.get() ? "That is not the key." : "");
}

function askForKey(said: string): void {
  if (root.querySelector("input[name=key]") && !said) return;
  const field = el("input", { attrs: { type: "password", "aria-label": "Key", autocomplete: "off", name: "key" } });
  const alert = el("p", { class: "doubt", attrs: { role: "alert", hidden: !said } }, said);
  const submit = (event: Event): void => {
    event.preventDefault();
    const typed = field.value.trim();
    const fault = faultOfKey(typed);
    alert.textContent = fault;
    alert.hidden = !fault;
    if (fault) return;
    key.set(typed);
    void open();
  };
  root.replaceChildren(
    el(
      "main",
      { class: "gate" },
      el("h1", {}, "vecspeak"),
      el("p", {}, "This server asks for a key. It stays in this tab alone."),
      el("form", { class: "ask", on: { submit } }, field, el("button", { class: "primary", attrs: { type: "submit" } }, "Open")),
      alert,
    ),
  );
  field.focus();
}

api.whenLocked(lock);
void open();
