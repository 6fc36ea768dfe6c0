// Suggests names from the knowledge base while typing: the ARIA combobox pattern with a listbox.

import { get } from "./api.js";
import { afterPause, complain, make } from "./dom.js";

/** Let `input` suggest names in `list`; calls `chosen()` when one is picked or the field is cleared. */
export function attach(input, list, chosen) {
  let active = -1;
  const options = () => [...list.children];

  const close = () => {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const take = (option) => {
    input.value = option.dataset.entity;
    close();
    chosen();
  };
  const move = (to) => {
    active = (to + options().length) % options().length;
    options().forEach((option, at) => option.setAttribute("aria-selected", String(at === active)));
    input.setAttribute("aria-activedescendant", options()[active].id);
    options()[active].scrollIntoView({ block: "nearest" });
  };
  const offer = afterPause(async () => {
    const typed = input.value.trim();
    if (!typed) return close();
    const { entities } = await get("/kb/search", { q: typed, limit: 12 }).catch(
      (error) => (complain(error), { entities: [] }),
    );
    if (typed !== input.value.trim() || document.activeElement !== input) return;
    list.replaceChildren(
      ...entities.map(({ name, entity }, at) =>
        make(
          "li",
          {
            role: "option",
            id: `${list.id}-${at}`,
            "aria-selected": "false",
            "data-entity": entity,
            on: {
              mousedown: (event) => {
                event.preventDefault();
                take(event.currentTarget);
              },
            },
          },
          name,
          name === entity ? null : make("span", { class: "hint" }, ` alias of ${entity}`),
        ),
      ),
    );
    active = -1;
    list.hidden = entities.length === 0;
    input.setAttribute("aria-expanded", String(entities.length > 0));
  });

  input.addEventListener("input", () => (input.value ? offer() : (close(), chosen())));
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "ArrowDown") move(active + 1);
    else if (event.key === "ArrowUp") move(active < 0 ? -1 : active - 1);
    else if (event.key === "Enter" && active >= 0) take(options()[active]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  });
}
