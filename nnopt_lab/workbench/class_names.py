"""The names of the classes of the course's data sets, in the order of their labels; figures translate them."""

FASHION = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPES = ("disc", "ring", "square", "triangle", "star", "plus", "crescent", "heart", "T", "hourglass")
