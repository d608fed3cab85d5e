// Texts and axes of figures have a grey that reads on any page (INK of plots/colors.py). Here they get the colour of
// the page's text, in each theme. Names in the colours of lines come nearer to it, since small letters need more
// contrast than lines. The book uses this file, too, as a script; so it exports nothing.
{
  const INK = /#757575/gi, SVG = 'data:image/svg+xml;base64,', FIGURES = `img.nnopt-drawn[src^="${SVG}"]`;
  const NAMES = /(<g style="fill: )(#(?!ffffff|111111)[\da-f]{6})(?=" transform=)/gi; // not texts on colours
  const THEMES = ['data-jp-theme-name', 'data-theme']; // attributes that change with JupyterLab's theme and the book's
  const TEXTS = ['--jp-content-font-color1', '--pst-color-text-base'];
  const made = new WeakMap(); // a figure's picture, as the kernel made it

  const textColor = () => {
    const style = getComputedStyle(document.body);
    return TEXTS.map(name => style.getPropertyValue(name).trim()).find(Boolean);
  };

  const coloured = (picture, color) =>
    picture.replace(INK, color).replace(NAMES, `$1$2; fill: color-mix(in srgb, $2 70%, ${color})`);

  const show = (figures, color = textColor()) => {
    for (const figure of color ? figures : []) {
      if (!made.has(figure)) made.set(figure, atob(figure.src.slice(SVG.length)));
      const source = SVG + btoa(coloured(made.get(figure), color));
      if (figure.src !== source) figure.src = source;
    }
  };

  const figuresIn = ({ addedNodes }) =>
    [...addedNodes].flatMap(node => (node.matches?.(FIGURES) ? [node] : [...(node.querySelectorAll?.(FIGURES) ?? [])]));

  // Before the page is painted, so that no figure is seen in grey first.
  const follow = changes => {
    const isNewTheme = changes.some(({ type }) => type === 'attributes');
    const figures = isNewTheme ? [...document.querySelectorAll(FIGURES)] : changes.flatMap(figuresIn);
    if (figures.length) show(figures);
  };
  const observed = { childList: true, subtree: true, attributeFilter: THEMES };
  new MutationObserver(follow).observe(document.documentElement, observed);
  show(document.querySelectorAll(FIGURES));
}
