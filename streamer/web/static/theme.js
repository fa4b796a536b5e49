// Here is dark or light: ?theme=dark, light or auto (as the device says), else what the page chose in
// data-theme. "wall" is dark on a large screen, since a television without a preference says light.
const root = document.documentElement;
const asked = new URLSearchParams(location.search).get("theme");

if (["dark", "light", "auto"].includes(asked)) root.dataset.theme = asked;
else if (root.dataset.theme === "wall") root.dataset.theme = matchMedia("(max-width: 900px)").matches ? "auto" : "dark";
