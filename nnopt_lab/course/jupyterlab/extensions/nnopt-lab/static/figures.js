// Texts and axes of figures have a grey that reads on any page (INK of plots/colors.py). Here they get the colour of
// the page's text, in each theme. Names in the colours of lines come nearer to it, since small letters need more
// contrast than lines. On dark pages, marks that are dim there are lightened, except in figures with white texts on
// marks. The book uses this file, too, as a script; so it exports nothing.
{
  const INK = /#757575/gi, SVG = 'data:image/svg+xml;base64,', FIGURES = `img.nnopt-drawn[src^="${SVG}"]`;
  const NAMES = /(<g style="fill: )(#(?!ffffff|111111)[\da-f]{6})(?=" transform=)/gi; // not texts on colours
  const MARKS = /(?<=(?:fill|stroke): )#[\da-f]{6}\b/gi, WHITE_TEXT = /<g style="fill: #ffffff" transform=/i;
  const DIM = 4.5, HIDDEN = 2.9; // contrasts with the page; colours below the second aren't meant to be seen on it
  const THEMES = ['data-jp-theme-name', 'data-theme']; // attributes that change with JupyterLab's theme and the book's
  const TEXTS = ['--jp-content-font-color1', '--pst-color-text-base'];
  const PAGES = ['--jp-layout-color0', '--pst-color-background'];
  const made = new WeakMap(); // a figure's picture, as the kernel made it

  const pageColor = names => {
    const style = getComputedStyle(document.body);
    return names.map(name => style.getPropertyValue(name).trim()).find(Boolean);
  };

  const linear = part => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const partsOf = color => [1, 3, 5].map(at => parseInt(color.slice(at, at + 2), 16));
  const luminance = color => {
    const [red, green, blue] = partsOf(color).map(part => linear(part / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const hex = color => Object.assign(document.createElement('canvas').getContext('2d'), { fillStyle: color }).fillStyle;
  const whiter = (color, share) =>
    '#' + partsOf(color).map(part => Math.round(part + share * (255 - part)).toString(16).padStart(2, '0')).join('');

  // On a page, each colour as it is shown there: with as much white as it takes to see it well.
  const lighterOn = page => {
    const dark = luminance(page);
    const contrast = color => (luminance(color) + 0.05) / (dark + 0.05);
    const lighter = color => {
      let share = 0;
      if (contrast(color) > HIDDEN) while (contrast(whiter(color, share)) < DIM) share += 0.02;
      return whiter(color, share);
    };
    return picture => (dark > 0.18 || WHITE_TEXT.test(picture) ? picture : picture.replace(MARKS, lighter));
  };

  const coloured = (picture, color, lighten) =>
    lighten(picture.replace(INK, color)).replace(NAMES, `$1$2; fill: color-mix(in srgb, $2 70%, ${color})`);

  const show = (figures, color = pageColor(TEXTS)) => {
    if (!color || !figures.length) return;
    const lighten = lighterOn(hex(pageColor(PAGES)));
    for (const figure of figures) {
      if (!made.has(figure)) made.set(figure, atob(figure.src.slice(SVG.length)));
      const source = SVG + btoa(coloured(made.get(figure), color, lighten));
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
