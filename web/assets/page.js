"use strict";

const latest = document.getElementById("latest");
const more = document.getElementById("more");
const found = document.getElementById("found");
let next = "/api/certificates/public?limit=10";

/* A certificate names its person under a key of its category. */
const party = (c) => c.candidate_name || c.employee_name || c.manager_name || c.customer_name || c.name || c.spa_name || c.code;
const words = (key) => key.replaceAll("_", " ");

function element(tag, text, className) {
    const e = document.createElement(tag);
    if (text !== undefined) e.textContent = text;
    if (className) e.className = className;
    return e;
}

async function ask(url) {
    const answer = await fetch(url, { headers: { Accept: "application/json" } });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail || answer.statusText);
    return { body, link: answer.headers.get("Link") };
}

async function showMore() {
    try {
        const { body, link } = await ask(next);
        for (const c of body) {
            const item = element("li", party(c));
            item.append(element("small", `${words(c.category)} · ${c.generated_at.slice(0, 10)} · ${c.code}`));
            latest.append(item);
        }
        next = link && /<([^>]+)>; rel="next"/.exec(link)?.[1];
        more.hidden = !next;
    } catch (e) {
        latest.append(element("li", e.message, "bad"));
    }
}

async function lookUp(event) {
    event.preventDefault();
    const code = document.getElementById("code").value.trim();
    try {
        const { body } = await ask("/api/certificates/" + encodeURIComponent(code));
        const list = element("dl");
        for (const [key, value] of Object.entries(body)) {
            if (value === null || typeof value === "object") continue;
            list.append(element("dt", words(key)), element("dd", String(value)));
        }
        found.replaceChildren(list);
    } catch (e) {
        found.replaceChildren(element("p", e.message, "bad"));
    }
}

more.addEventListener("click", showMore);
document.getElementById("find").addEventListener("submit", lookUp);
showMore();
