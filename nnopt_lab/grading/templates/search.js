const box = document.getElementById("search");
const rows = [...document.querySelectorAll("#learners tbody tr")];
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
const texts = rows.map((row) => plain(row.textContent));
const answer = (found) => document.getElementById("found").dataset.text.replace("{count}", found).replace("{total}", rows.length);
const show = () => {
  const words = plain(box.value).split(/\s+/).filter(Boolean);
  rows.forEach((row, i) => { row.hidden = !words.every((word) => texts[i].includes(word)); });
  const found = rows.filter((row) => !row.hidden).length;
  document.getElementById("found").textContent = words.length ? answer(found) : "";
};
document.getElementById("searching").hidden = false;
box.addEventListener("input", show);
show();
