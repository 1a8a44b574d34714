// What the page does by itself: citations and cards point at each other, forms open where they
// are needed, files are saved, and a screen reader is told what a reader sees.
"use strict";
window.medcards = (() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
  const reveal = (element, block = "nearest") =>
    element.scrollIntoView({ block, behavior: calm() ? "auto" : "smooth" });
  const triggers = new WeakMap(); // the part of the page -> how to raise its events

  const raise = (element, event, data) => {
    const part = element.closest("#past, #live, #cards");
    const trigger = part && triggers.get(part);
    if (trigger) trigger(event, data);
  };

  // Parts: Gradio hands over each part's element and the function that raises its events.
  const attach = (element, trigger) => {
    const part = element.closest("#past, #live, #cards") ?? element;
    triggers.set(part, trigger);
    if (part.id === "live") new MutationObserver(() => follow(part)).observe(part, {
      childList: true, subtree: true, characterData: true, attributes: true,
      attributeFilter: ["data-state", "id"],
    });
  };

  // Asking
  const asking = () => $("#log").classList.contains("mc-asking");
  const busy = (inputs, panel = "#log") => {
    $(panel).classList.add("mc-asking");
    return inputs;
  };
  const idle = (panel = "#log") => {
    $(panel).classList.remove("mc-asking");
    const box = $(panel === "#log" ? "#question textarea" : "#compare-question textarea");
    if (box && (!document.activeElement || document.activeElement === document.body)) {
      box.focus({ preventScroll: true });
    }
  };
  // A question that the server did not take, or whose answer it did not end
  const refused = (panel = "#log") => {
    idle(panel);
    const words = $("#mc-words").dataset;
    const waiting = $$(".mc-pending", $(panel === "#log" ? "#live" : "#compared"));
    for (const line of waiting) {
      line.textContent = words.interrupted;
      line.className = "mc-error";
      line.closest(".mc-turn").dataset.state = "stopped";
    }
    if (waiting.length) return;
    const told = document.createElement("p");
    told.className = "mc-error";
    told.setAttribute("role", "alert");
    told.textContent = words.busy;
    $(`${panel === "#log" ? "#status" : "#compare-status"} .html-container > div`).replaceChildren(told);
  };
  const ready = () => document.body.classList.add("mc-ready");
  const send = (element, data) => {
    if (asking()) return;
    const chat = $$("#panels [role=tab]")[0];
    if (chat && chat.getAttribute("aria-selected") !== "true") chat.click();
    raise(element, "submit", data);
  };

  // The answer as it grows: a new turn comes into view, new sentences are read out, once.
  let current = null, spoken = 0, state = "";
  const follow = (live) => {
    const turn = $(".mc-turn", live);
    if (!turn) { current = null; return; }
    if (turn.id !== current) {
      [current, spoken, state] = [turn.id, 0, ""];
      reveal(turn, "start");
    }
    const sentences = $$(".mc-sentence", turn).map((s) => s.firstChild?.textContent ?? "");
    if (sentences.length > spoken) say(sentences.slice(spoken).join(" "));
    spoken = sentences.length;
    const now = turn.dataset.state;
    if (state === "pending" && now !== "pending") {
      const fixed = $(".mc-fixed, .mc-error, .mc-emergency", turn);
      say(fixed ? fixed.innerText : $("#mc-words").dataset.done);
    }
    state = now;
  };
  const say = (text) => {
    const line = document.createElement("p");
    line.textContent = text;
    const log = $("#mc-say");
    log.append(line);
    while (log.childElementCount > 20) log.firstElementChild.remove();
  };

  // Sentences and cards
  const partners = (element) => {
    const turn = element.closest(".mc-turn");
    if (!turn) return [];
    const sentence = element.closest(".mc-sentence");
    const card = element.closest(".mc-cards .mc-card");
    if (sentence) {
      const cite = element.closest(".mc-cite");
      const wanted = cite ? [cite.dataset.n] : sentence.dataset.cites.split(" ");
      return [sentence, ...$$(".mc-card", turn).filter((c) => wanted.includes(c.dataset.n))];
    }
    if (!card) return [];
    const holds = (s) => s.dataset.cites.split(" ").includes(card.dataset.n);
    return [card, ...$$(".mc-sentence", turn).filter(holds)];
  };
  const light = (elements) => {
    const lit = new Set(elements);
    $$(".mc-lit").forEach((e) => lit.has(e) || e.classList.remove("mc-lit"));
    lit.forEach((e) => e.classList.add("mc-lit"));
  };
  let origin = null; // the citation that led to a card
  const toCard = (cite) => {
    const card = document.getElementById(`c-${cite.closest(".mc-turn").dataset.turn}-${cite.dataset.n}`);
    if (!card) return;
    origin = cite.id;
    card.focus({ preventScroll: true });
    reveal(card);
    light(partners(cite));
  };
  const toText = (card) => {
    const turn = card.closest(".mc-turn");
    const from = origin && document.getElementById(origin);
    const fits = from && turn.contains(from) && from.dataset.n === card.dataset.n;
    const cite = fits ? from : $(`.mc-cite[data-n="${card.dataset.n}"]`, turn);
    if (!cite) return;
    cite.focus({ preventScroll: true });
    reveal(cite, "center");
    light(partners(card));
  };

  // Forms: copied from the templates of the page, in its language
  const closeForms = (turn) => {
    $$(".mc-form", turn).forEach((form) => form.remove());
    $$("[aria-pressed=true]", turn).forEach((b) => b.setAttribute("aria-pressed", "false"));
  };
  const openForm = (turn, button, kind) => {
    const again = button.getAttribute("aria-pressed") === "true";
    closeForms(turn);
    if (again) return;
    const form = $(`#mc-form-${kind}`).content.cloneNode(true).firstElementChild;
    if (button.hasAttribute("aria-pressed")) button.setAttribute("aria-pressed", "true");
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { closeForms(turn); button.focus(); }
      if (event.key === "Enter" && !event.shiftKey && event.target.name === "question") {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    $("[data-cancel]", form).addEventListener("click", () => { closeForms(turn); button.focus(); });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const fields = Object.fromEntries(new FormData(form));
      if (kind === "edit") {
        if (!fields.question.trim()) return;
        send(turn, { turn: turn.dataset.turn, question: fields.question });
      } else {
        raise(turn, "like", {
          turn: turn.dataset.turn, verdict: kind, reason: fields.reason ?? "",
          comment: fields.comment, agree: fields.agree === "on",
        });
      }
      $$(".mc-form", turn).forEach((open) => open.remove());
    });
    $(".mc-actions", turn).after(form);
    const first = $("textarea[name=question], input", form);
    if (first.name === "question") first.value = $(".mc-asked", turn).textContent;
    first.focus();
    reveal(form);
  };
  const copy = async (turn, button) => {
    const said = $$(".mc-notice p, .mc-text, .mc-fixed p, .mc-emergency p", turn);
    const text = said.map((p) => {
      const plain = p.cloneNode(true);
      $$(".mc-cite", plain).forEach((cite) => cite.replaceWith(`[${cite.dataset.n}]`));
      return plain.textContent.trim();
    }).join("\n\n");
    await navigator.clipboard.writeText(text);
    button.classList.add("mc-did");
    say($("#mc-words").dataset.copied);
    setTimeout(() => button.classList.remove("mc-did"), 1500);
  };
  const act = (button) => {
    const turn = button.closest(".mc-turn");
    const kind = button.dataset.do;
    if (kind === "retry") send(turn, { turn: turn.dataset.turn });
    else if (kind === "copy") copy(turn, button);
    else openForm(turn, button, kind);
  };

  document.addEventListener("click", (event) => {
    const target = event.target.closest?.(
      "[data-ask], [data-do], .mc-cite, .mc-back, .mc-sentence, .mc-cards .mc-card");
    if (!target || event.target.closest("a")) return;
    if (target.dataset.ask) send(target, { question: target.dataset.ask });
    else if (target.dataset.do) act(target);
    else if (target.matches(".mc-cite")) toCard(target);
    else if (target.matches(".mc-back")) toText(target.closest(".mc-card"));
    else light(partners(target));
  });
  document.addEventListener("keydown", (event) => {
    const card = event.target.closest?.(".mc-cards .mc-card");
    if (card && event.key === "Escape") toText(card);
    if (event.key === "Escape" && asking() && event.target.closest?.("#question")) $("#stop").click();
  });
  for (const kind of ["mouseover", "focusin"]) {
    document.addEventListener(kind, (event) => {
      const found = event.target.closest ? partners(event.target) : [];
      if (found.length || kind === "focusin") light(found);
    });
  }

  // Files are made here from what the server answered: it keeps none.
  const save = (file) => {
    if (!file) return;
    const bytes = Uint8Array.from(atob(file.base64), (c) => c.charCodeAt(0));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytes], { type: file.type }));
    link.download = file.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };

  // Gradio's fold does not tell whether it is open
  const folds = new MutationObserver((changes) => {
    for (const { target } of changes) {
      const button = target.parentElement?.querySelector(":scope > .label-wrap");
      button?.setAttribute("aria-expanded", String(target.style.display !== "none"));
    }
  });
  const fold = (content) => {
    folds.observe(content, { attributes: true, attributeFilter: ["style"] });
    content.parentElement.querySelector(":scope > .label-wrap")
      ?.setAttribute("aria-expanded", String(content.style.display !== "none"));
  };

  // Gradio writes the place in its queue in English, beside times that mean little; the page says
  // it in its own language, and only while a question waits.
  const place = (element) => {
    const status = element.closest("#status, #compare-status") ?? element;
    const line = document.createElement("p");
    line.className = "mc-place mc-quiet";
    line.setAttribute("role", "status");
    status.after(line);
    let told = "";
    const read = () => {
      const text = $(".progress-text", status)?.textContent ?? "";
      const found = text.match(/queue: (\d+)\/(\d+)\s*\|\s*([\d.]+)(?:\/([\d.]+))?s/);
      const words = $("#mc-words").dataset;
      const left = found?.[4] ? Math.ceil(Math.max(1, found[4] - found[3])) : 0;
      const parts = found ? [words.place.replace("{place}", found[1]).replace("{size}", found[2])] : [];
      if (left) parts.push(words.left.replace("{seconds}", left));
      const now = parts.join(" ");
      if (now !== told) line.textContent = told = now;
    };
    new MutationObserver(read).observe(status, { childList: true, subtree: true, characterData: true });
  };

  // Better cards and a better model may be on their way: how far they are, until they serve.
  const LATER = 5000;
  const watchService = (element) => {
    const part = element.closest("#service") ?? element;
    const line = document.createElement("p");
    line.className = "mc-progress mc-quiet";
    line.setAttribute("role", "status");
    part.after(line);
    let preparing = false;
    const look = async () => {
      const health = await fetch("healthz").then((reply) => reply.json()).catch(() => null);
      const words = $("#mc-words")?.dataset;
      const stage = health && words && JSON.parse(words.stages)[health.stage];
      if (stage) {
        const share = health.done == null ? "" : ` ${Math.round(health.done * 100)} %`;
        line.textContent = `${stage}${share}${health.detail ? ` (${health.detail})` : ""}`;
        preparing = true;
      } else if (health && preparing) {
        line.textContent = words.ready.replace("{generator}", health.generator);
        preparing = false;
      }
      if (preparing || !health) setTimeout(look, LATER);
    };
    look();
  };

  // The language of the page, for screen readers and hyphenation
  const speak = (head) => {
    const part = $(".mc-head", head);
    if (part) document.documentElement.lang = part.dataset.lang;
    $$("[data-testid=accordion-content]").forEach(fold);
  };

  const foot = (element) => {
    const part = element.closest("#disclaimer") ?? element;
    const told = () => document.documentElement.style.setProperty("--mc-foot", `${part.offsetHeight}px`);
    new ResizeObserver(told).observe(part);
  };

  return { attach, busy, foot, idle, place, ready, refused, save, speak, watchService };
})();
