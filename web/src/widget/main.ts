// The widget of a notebook, as anywidget opens it: a map in a shadow of its own, so that no style goes in or out.

import style from "../style.css?inline";
import { el } from "../dom";
import own from "./widget.css?inline";
import type { Model } from "./model";
import { WidgetView } from "./view";

function render({ model, el: place }: { model: Model; el: HTMLElement }): () => void {
  const host = el("div", { class: "vecspeak", attrs: { "data-lm-suppress-shortcuts": "true" } });
  const root = host.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [style, own].map((text) => {
    const made = new CSSStyleSheet();
    made.replaceSync(text);
    return made;
  });
  // what is typed here is no command of the notebook
  for (const kind of ["keydown", "keypress", "keyup"]) host.addEventListener(kind, (event) => event.stopPropagation());
  place.append(host);
  const view = new WidgetView(model, host, root);
  return () => view.leave();
}

export default { render };
