// The text of an exercise or a question stands out from prose: from the paragraph that names it to the end of its cell,
// or to the next heading.

const TASK = 'nnopt-task';
const NAMED = /^(Exercise|Question) \(|^(练习|问题)（/;
const FIRST = `.jp-Notebook .jp-MarkdownCell .jp-RenderedMarkdown > p > strong:first-child`;
const CHOICES = 'nnopt-choices', LETTERED = /^[a-h]\) /; // a letter needs no bullet
const isHeading = element => /^H[1-6]$/.test(element.tagName ?? '');

export const markTasks = () => {
  for (const name of document.querySelectorAll(FIRST)) {
    const paragraph = name.parentElement;
    if (name.previousSibling || !NAMED.test(name.textContent)) continue;
    const box = document.createElement('div');
    box.className = TASK;
    paragraph.before(box);
    while (box.nextSibling && !isHeading(box.nextSibling)) box.append(box.nextSibling);
    for (const list of box.querySelectorAll('ul')) {
      list.classList.toggle(CHOICES, [...list.children].every(item => LETTERED.test(item.textContent)));
    }
  }
};
