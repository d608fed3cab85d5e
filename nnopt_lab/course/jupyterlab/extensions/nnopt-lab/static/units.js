// A line never breaks between a number and its unit. Files keep their plain spaces, by which translations are found.

const TEXTS = ':is(.jp-RenderedMarkdown > *, .jp-OutputArea-output [role=note] > *):not([data-nnopt-units])';
const UNIT = /(\d) (?=(?:%|×|‰|(?:[mµn]?s|min|h|[kKMGT]i?B|[kMG]?Hz|GFLOPS|TFLOPS|GB\/s)(?![\p{L}\p{N}])))/gu;
const VERBATIM = 'code, pre, svg, math, mjx-container, script, style';

export const joinUnits = () => {
  for (const element of document.querySelectorAll(`.jp-Notebook ${TEXTS}`)) {
    element.dataset.nnoptUnits = '';
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode, joined = node.data.replace(UNIT, '$1\u00a0');
      if (joined !== node.data && !node.parentElement.closest(VERBATIM)) node.data = joined;
    }
  }
};
