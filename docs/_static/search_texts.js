/* Excerpts of pages for the results of a search, from scripts that search_texts.py wrote.

A page that was opened from a disk may load scripts but fetch nothing, and Sphinx fetches the pages
that it has found. */
"use strict";
(() => {
  const suffix = DOCUMENTATION_OPTIONS.FILE_SUFFIX;
  const root = document.documentElement.dataset.content_root;
  const fetched = window.fetch;
  const texts = new Map(); // page -> promise of its text, as HTML of sections
  const arrived = new Map();
  window.textOfPage = (page, text) => arrived.get(page)(text);
  const load = (page) =>
    new Promise((resolve, reject) => {
      arrived.set(page, resolve);
      const script = document.createElement("script");
      script.src = `${root}_static/texts/${page}.js`;
      script.onerror = () => reject(new Error(`no text of ${page}`));
      document.head.appendChild(script);
    });
  window.fetch = (url, ...options) => {
    if (typeof url !== "string" || !url.startsWith(root) || !url.endsWith(suffix))
      return fetched(url, ...options);
    const page = url.slice(root.length, -suffix.length);
    if (!texts.has(page)) texts.set(page, load(page));
    return texts.get(page).then((text) => ({ text: () => text }));
  };
})();
