(() => {
  const seconds = 3;
  const lost = document.getElementById("lost");
  const refresh = async () => {
    if (document.hidden || String(getSelection())) return;
    try {
      const response = await fetch(location.href, { cache: "no-store" });
      if (!response.ok) throw new Error(response.statusText);
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const scrolled = document.querySelector(".scroll")?.scrollLeft ?? 0;
      document.querySelector("main").replaceWith(page.querySelector("main"));
      document.getElementById("updated").replaceWith(page.getElementById("updated"));
      document.title = page.title;
      const table = document.querySelector(".scroll");
      if (table) table.scrollLeft = scrolled;
      lost.hidden = true;
    } catch {
      lost.hidden = false;
    }
  };
  setInterval(refresh, seconds * 1000);
  document.addEventListener("visibilitychange", refresh);
})();
