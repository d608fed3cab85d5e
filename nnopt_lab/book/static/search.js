// Search results quote the article. Sphinx would also quote the theme's buttons and the page's own contents.
if (typeof Search !== 'undefined') {
  const textOf = Search.htmlToText;
  Search.htmlToText = (html, anchor) => {
    const article = new DOMParser().parseFromString(html, 'text/html').querySelector('article');
    return textOf(article ? `<main role="main">${article.outerHTML}</main>` : html, anchor);
  };
}
