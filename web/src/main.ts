// Opens the page; asks for the key first where the server wants one.

import { key, Refused } from "./api";
import { App } from "./app";
import { el } from "./dom";
import { message } from "./panel";
import "./style.css";

const root = document.getElementById("app")!;

async function open(): Promise<void> {
  try {
    await new App(root).start();
  } catch (error) {
    if (error instanceof Refused && error.status === 401) askForKey(key.get() ? "That is not the key." : "");
    else root.replaceChildren(el("main", { class: "gate" }, el("h1", {}, "vecspeak"), el("p", { class: "doubt", attrs: { role: "alert" } }, message(error))));
  }
}

function askForKey(said: string): void {
  const field = el("input", { attrs: { type: "password", "aria-label": "Key", autocomplete: "off", name: "key" } });
  const submit = (event: Event): void => {
    event.preventDefault();
    key.set(field.value.trim());
    void open();
  };
  root.replaceChildren(
    el(
      "main",
      { class: "gate" },
      el("h1", {}, "vecspeak"),
      el("p", {}, "This server asks for a key. It stays in this tab alone."),
      el("form", { class: "ask", on: { submit } }, field, el("button", { class: "primary", attrs: { type: "submit" } }, "Open")),
      said && el("p", { class: "doubt", attrs: { role: "alert" } }, said),
    ),
  );
  field.focus();
}

void open();
