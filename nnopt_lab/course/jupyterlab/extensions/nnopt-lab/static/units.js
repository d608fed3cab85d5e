// No line ends between a number and its unit, inside a term such as "T-shirt" or "8-bit", or inside a short piece of
// code. Files keep their plain spaces, by which translations are found.

const TEXTS = ':is(.jp-RenderedMarkdown > *, .jp-OutputArea-output [role=note] > *):not([data-nnopt-units])';
const UNIT = /(\d) (?=(?:%|×|‰|(?:[mµn]?s|min|h|[kKMGT]i?B|[kMG]?Hz|GFLOPS|TFLOPS|GB\/s)(?![\p{L}\p{N}])))/gu;
const HYPHENED = /(?<![\p{L}\p{N}-])(\p{L}|\p{N}+)-(?=\p{L})/gu;
const SHORT = 24; // letters; a narrow page has room for them
const VERBATIM = 'code, pre, svg, math, mjx-container, script, style';

export const joinUnits = () => {
  for (const element of document.querySelectorAll(`.jp-Notebook ${TEXTS}`)) {
    element.dataset.nnoptUnits = '';
    for (const code of element.querySelectorAll(':not(pre, td, th) > code')) {
      code.classList.toggle('nnopt-whole', code.textContent.length <= SHORT);
    }
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode, joined = node.data.replace(UNIT, '$1\u00a0').replace(HYPHENED, '$1-\u2060');
      if (joined !== node.data && !node.parentElement.closest(VERBATIM)) node.data = joined;
    }
  }
};
